"""What may go wrong around a worker: the database, the sweeper, the engine that shows its runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from crowdsky.archive.books import check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import expire_leases
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import Job, Lease, ObjectRow, StackRow
from crowdsky.archive.queue import LeasedJob, lease_jobs
from crowdsky.archive.sweep import sweep
from crowdsky.errors import ArchiveUnavailable
from crowdsky.settings import load_server_settings
from crowdsky.steps import on_step
from crowdsky.work import execute as execute_module
from crowdsky.work.execute import Workshop, execute
from crowdsky.work.fetch import Fetcher
from crowdsky.work.lease_keeper import LeaseKeeper
from crowdsky.work.order import Order, Stacked, carry_out
from crowdsky.work.pool import Stacker
from crowdsky.work.ticket import Ticket
from flows.worker import Worker
from tests.work.nights import Direct, finalise, send, small_block


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def shop(archive: Archive, store: LocalStore, tmp_path: Path) -> Iterator[Workshop]:
    fetcher = Fetcher(store, 2)
    scratch = tmp_path / "scratch"
    yield Workshop(archive, store, Direct(), fetcher, scratch, retry_after_s=0.0)
    fetcher.close()


@pytest.fixture
def at_step() -> Iterator[Callable[[str, Callable[[], Any]], None]]:
    """Have something done once, when a step is reached."""

    def install(name: str, call: Callable[[], Any]) -> None:
        calls = [call]

        def hook(reached: str) -> None:
            if reached == name and calls:
                calls.pop()()

        on_step(hook)

    yield install
    on_step(None)


def queue_blocks(shop: Workshop, folder: Path, n: int = 1, observer: str = "ann") -> int:
    paths = [path for i in range(n) for path in small_block(folder / observer, i, target=observer)]
    observer_id = send(shop.archive, shop.store, paths, observer)
    assert len(finalise(shop.archive, observer_id).job_ids) == n
    return observer_id


def lease(archive: Archive, **facts: Any) -> LeasedJob:
    (one,) = lease_jobs(archive, "here:1:a", 1, lease_s=60.0, **facts)
    return one


def n_stacks(archive: Archive) -> int:
    with archive.reading() as session:
        return session.scalar(select(func.count(StackRow.id))) or 0


AtStep = Callable[[str, Callable[[], Any]], None]


def test_a_sweep_between_storing_and_committing_costs_nothing(
    shop: Workshop, store: LocalStore, tmp_path: Path, at_step: AtStep
) -> None:
    """FAULTS 22: what the sweeper took, because nothing named it yet, is stored again."""
    queue_blocks(shop, tmp_path)
    later = datetime.now(UTC) + timedelta(minutes=5)
    swept: list[Any] = []

    def sweep_now() -> None:
        swept.append(sweep(shop.archive, store, keep_raws_days=7.0, grace_s=0.0, now=later))

    at_step("work.stored_fits", sweep_now)
    assert execute(shop, lease(shop.archive)).state == "done"
    assert swept[0].n_deleted >= 1
    with shop.archive.reading() as session:
        stack = session.scalars(select(StackRow)).one()
        assert session.get_one(ObjectRow, stack.sha256).state == "stored"
    for sha256 in (stack.sha256, stack.preview_sha256, stack.thumbnail_sha256):
        assert store.size(sha256)
    assert check_books(shop.archive) == []


def test_a_sweep_during_a_backlog_takes_no_raw(
    shop: Workshop, store: LocalStore, tmp_path: Path
) -> None:
    """FAULTS 22, regressions 1 and 4: three days of waiting, and a clock that is wrong."""
    queue_blocks(shop, tmp_path, 2)
    held = lease(shop.archive)
    for days in (3, 30, 300):
        now = datetime.now(UTC) + timedelta(days=days)
        sweep(shop.archive, store, keep_raws_days=0.0, grace_s=0.0, now=now)
    assert execute(shop, held).state == "done"
    assert execute(shop, lease(shop.archive)).state == "done"
    assert check_books(shop.archive) == []


def test_a_database_that_is_away_is_waited_for(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 19: a finished stack is not thrown away because nobody can be told of it."""
    queue_blocks(shop, tmp_path)
    monkeypatch.setattr(execute_module, "OUTAGE_REST_S", 0.0)
    outages = {"commit_stack": 3, "store_file": 2, "report_progress": 2}
    for name in outages:
        whole = getattr(execute_module, name)

        def flaky(*args: Any, _name: str = name, _whole: Any = whole, **named: Any) -> Any:
            if outages[_name]:
                outages[_name] -= 1
                raise ArchiveUnavailable("the database cannot be used just now (gone)")
            return _whole(*args, **named)

        monkeypatch.setattr(execute_module, name, flaky)
    assert execute(shop, lease(shop.archive)).state == "done"
    assert not any(outages.values())
    assert n_stacks(shop.archive) == 1


