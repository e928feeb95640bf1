"""The Stacks page's widget against a real service; a list in place of the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from crowdsky.archive.queue import lease_jobs
from crowdsky.client import Client
from crowdsky.pages.stacks import view
from crowdsky.pages.stacks.view import StacksPage
from tests.api.conftest import (  # noqa: F401 - fixtures
    Running,
    sqlite_service,
    sqlite_settings,
    wait_until,
)
from tests.api.product_rows import START, make_stack
from tests.archive.queue_rows import make_jobs, make_observer

pytestmark = [pytest.mark.enable_socket]

Wait = Callable[..., None]


class Shown(StacksPage):
    """The widget, with what it would send to a browser in a list."""

    def __init__(self, client: Client) -> None:
        self.told: list[dict[str, Any]] = []
        super().__init__(lambda: client)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.told.append(content)

    def front_end_sends(self, **message: Any) -> None:
        self._hear(self, message, [])

    def heard(self, kind: str, ask: int = 0) -> list[dict[str, Any]]:
        return [one for one in list(self.told) if (one["type"], one["ask"]) == (kind, ask)]


@contextmanager
def shown(service: Running, name: str, query: str = "") -> Iterator[Shown]:
    with Client(service.url, service.key_for(name), patience_s=5.0) as client:
        page = Shown(client)
        page.front_end_sends(type="hello", url="", query=query)
        yield page
        page.close()
        page._worker.shutdown()


def test_own_stacks_and_everyones(sqlite_service: Running, wait_until: Wait) -> None:  # noqa: F811
    here = sqlite_service.context
    old = make_stack(here, "ann", target="M 94")
    new = make_stack(here, "ann", target="M 31", start_utc=START + timedelta(hours=1))
    private = make_stack(here, "bob", target="M 94", public_utc=None)
    theirs = make_stack(here, "bob", target="M 94", ra_deg=None, dec_deg=None)
    with shown(sqlite_service, "ann") as page:
        wait_until(lambda: page.heard("stacks"), "the list comes")
        first = page.heard("stacks")[0]
        assert [row["id"] for row in first["rows"]] == [new.id, old.id]
        assert (first["total"], first["more"], first["anew"]) == (2, False, True)
        assert first["n_bytes"] == len(old.data) + len(new.data)
        row = first["rows"][1]
        assert row["position"] == "12h 50.8m  +41° 06′"
        assert (row["used"], row["n"], row["total_s"]) == (2, 3, 20.0)
        assert (row["telescope"], row["filter"], row["mine"]) == ("Seestar S50", "IRCUT", True)

        page.front_end_sends(type="list", scope="public", target="m94", ask=1)
        wait_until(lambda: page.heard("stacks", 1), "the other list comes")
        ids = {row["id"] for row in page.heard("stacks", 1)[0]["rows"]}
        assert ids == {old.id, theirs.id}
        assert private.id not in ids
        page.front_end_sends(type="look", ask=1)
        wait_until(lambda: page.heard("totals", 1), "the totals come")
        assert page.heard("totals", 1)[0]["total"] == 2
        page.front_end_sends(type="look", ask=0)  # of a list that is no longer shown
        page.front_end_sends(type="list", scope="mine", target="", ask=2)
        wait_until(lambda: page.heard("stacks", 2), "the first list comes again")
        assert page.heard("totals") == []


def test_all_of_a_long_list_is_reached(
    sqlite_service: Running,  # noqa: F811
    wait_until: Wait,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "_FIRST", 4)
    monkeypatch.setattr(view, "_MORE", 3)
    made = [
        make_stack(sqlite_service.context, "ann", start_utc=START + timedelta(hours=n)).id
        for n in range(9)
    ]
    with shown(sqlite_service, "ann") as page:
        for number in range(1, 4):
            wait_until(lambda number=number: len(page.heard("stacks")) == number, "a page comes")
            page.front_end_sends(type="more", ask=0)
        pages = page.heard("stacks")
        assert [len(one["rows"]) for one in pages] == [4, 3, 2]
        assert [one["more"] for one in pages] == [True, True, False]
        assert [row["id"] for one in pages for row in one["rows"]] == made[::-1]


def test_where_there_are_none_it_tells_of_the_jobs(
    sqlite_service: Running,  # noqa: F811
    wait_until: Wait,  # noqa: F811
) -> None:
    archive = sqlite_service.context.archive
    make_jobs(archive, make_observer(archive, "ann"), 3)
    lease_jobs(archive, "host:1", 2, lease_s=60)
    with shown(sqlite_service, "ann", "?scope=mine") as page:
        wait_until(lambda: page.heard("working"), "the jobs are told")
        assert page.heard("working")[0] == {
            "type": "working",
            "ask": 0,
            "queued": 1,
            "running": 2,
            "failed": 0,
        }
