"""What goes, what stays, and who may be at it at the same time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from crowdsky.archive import sweep as sweep_module
from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.books import books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.finalise import create_jobs
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import (
    Download,
    FrameRow,
    Job,
    ObjectRow,
    StackInput,
    StackRow,
)
from crowdsky.archive.objects import begin_object, keep_object
from crowdsky.archive.sweep import SweepReport, delete_unneeded, needed, sweep
from crowdsky.errors import StoreError
from crowdsky.steps import on_step
from tests.archive.sent_frames import START, Sender, end_job, make_header, rows, stored

LABELS = ("sweep.condemning", "sweep.condemned", "sweep.unlinked", "sweep.removed")


class Killed(BaseException):
    """What a test throws at a step: nothing of the process runs after it."""


@pytest.fixture
def sender(archive: Archive, tmp_path: Path) -> Sender:
    return Sender(archive, tmp_path / "sent")


@pytest.fixture
def observer(archive: Archive) -> int:
    return ensure_observer(archive, "ada")


def swept(sender: Sender, **options: Any) -> SweepReport:
    return sweep(
        sender.archive, sender.store, **({"keep_raws_days": 0.0, "grace_s": 0.0} | options)
    )


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def make_block(sender: Sender, observer: int, quarter: int, n: int = 2) -> int:
    """A queued job of some frames."""
    for number in range(n):
        sender.send(observer, make_header(900.0 * quarter + 10 * number))
    (job_id,) = create_jobs(sender.archive, observer).job_ids
    return job_id


def raws(archive: Archive) -> set[str]:
    return {frame.sha256 for frame in rows(archive, FrameRow)}


def lay_files_of_stacks(sender: Sender) -> None:
    """Files for the stacks that `end_job` made as rows."""
    for word in ("s", "p", "t"):
        for job in rows(sender.archive, Job):
            path, sha256 = sender.file(f"{word} {job.id}")
            with sender.archive.reading() as session:
                if session.get(ObjectRow, sha256) is not None:
                    sender.store.put(path, sha256, consume=True)


def test_days_of_backlog_cost_nothing(archive: Archive, sender: Sender, observer: int) -> None:
    """Nothing goes that an unfinished job needs: queued, running, failed, or not made yet."""
    make_block(sender, observer, 0)
    end_job(archive, make_block(sender, observer, 1), "running")
    broken = make_block(sender, observer, 2)
    with archive.writing() as session:  # every try of it broke down
        job = session.get_one(Job, broken)
        job.state, job.reason, job.finished_utc = "failed", "no memory", START
    sender.send(observer, make_header(9000))
    there = raws(archive)
    assert len(there) == 7
    for days in (0, 3, 1000):
        report = swept(sender, now=in_days(days))
        assert report == SweepReport(0, 0, 0, 0, 0)
        assert str(report) == "0 files removed (0.0 MB)"
    assert stored(sender.store) == there
    assert not any(frame.raw_gone for frame in rows(archive, FrameRow))


def test_raws_are_kept_for_a_while_after_their_stack(
    archive: Archive, sender: Sender, observer: int
) -> None:
    job_id = make_block(sender, observer, 0, n=3)
    end_job(archive, job_id, "done", n_rejected=1)
    lay_files_of_stacks(sender)
    with archive.writing() as session:
        session.get_one(Job, job_id).finished_utc = in_days(1)
    there = raws(archive)
    assert swept(sender, keep_raws_days=7, now=in_days(7.9)).n_deleted == 0
    report = swept(sender, keep_raws_days=7, now=in_days(8.1))
    assert report.n_deleted == 3
    assert report.n_bytes == sum(frame.n_bytes for frame in rows(archive, FrameRow))
    assert there.isdisjoint(stored(sender.store))
    assert len(stored(sender.store)) == 3  # the stack, its preview, its thumbnail
    assert all(frame.raw_gone for frame in rows(archive, FrameRow))
    assert books(archive).stacked == 2
    assert check_books(archive) == []
    # What frames still name stays as a row without a file, and is not swept over and over.
    states = {row.sha256: row.state for row in rows(archive, ObjectRow)}
    assert {states[sha256] for sha256 in there} == {"writing"}
    assert swept(sender, now=in_days(100)).n_deleted == 0
    # A stacked frame that is sent again is known, and its bytes are not stored again.
    assert len(stored(sender.store)) == 3


def test_raws_of_a_block_that_came_to_nothing(
    archive: Archive, sender: Sender, observer: int
) -> None:
    job_id = make_block(sender, observer, 0)
    end_job(archive, job_id, "failed")
    with archive.writing() as session:
        session.get_one(Job, job_id).finished_utc = in_days(0)
    assert swept(sender, keep_raws_days=7, now=in_days(6)).n_deleted == 0
    assert swept(sender, keep_raws_days=7, now=in_days(8)).n_deleted == 2


def test_rejected_before_it_came_into_a_block(
    archive: Archive, sender: Sender, observer: int
) -> None:
    sender.send(observer, make_header(0, n_stacked=30))
    assert create_jobs(archive, observer).n_rejected == 1
    assert swept(sender, keep_raws_days=7, now=in_days(6)).n_deleted == 0
    assert swept(sender, keep_raws_days=7, now=in_days(8)).n_deleted == 1


def test_raws_that_are_to_be_stacked_again(archive: Archive, sender: Sender, observer: int) -> None:
    end_job(archive, make_block(sender, observer, 0), "done")
    lay_files_of_stacks(sender)
    sender.send(observer, make_header(30))
    assert len(create_jobs(archive, observer).job_ids) == 1  # a new job for the same block
    there = raws(archive)
    assert swept(sender, now=in_days(30)).n_deleted == 0
    assert there <= stored(sender.store)


def test_the_same_bytes_of_two_observers(archive: Archive, sender: Sender, observer: int) -> None:
    other = ensure_observer(archive, "bob")
    sender.send(observer, make_header(0), "the same")
    sender.send(other, make_header(0, device="S50_other"), "the same")
    (job_id,) = create_jobs(archive, observer).job_ids
    end_job(archive, job_id, "failed")
    assert swept(sender, now=in_days(30)).n_deleted == 0
    (job_id,) = create_jobs(archive, other).job_ids
    end_job(archive, job_id, "failed")
    assert swept(sender, now=in_days(30)).n_deleted == 1
    assert [frame.raw_gone for frame in rows(archive, FrameRow)] == [True, True]


def test_files_of_a_stack_go_with_it_unless_they_are_being_downloaded(
    archive: Archive, sender: Sender, observer: int
) -> None:
    end_job(archive, make_block(sender, observer, 0), "done")
    lay_files_of_stacks(sender)
    (stack,) = rows(archive, StackRow)
    with archive.writing() as session:
        session.add(
            Download(
                id="d",
                observer_id=observer,
                title="",
                entries=[{"name": "stack.fit", "deep": [{"file": stack.sha256}]}],
                n_bytes=1,
                created_utc=START,
                expires_utc=in_days(1),
            )
        )
        session.execute(delete(StackInput))
        session.execute(delete(StackRow))
        session.execute(delete(Job))
        for frame in session.query(FrameRow):
            frame.state, frame.reason = "rejected", "its stack was deleted"
    assert swept(sender).n_deleted == 2 + 2  # two raws, preview and thumbnail
    assert stored(sender.store) == {stack.sha256}
    with archive.reading() as session:
        assert needed(session, stack.sha256)
        assert not needed(session, stack.sha256, now=in_days(2))
        assert not needed(session, "0" * 64)
    assert swept(sender, now=in_days(2)).n_deleted == 1
    assert stored(sender.store) == set()
    assert {row.kind for row in rows(archive, ObjectRow)} == {"raw"}


def test_files_without_rows(archive: Archive, sender: Sender) -> None:
    orphans = []
    for number, days in enumerate((-2.0, 0.0, 400.0)):  # the store's clock may be anywhere
        path, sha256 = sender.file(f"orphan {number}")
        sender.store.put(path, sha256)
        local = sender.store.local_path(sha256)
        assert local is not None
        moment = in_days(days).timestamp()
        os.utime(local, (moment, moment))
        orphans.append(sha256)
    assert swept(sender, grace_s=3600).n_orphans == 1
    assert stored(sender.store) == set(orphans[1:])
    report = swept(sender, now=in_days(500))
    assert (report.n_deleted, report.n_orphans) == (2, 2)
    assert str(report) == "2 files removed (0.0 MB), 2 of them without a row"
    assert stored(sender.store) == set()
    assert rows(archive, ObjectRow) == []


def test_rows_of_writers_that_died(archive: Archive, sender: Sender) -> None:
    path, stored_sha256 = sender.file("stored")
    begin_object(archive, stored_sha256, 6, "stack")
    sender.store.put(path, stored_sha256)
    _, begun = sender.file("begun")
    begin_object(archive, begun, 5, "raw")
    assert swept(sender, grace_s=3600).n_deleted == 0
    assert len(rows(archive, ObjectRow)) == 2
    swept(sender, grace_s=3600, now=in_days(1))
    assert rows(archive, ObjectRow) == []
    assert stored(sender.store) == set()


def test_skewed_clocks_take_nothing_that_is_needed(
    archive: Archive, sender: Sender, observer: int
) -> None:
    make_block(sender, observer, 0)
    for sha256, days in zip(sorted(stored(sender.store)), (-400, 400), strict=True):
        local = sender.store.local_path(sha256)
        assert local is not None
        moment = in_days(days).timestamp()
        os.utime(local, (moment, moment))
    with archive.writing() as session:
        for row in session.query(ObjectRow):
            row.touched_utc = in_days(-400)
    for days in (-400, 0, 400):
        assert swept(sender, now=in_days(days)).n_deleted == 0
    assert raws(archive) == stored(sender.store)


def unneeded_raws(sender: Sender, observer: int, n: int) -> set[str]:
    """Raws of a block that came to nothing."""
    job_id = make_block(sender, observer, 0, n=n)
    end_job(sender.archive, job_id, "failed")
    return raws(sender.archive)


def test_two_sweepers_at_once(archive: Archive, sender: Sender, observer: int) -> None:
    unneeded_raws(sender, observer, 30)
    sender.send(observer, make_header(90_000))
    begin = threading.Barrier(3)

    def run(_: int) -> int:
        begin.wait()
        return swept(sender).n_deleted

    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(run, range(3)))
    counts.append(swept(sender).n_deleted)
    assert sum(counts) == 30
    assert len(stored(sender.store)) == 1
    assert check_books(archive) == []


def at_step(label: str, act: Callable[[], Any]) -> Callable[[str], None]:
    """A hook that acts once, when a step is first reached."""
    todo = [act]

    def hook(name: str) -> None:
        if name == label and todo:
            todo.pop()()

    return hook


def kill() -> None:
    raise Killed


@pytest.mark.parametrize("label", LABELS)
def test_a_sweeper_that_is_killed(
    archive: Archive, sender: Sender, observer: int, label: str
) -> None:
    gone = unneeded_raws(sender, observer, 3)
    sender.send(observer, make_header(90_000))
    on_step(at_step(label, kill))
    try:
        with pytest.raises(Killed):
            swept(sender)
    finally:
        on_step(None)
    assert check_books(archive) == []
    if label == "sweep.condemning":
        assert gone <= stored(sender.store)  # nothing was removed before that was written down
        assert not any(frame.raw_gone for frame in rows(archive, FrameRow))
    swept(sender)
    assert len(stored(sender.store)) == 1
    assert gone.isdisjoint(stored(sender.store))
    assert "condemned" not in {row.state for row in rows(archive, ObjectRow)}
    assert sum(frame.raw_gone for frame in rows(archive, FrameRow)) == 3


@pytest.mark.parametrize("label", LABELS)
def test_the_same_bytes_come_while_they_are_swept(
    archive: Archive, sender: Sender, observer: int, label: str
) -> None:
    """Somebody else sends what a sweeper is just taking away, at each of its steps."""
    other = ensure_observer(archive, "bob")
    sender.send(observer, make_header(0), "the same")
    (job_id,) = create_jobs(archive, observer).job_ids
    end_job(archive, job_id, "failed")
    thread = threading.Thread(
        target=lambda: sender.send(other, make_header(0, device="S50_other"), "the same")
    )

    def come() -> None:
        thread.start()
        # Where the sweeper holds the rows, whoever comes waits for it.
        thread.join(5 if label in ("sweep.condemned", "sweep.removed") else 0.2)

    on_step(at_step(label, come))
    try:
        swept(sender)
    finally:
        on_step(None)
    thread.join(20)
    first, second = rows(archive, FrameRow)
    assert second.observer_id == other
    assert not second.raw_gone
    assert stored(sender.store) == {second.sha256}
    assert rows(archive, ObjectRow)[0].state == "stored"
    assert first.sha256 == second.sha256
    assert check_books(archive) == []


@pytest.mark.parametrize("label", ["ingest.begun", "ingest.stored"])
def test_a_sweep_while_a_frame_is_being_taken(
    archive: Archive, sender: Sender, observer: int, label: str
) -> None:
    """Without any grace, what is just being stored is swept; it is stored again."""
    on_step(at_step(label, lambda: swept(sender)))
    try:
        assert sender.send(observer, make_header(0)).outcome == "accepted"
    finally:
        on_step(None)
    assert raws(archive) == stored(sender.store)
    assert rows(archive, ObjectRow)[0].state == "stored"


class StubbornStore(LocalStore):
    """Does not let go of some files."""

    keeps: frozenset[str] = frozenset()

    def delete(self, sha256: str) -> None:
        if sha256 in self.keeps:
            raise StoreError("the file store refuses access", value=sha256)
        super().delete(sha256)


def test_a_store_that_does_not_let_go(archive: Archive, sender: Sender, observer: int) -> None:
    gone = sorted(unneeded_raws(sender, observer, 6))
    assert isinstance(sender.store, LocalStore)
    store = StubbornStore(sender.store.root)
    store.keeps = frozenset(gone[:2])
    report = sweep(archive, store, keep_raws_days=0, grace_s=0)
    assert (report.n_deleted, report.n_failed) == (4, 2)
    assert str(report).endswith("2 could not be removed")
    assert stored(store) == set(gone[:2])
    store.keeps = frozenset()
    assert sweep(archive, store, keep_raws_days=0, grace_s=0).n_deleted == 2
    # One that refuses everything is left in peace soon.
    asked: list[str] = []
    sender.sent += 100
    for number in range(5):
        path, sha256 = sender.file(f"more {number}")
        store.put(path, sha256)
    store.keeps = frozenset(stored(store))
    store.delete = lambda sha256: asked.append(sha256) or StubbornStore.delete(store, sha256)  # type: ignore[method-assign, func-returns-value]
    assert sweep(archive, store, keep_raws_days=0, grace_s=0).n_failed == 3
    assert len(asked) == 3


def test_rows_are_not_held_for_long(
    archive: Archive, sender: Sender, observer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unneeded_raws(sender, observer, 5)
    monkeypatch.setattr(sweep_module, "_HOLD_S", -1.0)  # time is up after the first of each
    held: list[str] = []
    on_step(held.append)
    try:
        assert swept(sender).n_deleted == 5
    finally:
        on_step(None)
    assert held.count("sweep.removed") >= 5
    assert stored(sender.store) == set()


def test_unneeded_files_at_once(archive: Archive, sender: Sender, observer: int) -> None:
    other = ensure_observer(archive, "bob")
    job_id = make_block(sender, observer, 0)
    mine = raws(archive)
    sender.send(other, make_header(5, device="S50_other"), "frame 0")  # one of the same two
    with archive.writing() as session:
        session.execute(delete(Job).where(Job.id == job_id))
        session.execute(delete(FrameRow).where(FrameRow.observer_id == observer))
    assert delete_unneeded(archive, sender.store, [*mine, "0" * 64], grace_s=3600) == 0
    assert delete_unneeded(archive, sender.store, [*mine, "0" * 64]) == 1
    assert delete_unneeded(archive, sender.store, mine) == 0
    assert stored(sender.store) == raws(archive)
    assert [row.sha256 for row in rows(archive, ObjectRow)] == list(raws(archive))


def test_unneeded_files_in_a_store_that_does_not_answer(archive: Archive, sender: Sender) -> None:
    assert isinstance(sender.store, LocalStore)
    store = StubbornStore(sender.store.root)
    path, sha256 = sender.file("unneeded")
    begin_object(archive, sha256, 8, "raw")
    store.put(path, sha256)
    with archive.writing() as session:
        keep_object(session, sha256)
    store.keeps = frozenset((sha256,))
    assert delete_unneeded(archive, store, [sha256]) == 0
    assert rows(archive, ObjectRow)[0].state == "condemned"  # so it is not forgotten
    store.keeps = frozenset()
    assert sweep(archive, store, keep_raws_days=7, grace_s=3600).n_deleted == 1
    assert rows(archive, ObjectRow) == []