def test_a_commit_whose_answer_was_lost_is_no_failure(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_blocks(shop, tmp_path)
    monkeypatch.setattr(execute_module, "OUTAGE_REST_S", 0.0)
    whole = execute_module.commit_stack

    def commit_and_vanish(*args: Any, **named: Any) -> int:
        whole(*args, **named)
        raise ArchiveUnavailable("the database cannot be used just now (gone)")

    monkeypatch.setattr(execute_module, "commit_stack", commit_and_vanish)
    outcome = execute(shop, lease(shop.archive))
    with shop.archive.reading() as session:
        stack_id = session.scalars(select(StackRow.id)).one()
    assert (outcome.state, outcome.stack_id) == ("done", stack_id)


def test_two_workers_on_one_job_give_one_stack(
    shop: Workshop, tmp_path: Path, at_step: AtStep
) -> None:
    """FAULTS 17: one that was taken for dead comes back when another has done its job."""
    queue_blocks(shop, tmp_path)
    slow = lease(shop.archive)
    later = datetime.now(UTC) + timedelta(hours=1)

    def overtaken() -> None:
        expired = expire_leases(shop.archive, retry_after_s=0.0, max_attempts=3, now=later)
        assert expired == [slow.job_id]
        assert execute(shop, lease(shop.archive, now=later)).state == "done"

    at_step("work.stored_webp", overtaken)
    assert execute(shop, slow).state == "lost"
    assert n_stacks(shop.archive) == 1
    assert check_books(shop.archive) == []
    assert not list(shop.scratch.iterdir())


def test_the_keeper_renews_tells_and_notices(shop: Workshop, tmp_path: Path) -> None:
    """Regression 3: a heartbeat, and a lease that is gone stops the work."""
    queue_blocks(shop, tmp_path, 2)
    leases = lease_jobs(shop.archive, "here:1:a", 2, lease_s=0.001)
    tickets = [Ticket(), Ticket()]
    keeper = LeaseKeeper(shop.archive, lease_s=60.0)
    for held, ticket in zip(leases, tickets, strict=True):
        keeper.add(held, ticket)
    tickets[0].count_with(lambda: 1)
    keeper.beat()
    with shop.archive.reading() as session:
        ends = list(session.scalars(select(Lease.expires_utc)))
        assert session.get_one(Job, leases[0].job_id).done_frames == 1
    assert min(ends) > datetime.now(UTC) + timedelta(seconds=50)
    later = datetime.now(UTC) + timedelta(hours=1)
    expire_leases(shop.archive, retry_after_s=0.0, max_attempts=3, now=later)
    keeper.beat()
    assert [ticket.reason for ticket in tickets] == ["lost", "lost"]
    assert execute(shop, leases[0], tickets[0]).state == "lost"


class Fair:
    """Notes whose blocks are stacked, in which order."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def stack(self, order: Order, ticket: Ticket) -> Stacked:
        self.order.append(order.block.target)
        return carry_out(order)


def run_worker(shop: Workshop, folder: Path, stacker: Stacker) -> list[str]:
    settings = load_server_settings(
        {"CROWDSKY_HOME": str(folder), "CROWDSKY_JOBS": "1", "CROWDSKY_RETRY_AFTER_S": "0"}
    )
    ended: list[str] = []

    async def run() -> None:
        worker = Worker(
            settings, shop.archive, shop.store, stacker, name="here:1:a", prefect=False,
            until_empty=True, on_outcome=lambda _lease, outcome: ended.append(outcome.state),
        )  # fmt: skip
        await worker.run()

    asyncio.run(run())
    return ended


def test_a_night_of_many_blocks_does_not_starve_another(shop: Workshop, tmp_path: Path) -> None:
    queue_blocks(shop, tmp_path, 10, observer="busy")
    queue_blocks(shop, tmp_path, 1, observer="single")
    fair = Fair()
    assert run_worker(shop, tmp_path, fair) == ["done"] * 11
    assert "single" in fair.order[:4]
    assert check_books(shop.archive) == []


class Buggy:
    """Fails in a way that nobody foresaw, the first time."""

    def __init__(self) -> None:
        self.calls = 0

    def stack(self, order: Order, ticket: Ticket) -> Stacked:
        self.calls += 1
        if self.calls == 1:
            raise ZeroDivisionError("division by zero")
        return carry_out(order)


def test_an_unforeseen_error_ends_a_try_and_not_the_worker(shop: Workshop, tmp_path: Path) -> None:
    queue_blocks(shop, tmp_path, 2)
    ended = run_worker(shop, tmp_path, Buggy())
    assert sorted(ended) == ["done", "done", "queued"]
    with shop.archive.reading() as session:
        logs = list(session.scalars(select(Job.log)))
    assert "try 1: ZeroDivisionError: division by zero" in logs
    assert check_books(shop.archive) == []
