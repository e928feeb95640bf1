"""Deleting a job: in one safe order, as often as one likes, whoever works on it."""

from __future__ import annotations

import itertools
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from crowdsky.archive.books import check_books
from crowdsky.archive.commit import commit_nothing, commit_stack
from crowdsky.archive.delete_job import delete_job
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import expire_leases, fail_attempt, renew_leases
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import (
    AuditEntry,
    Batch,
    BlockRow,
    FrameRow,
    Job,
    Lease,
    ObjectRow,
    Observer,
    StackInput,
    StackRow,
)
from crowdsky.archive.objects import store_file
from crowdsky.archive.queue import LeasedJob, lease_jobs
from crowdsky.archive.sweep import sweep
from crowdsky.errors import Conflict, LeaseLost
from tests.archive.crash import killed_at, steps_of
from tests.archive.polling import until
from tests.archive.queue_rows import (
    KEPT,
    NOW,
    MadeJob,
    digest,
    make_jobs,
    make_observer,
    new_stack,
)

_nights = itertools.count(1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def filled(archive: Archive, store: LocalStore, n: int = 1, name: str = "ada") -> list[MadeJob]:
    """Queued jobs whose raws lie in the store."""
    with archive.reading() as session:
        known = session.scalar(select(Observer.id).where(Observer.name == name))
    observer = known or make_observer(archive, name)
    made = make_jobs(archive, observer, n, word=f"{next(_nights)} ")
    for job in made:
        for raw in job.raws:
            put_raw(archive, store, raw)
    return made


def put_raw(archive: Archive, store: LocalStore, raw: str) -> None:
    """The rows call raws by the digest of their names, so a file of any content stands for one."""
    path = store.root / raw[:2] / raw
    path.parent.mkdir(exist_ok=True)
    path.write_text("raw")


def files(store: LocalStore) -> set[str]:
    return {file.sha256 for file in store.files()}


def count(archive: Archive, table: Any) -> int:
    with archive.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def lease_one(archive: Archive) -> LeasedJob:
    (lease,) = lease_jobs(archive, "w", 1, lease_s=60, now=NOW)
    return lease


def test_a_waiting_job_goes_with_its_frames_and_files(archive: Archive, store: LocalStore) -> None:
    first, second = filled(archive, store, 2)
    assert delete_job(archive, store, first.observer_id, first.job_id)
    assert files(store) == set(second.raws)
    for table, n in ((Job, 1), (BlockRow, 1), (FrameRow, 3), (Batch, 1), (ObjectRow, 3)):
        assert count(archive, table) == n
    with archive.reading() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "job.delete")).one()
        assert (entry.actor, entry.subject) == ("ada", f"job:{first.job_id}")
        assert entry.detail == {"state": "queued", "raws": 3}
    assert check_books(archive) == []
    assert delete_job(archive, store, first.observer_id, first.job_id) is False
    assert delete_job(archive, store, second.observer_id, second.job_id)
    assert (files(store), count(archive, Batch)) == (set(), 0)


def test_another_s_job_is_not_there(archive: Archive, store: LocalStore) -> None:
    (made,) = filled(archive, store)
    bob = make_observer(archive, "bob")
    assert delete_job(archive, store, bob, made.job_id) is False
    assert delete_job(archive, store, made.observer_id, 10**9) is False
    assert (count(archive, Job), files(store)) == (1, set(made.raws))


def test_a_running_job_s_worker_stops_and_leaves_no_orphan(
    archive: Archive, store: LocalStore, tmp_path: Path
) -> None:
    (made,) = filled(archive, store)
    lease = lease_one(archive)
    stack = new_stack(archive, made)
    uploaded = tmp_path / "stack.fit"
    uploaded.write_text("the worker's stack")
    sha256 = digest("the worker's stack")
    store_file(archive, store, uploaded, sha256, "stack")
    assert delete_job(archive, store, made.observer_id, made.job_id)
    assert renew_leases(archive, [lease], lease_s=60) == set()
    with pytest.raises(LeaseLost):
        commit_stack(archive, lease, stack)
    with pytest.raises(LeaseLost):
        commit_nothing(archive, lease, stack.frames, "no stars")
    with pytest.raises(LeaseLost):
        fail_attempt(archive, lease, "no stars", retry_after_s=0, max_attempts=1)
    assert files(store) == {sha256}
    sweep(archive, store, keep_raws_days=7, grace_s=0)
    assert files(store) == set()
    assert count(archive, StackRow) == count(archive, ObjectRow) == 0
    assert check_books(archive) == []


def test_a_finished_job_s_stack_and_ledger_stay(archive: Archive, store: LocalStore) -> None:
    (made,) = filled(archive, store)
    commit_stack(archive, lease_one(archive), new_stack(archive, made))
    assert delete_job(archive, store, made.observer_id, made.job_id)
    assert files(store) == set()
    for table, n in ((Job, 0), (StackRow, 1), (StackInput, 3), (FrameRow, 3), (BlockRow, 1)):
        assert count(archive, table) == n
    with archive.reading() as session:
        assert set(session.scalars(select(FrameRow.raw_gone))) == {True}
        kinds = sorted(session.scalars(select(ObjectRow.kind)))
    assert [kind for kind in kinds if kind != "raw"] == ["preview", "preview", "stack"]
    assert len(KEPT) == 3
    assert check_books(archive) == []


