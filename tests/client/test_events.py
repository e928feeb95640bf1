"""Events through the client: what happens, what was missed, and a service that goes away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from crowdsky.archive.leases import report_progress
from crowdsky.archive.queue import lease_jobs
from crowdsky.client import Client, Event
from crowdsky.errors import CrowdSkyError, NotAuthenticated
from tests.api.conftest import (  # noqa: F401 - fixtures
    Running,
    sqlite_service,
    sqlite_settings,
    wait_until,
)
from tests.archive.queue_rows import make_jobs, make_observer
from tests.client.stub import Answer, stub

pytestmark = [pytest.mark.enable_socket]

Wait = Callable[..., None]


def told(kind: str, number: str, data: dict[str, Any]) -> bytes:
    return f"event: {kind}\nid: {number}\ndata: {json.dumps(data)}\n\n".encode()


def body(*parts: bytes) -> Answer:
    headers = {"Content-Type": "text/event-stream"}
    return 200, headers, b"".join((b"retry: 3000\n\n", *parts))


def test_an_answer_that_ends_is_asked_for_again_from_where_it_stood() -> None:
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> Answer:
        asked.append(request.headers.get("Last-Event-ID", ""))
        if len(asked) == 2:
            return 503, {"Retry-After": "0"}, b'{"error": "ArchiveUnavailable", "message": "no"}'
        number = str(70 + len(asked))
        return body(b": still here\n\n", told("job", number, {"id": len(asked)}))

    lost: list[CrowdSkyError] = []
    stop = threading.Event()
    heard: list[Event] = []
    with stub(answer) as address, Client(address, "key") as client:
        for event in client.events("70", stop=stop, on_lost=lost.append):
            heard.append(event)
            if event.number == "73":
                stop.set()
    assert asked[:3] == ["70", "71", "71"]
    assert [event.kind for event in heard] == ["open", "pulse", "job", "open", "pulse", "job"]
    assert heard[2] == Event("job", "71", {"id": 1})
    assert [str(error) for error in lost] == ["no"]


def test_nobody_who_is_refused_tries_for_ever() -> None:
    def answer(_: BaseHTTPRequestHandler) -> Answer:
        return 401, {}, b'{"error": "NotAuthenticated", "message": "sign in"}'

    with (
        stub(answer) as address,
        Client(address, "key") as client,
        pytest.raises(NotAuthenticated, match="sign in"),
    ):
        next(client.events())


def test_what_happens_at_a_real_service_is_heard(
    sqlite_service: Running,  # noqa: F811
    wait_until: Wait,  # noqa: F811
) -> None:
    events = sqlite_service.app.state.events
    events.poll_s, events.heartbeat_s, events.books_s = 0.05, 0.2, 0.05
    archive = sqlite_service.context.archive
    made = make_jobs(archive, make_observer(archive, "ann"), 3)
    heard: list[Event] = []
    stop = threading.Event()
    with Client(sqlite_service.url, sqlite_service.key_for("ann")) as client:
        page = client.job_page(limit=2)
        assert [job.id for job in page.jobs] == [made[2].job_id, made[1].job_id]
        assert page.next_after == made[1].job_id
        assert page.counts["queued"] == 3
        assert page.jobs[0].block_start_utc is not None

        def follow() -> None:
            heard.extend(client.events(page.event_id, stop=stop))

        thread = threading.Thread(target=follow)
        thread.start()
        wait_until(lambda: any(event.kind == "books" for event in heard), "it listens")
        [lease] = lease_jobs(archive, "host:1", 1, lease_s=60)
        report_progress(archive, lease, step="align", done_frames=2)
        wait_until(
            lambda: any(event.data.get("done_frames") == 2 for event in heard), "progress is told"
        )
        gone, unknown = client.delete_jobs([made[0].job_id, made[1].job_id, 999_999])
        assert (gone, unknown) == ([made[0].job_id, made[1].job_id], [999_999])
        wait_until(
            lambda: sum(event.data.get("state") == "deleted" for event in heard) == 2, "both go"
        )
        wait_until(lambda: any(event.kind == "pulse" for event in heard), "a heartbeat")
        stop.set()
        thread.join(10.0)
        assert not thread.is_alive()
    assert heard[0] == Event("open")
