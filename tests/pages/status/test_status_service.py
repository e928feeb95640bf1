"""The Status page's widget against a real service; a list in place of the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from crowdsky.archive.commit import commit_stack
from crowdsky.archive.leases import fail_attempt, report_progress
from crowdsky.archive.models import Job, Lease
from crowdsky.archive.queue import lease_jobs
from crowdsky.client import Client
from crowdsky.errors import LeaseLost, NotFound
from crowdsky.pages.status.view import StatusPage
from tests.api.conftest import (  # noqa: F401 - fixtures
    Running,
    serving,
    sqlite_service,
    sqlite_settings,
    wait_until,
)
from tests.archive.queue_rows import NOW, make_jobs, make_observer, new_stack

pytestmark = [pytest.mark.enable_socket]

Wait = Callable[..., None]


class Shown(StatusPage):
    """The widget, with what it would send to a browser in a list."""

    def __init__(self, client: Client) -> None:
        self.told: list[dict[str, Any]] = []
        self.jobs: dict[int, dict[str, Any]] = {}
        self.head: dict[str, Any] = {}
        self.books: dict[str, int] = {}
        super().__init__(lambda: client)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.told.append(content)
        if content["type"] == "changes":
            for row in content.get("rows", ()):
                self.jobs[row["id"]] = row
            for number in content.get("gone", ()):
                del self.jobs[number]
            self.head = content.get("head", self.head)
            self.books = content.get("books", self.books)

    def front_end_sends(self, **message: Any) -> None:
        self._hear(self, message, [])

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in list(self.told) if one["type"] == kind]


@contextmanager
def shown(service: Running, name: str) -> Iterator[Shown]:
    with Client(service.url, service.key_for(name), patience_s=5.0) as client:
        page = Shown(client)
        page.front_end_sends(type="hello", url="http://x/status", query="?state=failed")
        yield page
        leave(page)


def leave(page: Shown) -> None:
    page.close()
    assert page._follower is not None
    page._follower.stop(wait_s=20.0)
    page._workers.shutdown()


@pytest.fixture
def quick(sqlite_service: Running) -> Running:  # noqa: F811
    """A service whose events come and beat faster."""
    hasten(sqlite_service)
    return sqlite_service


def hasten(service: Running) -> None:
    events = service.app.state.events
    events.poll_s, events.heartbeat_s, events.books_s = 0.05, 0.2, 0.05


def test_jobs_of_every_state_are_shown_and_followed(quick: Running, wait_until: Wait) -> None:  # noqa: F811
    archive = quick.context.archive
    ann = make_observer(archive, "ann")
    make_jobs(archive, make_observer(archive, "bob"), 2)
    first, second, third, fourth = make_jobs(archive, ann, 4)
    leases = {lease.job_id: lease for lease in lease_jobs(archive, "host:1", 5, lease_s=60)}
    commit_stack(archive, leases[first.job_id], new_stack(archive, first))
    fail_attempt(archive, leases[second.job_id], "the Moon", retry_after_s=1, max_attempts=1)
    with shown(quick, "ann") as page:
        wait_until(lambda: page.head.get("loaded") and page.books, "all of it is shown")
        # The first message has figures and rows, not only the last one.
        assert page.told[0]["head"]["total"] == 4
        assert len(page.told[0]["rows"]) == 4
        states = {number: job["state"] for number, job in page.jobs.items()}
        assert states == {
            first.job_id: "done",
            second.job_id: "failed",
            third.job_id: "running",
            fourth.job_id: states[fourth.job_id],
        }
        assert page.jobs[second.job_id]["reason"] == "the Moon"
        assert page.books == {"accepted": 12, "stacked": 2, "rejected": 1, "pending": 9}
        report_progress(archive, leases[third.job_id], step="align", done_frames=2)
        wait_until(lambda: page.jobs[third.job_id].get("done") == 2, "progress is shown")
        [late] = make_jobs(archive, ann, 1)
        lease_jobs(archive, "host:2", 5, lease_s=60)
        wait_until(lambda: late.job_id in page.jobs, "a new job is shown")

        page.front_end_sends(type="log", ids=[second.job_id])
        wait_until(lambda: page.heard("log"), "the log comes")
        assert "the Moon" in page.heard("log")[0]["log"]
        page.front_end_sends(type="open", ids=[first.job_id])
        wait_until(lambda: page.heard("frames"), "the ledger comes")
        fates = [(one["name"], one["state"]) for one in page.heard("frames")[0]["frames"]]
        assert fates == [
            ("Light_0.fit", "stacked"),
            ("Light_1.fit", "stacked"),
            ("Light_2.fit", "rejected"),
        ]
        page.front_end_sends(type="retry", ids=[second.job_id])
        wait_until(lambda: page.heard("retried"), "it is queued again")
        assert page.jobs[second.job_id]["state"] == "queued"
        page.front_end_sends(type="retry", ids=[first.job_id])
        wait_until(lambda: page.heard("refused"), "a finished job is not tried again")
        assert page.heard("refused")[0]["ids"] == [first.job_id]


def test_a_silent_workers_job_is_marked_by_itself(quick: Running, wait_until: Wait) -> None:  # noqa: F811
    archive = quick.context.archive
    [made] = make_jobs(archive, make_observer(archive, "ann"), 1)
    lease_jobs(archive, "host:1", 1, lease_s=60)
    with shown(quick, "ann") as page:
        wait_until(lambda: made.job_id in page.jobs, "the job is shown")
        assert "orphaned" not in page.jobs[made.job_id]
        # Nothing tells of a lease that runs out: no row of the job changes.
        with archive.writing() as session:
            session.execute(update(Lease).values(expires_utc=NOW - timedelta(days=1)))
        wait_until(lambda: page.jobs[made.job_id].get("orphaned"), "it is marked")


@pytest.mark.parametrize("state", ["queued", "running", "orphaned", "done", "failed"])
def test_a_job_of_any_state_is_deleted(quick: Running, wait_until: Wait, state: str) -> None:  # noqa: F811
    archive = quick.context.archive
    ann = make_observer(archive, "ann")
    made, other = make_jobs(archive, ann, 2)
    lease = None
    if state != "queued":
        lease = next(
            one for one in lease_jobs(archive, "host:1", 2, lease_s=60) if one.job_id == made.job_id
        )
    if state == "orphaned":
        with archive.writing() as session:
            session.execute(update(Lease).values(expires_utc=NOW - timedelta(days=1)))
    if lease is not None and state == "done":
        commit_stack(archive, lease, new_stack(archive, made))
    if lease is not None and state == "failed":
        fail_attempt(archive, lease, "the Moon", retry_after_s=1, max_attempts=1)
    with shown(quick, "ann") as page:
        wait_until(lambda: len(page.jobs) == 2, "the jobs are shown")
        page.front_end_sends(type="delete", ids=[made.job_id])
        page.front_end_sends(type="delete", ids=[made.job_id])  # a double click
        wait_until(lambda: len(page.heard("deleted")) == 2, "both clicks are answered")
        assert page.heard("refused") == []
        assert set(page.jobs) == {other.job_id}
    with archive.reading() as session:
        assert session.scalars(select(Job.id)).all() == [other.job_id]
    if lease is not None and state in ("running", "orphaned"):
        with pytest.raises(LeaseLost):  # so the worker stops, and nothing comes of it
            report_progress(archive, lease, done_frames=1)


def test_a_job_of_somebody_else_stays(quick: Running, wait_until: Wait) -> None:  # noqa: F811
    archive = quick.context.archive
    [theirs] = make_jobs(archive, make_observer(archive, "bob"), 1)
    [own] = make_jobs(archive, make_observer(archive, "ann"), 1)
    with shown(quick, "ann") as page:
        wait_until(lambda: page.jobs, "the job is shown")
        page.front_end_sends(type="delete", ids=[theirs.job_id, own.job_id])
        page.front_end_sends(type="delete", ids=[theirs.job_id])
        page.front_end_sends(type="retry", ids=[theirs.job_id])
        page.front_end_sends(type="open", ids=[theirs.job_id])
        wait_until(lambda: len(page.heard("refused")) == 2, "nothing is told of it")
        wait_until(lambda: len(page.heard("deleted")) == 2, "and it is not there for ann")
        assert page.heard("frames") == []
        assert page.jobs == {}
        with pytest.raises(NotFound):
            page._client_of().job(theirs.job_id)
    with archive.reading() as session:
        assert session.scalars(select(Job.id)).all() == [theirs.job_id]


def test_what_is_deleted_elsewhere_goes(quick: Running, wait_until: Wait) -> None:  # noqa: F811
    archive = quick.context.archive
    made = make_jobs(archive, make_observer(archive, "ann"), 3)
    with shown(quick, "ann") as page, shown(quick, "ann") as other:
        wait_until(lambda: len(page.jobs) == len(other.jobs) == 3, "both tabs show them")
        other.front_end_sends(type="delete", ids=[made[0].job_id, made[2].job_id])
        wait_until(lambda: set(page.jobs) == {made[1].job_id}, "they go in the other tab too")


def test_a_service_that_goes_away_is_told_and_what_was_missed_is_shown(
    quick: Running,
    wait_until: Wait,  # noqa: F811
) -> None:
    archive = quick.context.archive
    ann = make_observer(archive, "ann")
    first, second = make_jobs(archive, ann, 2)
    key = quick.key_for("ann")
    with serving(quick.context) as away:
        hasten(away)
        with Client(away.url, key, patience_s=0.5) as client:
            page = Shown(client)
            page.front_end_sends(type="hello", url="", query="")
            wait_until(lambda: len(page.jobs) == 2 and page.books, "the jobs are shown")
            away.server.should_exit = True
            wait_until(lambda: page.head["delayed"], "it is said that this is of before")
            assert len(page.jobs) == 2
            # The same address answers again, by the service that is still there.
            assert quick.client_for("ann").delete(f"/api/v1/jobs/{first.job_id}").is_success
            client._transport.server = quick.url
            wait_until(lambda: not page.head["delayed"], "it is live again")
            wait_until(lambda: set(page.jobs) == {second.job_id}, "what was missed is shown")
            leave(page)


def test_two_thousand_jobs_come_in_few_messages(quick: Running, wait_until: Wait) -> None:  # noqa: F811
    archive = quick.context.archive
    make_jobs(archive, make_observer(archive, "ann"), 2000, n_frames=1)
    with shown(quick, "ann") as page:
        wait_until(lambda: page.head.get("loaded"), "all are read")
        assert len(page.jobs) == 2000
        assert page.told[0]["head"]["total"] == 2000
        assert len(page.told) <= 6
        page.front_end_sends(type="hello", url="", query="")
        anew = [one for one in page.heard("changes") if one.get("anew")]
        assert len(anew[0]["rows"]) == 2000