def test_a_failed_job_goes_wholly(archive: Archive, store: LocalStore) -> None:
    (made,) = filled(archive, store)
    lease = lease_one(archive)
    commit_nothing(archive, lease, new_stack(archive, made).frames, "too few")
    assert delete_job(archive, store, made.observer_id, made.job_id)
    assert (count(archive, FrameRow), count(archive, BlockRow)) == (0, 0)
    assert files(store) == set()


def test_a_raw_that_another_s_job_needs_stays(archive: Archive, store: LocalStore) -> None:
    (mine,) = filled(archive, store)
    (other,) = make_jobs(archive, make_observer(archive, "bob"), 1)
    with archive.writing() as session:
        session.execute(
            update(FrameRow).where(FrameRow.id == other.frame_ids[0]).values(sha256=mine.raws[0])
        )
    assert delete_job(archive, store, mine.observer_id, mine.job_id)
    assert files(store) == {mine.raws[0]}


def test_a_second_stacking_that_is_deleted_leaves_the_first(
    archive: Archive, store: LocalStore
) -> None:
    (made,) = filled(archive, store)
    commit_stack(archive, lease_one(archive), new_stack(archive, made))
    with archive.writing() as session:
        old = session.get_one(Job, made.job_id)
        again = Job(
            observer_id=made.observer_id,
            batch_id=old.batch_id,
            block_id=made.block_id,
            not_before_utc=NOW,
            n_frames=3,
            created_utc=NOW,
            changed_utc=NOW,
        )
        session.add(again)
    # The first job's row may go; the second still needs the raws.
    assert delete_job(archive, store, made.observer_id, made.job_id)
    assert files(store) == set(made.raws)
    assert delete_job(archive, store, made.observer_id, again.id)
    assert files(store) == set()
    assert (count(archive, StackRow), count(archive, FrameRow)) == (1, 3)
    assert check_books(archive) == []


def test_delete_and_commit_at_once(archive: Archive, store: LocalStore) -> None:
    for _ in range(6):
        (made,) = filled(archive, store)
        lease = lease_one(archive)
        stack = new_stack(archive, made)
        before = count(archive, StackRow)
        start = threading.Barrier(3)
        committed: list[bool] = []
        deleted: list[bool] = []

        def commit(lease: LeasedJob = lease, stack: Any = stack) -> None:
            start.wait()  # noqa: B023
            try:
                commit_stack(archive, lease, stack)
            except (LeaseLost, Conflict):
                committed.append(False)  # noqa: B023
            else:
                committed.append(True)  # noqa: B023

        def remove(made: MadeJob = made) -> None:
            start.wait()  # noqa: B023
            deleted.append(delete_job(archive, store, made.observer_id, made.job_id))  # noqa: B023

        threads = [threading.Thread(target=act) for act in (commit, remove, remove)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(deleted) == [False, True]
        assert count(archive, StackRow) - before == committed.count(True)
        assert count(archive, Job) == count(archive, Lease) == 0
        assert check_books(archive) == []
    sweep(archive, store, keep_raws_days=0, grace_s=0)
    assert files(store) == set()


def child_delete(url: str, root: Path, made: MadeJob) -> None:
    with closing(Archive(url)) as archive:
        delete_job(archive, LocalStore(root), made.observer_id, made.job_id)


@pytest.mark.slow
@pytest.mark.parametrize("running", [False, True])
def test_killed_at_every_step_of_delete_nothing_is_half_gone(
    archive: Archive, database_url: str, store: LocalStore, running: bool
) -> None:
    (made,) = filled(archive, store)
    labels = steps_of(lambda: child_delete(database_url, store.root, made))
    assert {"delete.locked", "delete.rows_gone", "delete.committed", "delete.done"} <= set(labels)
    assert files(store) == set()
    for label in labels:
        (made,) = filled(archive, store)
        lease = lease_one(archive) if running else None
        killed_at(label, child_delete, database_url, store.root, made)
        gone = count(archive, Job) == 0
        assert gone == (labels.index(label) >= labels.index("delete.committed"))
        if not gone:
            assert count(archive, FrameRow) == 3
            assert files(store) == set(made.raws)
            if lease is not None:
                assert renew_leases(archive, [lease], lease_s=60) == {made.job_id}
            until(lambda: delete_job(archive, store, made.observer_id, made.job_id))  # noqa: B023
        assert delete_job(archive, store, made.observer_id, made.job_id) is False
        assert expire_leases(archive, retry_after_s=0, max_attempts=3) == []
        until(lambda: nothing_is_left(archive, store))
        assert check_books(archive) == []


def nothing_is_left(archive: Archive, store: LocalStore) -> bool:
    """A sweep takes what a dead process left; it may hold its locks for a moment longer."""
    sweep(archive, store, keep_raws_days=7, grace_s=0)
    tables = (Job, Lease, FrameRow, BlockRow, Batch, ObjectRow)
    return files(store) == set() and not any(count(archive, table) for table in tables)
