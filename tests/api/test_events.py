"""Live events: who gets which, what a cut costs, and that one reader serves all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.keys import list_keys, revoke_key
from crowdsky.archive.leases import report_progress
from crowdsky.archive.queue import lease_jobs
from tests.archive.queue_rows import make_jobs, make_observer

pytestmark = [pytest.mark.enable_socket]

Wait = Callable[..., None]


class Heard:
    """What somebody hears."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Any]] = []
        self.comments = 0
        self.ended = False

    def jobs(self, state: str | None = None) -> list[Any]:
        return [
            data
            for kind, _, data in list(self.events)
            if kind == "job" and state in (None, data["state"])
        ]

    def listen(self, answer: httpx.Response) -> None:
        fields: dict[str, str] = {}
        try:
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    fields[name] = value
                elif "event" in fields:
                    event = (fields["event"], fields.get("id", ""), json.loads(fields["data"]))
                    self.events.append(event)
                    fields = {}
        except httpx.TransportError:
            pass
        self.ended = True


@contextmanager
def listening(
    client: httpx.Client, headers: dict[str, str] | None = None, query: str = ""
) -> Iterator[Heard]:
    heard = Heard()
    with client.stream("GET", f"/api/v1/events{query}", headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        thread = threading.Thread(target=heard.listen, args=(answer,), daemon=True)
        thread.start()
        yield heard


@pytest.fixture
def quick(service: Any) -> Any:
    """A service whose events come and beat faster."""
    events = service.app.state.events
    events.poll_s, events.heartbeat_s, events.books_s = 0.05, 0.2, 0.05
    return service


def test_a_job_is_heard_by_its_owner_alone(quick: Any, wait_until: Wait) -> None:
    archive = quick.context.archive
    ann = make_observer(archive, "ann")
    make_observer(archive, "bob")
    with (
        listening(quick.client_for("ann")) as anns,
        listening(quick.client_for("bob")) as bobs,
    ):
        wait_until(lambda: anns.events and bobs.events, "both have their books")
        [made] = make_jobs(archive, ann, 1)
        [lease] = lease_jobs(archive, "host:1", 1, lease_s=60)
        wait_until(lambda: anns.jobs("running"), "the job is told")
        report_progress(archive, lease, step="align", done_frames=2)
        wait_until(lambda: any(j["done_frames"] == 2 for j in anns.jobs()), "progress is told")
        books = {"accepted": 3, "stacked": 0, "rejected": 0, "pending": 3}
        wait_until(lambda: ("books", "", books) in anns.events, "the books are told")
        assert quick.client_for("ann").delete(f"/api/v1/jobs/{made.job_id}").status_code == 204
        wait_until(lambda: anns.jobs("deleted"), "the end is told")
        assert anns.jobs()[-1] == {"id": made.job_id, "state": "deleted"}
        wait_until(lambda: bobs.comments >= 1, "a heartbeat")
        assert bobs.jobs() == []
        assert {"observer_id", "changed", "log"} & set(anns.jobs("running")[0]) == set()


def test_what_was_missed_is_told_again(quick: Any, wait_until: Wait) -> None:
    archive = quick.context.archive
    make_jobs(archive, make_observer(archive, "ann"), 2)
    client = quick.client_for("ann")
    since = client.get("/api/v1/jobs").json()["event_id"]
    [lease] = lease_jobs(archive, "host:1", 1, lease_s=60)
    with listening(client, query=f"?since={since}") as heard:
        wait_until(lambda: heard.jobs("running"), "what happened between is told")
        number = next(number for kind, number, data in heard.events if kind == "job")
    report_progress(archive, lease, done_frames=3)
    with listening(client, {"Last-Event-ID": number}) as heard:
        wait_until(heard.jobs, "what happened meanwhile is told")
        assert [job["id"] for job in heard.jobs()] == [lease.job_id]
        assert heard.jobs()[0]["done_frames"] == 3
    for odd in ("x", "-1", "9" * 60, "\xb2"):
        with listening(client, {b"Last-Event-ID": odd.encode("latin-1")}) as heard:  # type: ignore[dict-item]
            wait_until(lambda heard=heard: heard.events, "an odd number is no number")


def test_one_reader_for_all_and_none_when_nobody_listens(quick: Any, wait_until: Wait) -> None:
    events = quick.app.state.events
    client = quick.client_for("ann")
    with listening(client) as one, listening(client) as two, listening(client) as three:
        wait_until(lambda: all(h.events for h in (one, two, three)), "all listen")
        assert events.n_listeners == 3
        reader = events._reader
        assert reader is not None
    wait_until(lambda: events.n_listeners == 0, "those who left are forgotten")
    wait_until(reader.done, "the reader stops")
    n_reads = events.n_reads
    quick.client_for("ann").get("/api/v1/books")
    assert events.n_reads == n_reads


def test_only_so_many_listen(quick: Any) -> None:
    events = quick.app.state.events
    client = quick.client_for("ann")
    ann = ensure_observer(quick.context.archive, "ann")
    from crowdsky.api.events import Listener

    events._listeners[ann] = {Listener(ann) for _ in range(20)}
    refused = client.get("/api/v1/events")
    assert refused.status_code == 429
    assert refused.json()["limit"] == 20
    assert refused.headers["retry-after"] == "10"
    events._listeners.clear()


def test_a_revoked_key_hears_no_more(quick: Any, wait_until: Wait) -> None:
    archive = quick.context.archive
    client = quick.client_for("ann")
    ann = ensure_observer(archive, "ann")
    with listening(client) as heard:
        wait_until(lambda: heard.events, "somebody listens")
        revoke_key(archive, ann, list_keys(archive, ann)[0].key_id)
        wait_until(lambda: heard.ended, "the answer ends", 15.0)


def test_memory_of_a_slow_listener_is_bounded() -> None:
    import asyncio

    from crowdsky.api.events import MOST_WAITING, Listener

    async def slow() -> list[tuple[str, str, str]]:
        listener = Listener(1)
        for turn in range(5):
            for number in range(MOST_WAITING // 2):
                listener.put(f"job:{number}", "job", str(turn), {"turn": turn})
        assert len(listener._waiting) == MOST_WAITING // 2
        for number in range(3 * MOST_WAITING + 1):
            listener.put(f"job:x{number}", "job", "", {})
        assert len(listener._waiting) <= MOST_WAITING
        return await listener.take(1.0)

    told = asyncio.run(slow())
    assert any(kind == "reset" for kind, _, _ in told)


def test_a_service_that_stops_ends_every_answer(sqlite_settings: Any, wait_until: Wait) -> None:
    from tests.api.conftest import opened, serving

    with opened(sqlite_settings) as context, serving(context) as running:
        client = running.client_for("ann")
        with listening(client) as heard:
            wait_until(lambda: heard.events, "somebody listens")
            # As SIGTERM does it: what never ends by itself is ended, then the server closes.
            running.server.should_exit = True
            wait_until(lambda: heard.ended, "the answer ends")
