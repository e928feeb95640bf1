"""A job, from its lease to its row; and every way in which it may not get there."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from astropy.io import fits
from sqlalchemy import select

from crowdsky.archive.accounts import set_privacy
from crowdsky.archive.books import books, check_books
from crowdsky.archive.delete_job import delete_job
from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import FrameRow, Job, Lease, ObjectRow, StackInput, StackRow
from crowdsky.archive.queue import LeasedJob, lease_jobs, retry_job
from crowdsky.archive.store import FileStore
from crowdsky.errors import StackError, StoreError
from crowdsky.simulate import Flaw, simulate_session
from crowdsky.work.execute import Workshop, execute
from crowdsky.work.fetch import Fetcher
from crowdsky.work.order import Order, Stacked, carry_out
from crowdsky.work.pool import Stacker, StackingPool
from crowdsky.work.scratch import sweep_attempts
from crowdsky.work.ticket import Ticket
from tests.pipeline.nights import frames_below, plan
from tests.work.nights import Direct, Sky, finalise, send


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def shop(archive: Archive, store: LocalStore, tmp_path: Path) -> Iterator[Workshop]:
    yield from workshop(archive, store, tmp_path, Direct())


def workshop(
    archive: Archive, store: FileStore, folder: Path, stacker: Stacker
) -> Iterator[Workshop]:
    fetcher = Fetcher(store, 4)
    yield Workshop(archive, store, stacker, fetcher, folder / "scratch", retry_after_s=0.0)
    fetcher.close()


def lease(archive: Archive) -> LeasedJob:
    (one,) = lease_jobs(archive, "here:1:a", 1, lease_s=60.0)
    return one


def queue_block(shop: Workshop, paths: Sequence[Path], observer: str = "ann") -> int:
    observer_id = send(shop.archive, shop.store, list(paths), observer)
    assert finalise(shop.archive, observer_id).job_ids
    return observer_id


def job(archive: Archive, job_id: int) -> Job | None:
    with archive.reading() as session:
        return session.get(Job, job_id)


def rows(archive: Archive, kind: type) -> list[object]:
    with archive.reading() as session:
        return list(session.scalars(select(kind)))


def test_a_block_becomes_a_row_with_its_ledger(
    archive: Archive, store: LocalStore, sky: Sky, pool: StackingPool, tmp_path: Path
) -> None:
    for shop in workshop(archive, store, tmp_path, pool):
        observer_id = queue_block(shop, sky.frames)
        set_privacy(archive, observer_id, licence="CC-BY-SA-4.0", credit="Ann Observer")
        leased = lease(archive)
        outcome = execute(shop, leased)
        assert (outcome.state, outcome.reason) == ("done", "")
        with archive.reading() as session:
            (stack,) = session.scalars(select(StackRow))
            inputs = list(session.scalars(select(StackInput)))
            frames = list(session.scalars(select(FrameRow)))
            assert session.get_one(Job, leased.job_id).state == "done"
            assert session.get(Lease, leased.job_id) is None
        assert (stack.n_frames, stack.n_used, stack.n_rejected) == (3, 3, 0)
        assert stack.exposure_total_s == 30.0
        assert stack.solved
        assert (stack.ra_deg, stack.dec_deg) == pytest.approx((351.2, 61.6), abs=0.05)
        assert stack.corners is not None
        assert len(stack.corners) == 4
        assert stack.start_utc == min(frame.start_utc for frame in frames)
        assert (stack.end_utc - stack.start_utc).total_seconds() == pytest.approx(32.6, abs=0.5)
        assert stack.n_stars > 50
        assert stack.equatorial is None  # this firmware does not say
        assert sum(one.weight for one in inputs) == pytest.approx(3.0)
        assert all(frame.figures is not None and frame.figures["n_stars"] > 20 for frame in frames)
        assert books(archive, None).stacked == 3
        assert check_books(archive) == []
        path = store.local_path(stack.sha256)
        assert path is not None
        assert hashlib.sha256(path.read_bytes()).hexdigest() == stack.sha256
        header = fits.getheader(path)
        assert (header["LICENSE"], header["CREDIT"]) == ("CC-BY-SA-4.0", "Ann Observer")
        assert (header["SITELAT"], header["SITELONG"]) == (48.2, 16.4)
        assert header["NIMAGES"] == 3
        assert outcome.thumbnail[8:12] == b"WEBP"
        assert list(outcome.marks) == ["leased", "fetched", "stacked", "committed"]
        assert not list((tmp_path / "scratch").iterdir())


def test_bad_frames_are_rejected_with_their_reasons(shop: Workshop, tmp_path: Path) -> None:
    simulate_session(plan(n_frames=3, flaws=((1, Flaw.BLACK),)), tmp_path / "night")
    queue_block(shop, frames_below(tmp_path / "night"))
    outcome = execute(shop, lease(shop.archive))
    assert (outcome.state, outcome.n_used, outcome.n_frames) == ("done", 2, 3)
    with shop.archive.reading() as session:
        (bad,) = session.scalars(select(FrameRow).where(FrameRow.state == "rejected"))
    assert bad.reason.startswith("black: ")
    assert check_books(shop.archive) == []


def test_a_block_of_bad_frames_gives_no_stack_and_says_why(shop: Workshop, tmp_path: Path) -> None:
    """FAULTS 15; and the retry of a person gets the same answer, never an endless loop."""
    simulate_session(plan(n_frames=2, flaws=((0, Flaw.BLACK), (1, Flaw.DOME))), tmp_path / "night")
    observer_id = queue_block(shop, frames_below(tmp_path / "night"))
    leased = lease(shop.archive)
    outcome = execute(shop, leased)
    assert outcome.state == "nothing"
    assert outcome.reason == "no frame of the block is fit to be stacked"
    failed = job(shop.archive, leased.job_id)
    assert failed is not None
    assert (failed.state, failed.reason) == ("failed", outcome.reason)
    assert not rows(shop.archive, StackRow)
    with shop.archive.reading() as session:
        reasons = list(session.scalars(select(FrameRow.reason)))
    assert all(reasons)
    assert check_books(shop.archive) == []
    assert not lease_jobs(shop.archive, "here:1:a", 1, lease_s=60.0)
    retry_job(shop.archive, observer_id, leased.job_id)
    assert execute(shop, lease(shop.archive)).state == "nothing"


def test_identical_frames_make_one_frame(shop: Workshop, sky: Sky, tmp_path: Path) -> None:
    """Regression 7: the same file twice is stacked once."""
    copy = tmp_path / "renamed.fit"
    copy.write_bytes(sky.frames[0].read_bytes())
    queue_block(shop, [*sky.frames, copy])
    outcome = execute(shop, lease(shop.archive))
    assert (outcome.n_used, outcome.n_frames) == (3, 3)


def test_other_setups_are_other_stacks(shop: Workshop, sky: Sky, tmp_path: Path) -> None:
    """Regression 8: filters of one quarter hour are not mixed."""
    other = []
    for path in sky.frames[:2]:
        content = path.read_bytes()
        assert content.count(b"'IRCUT   '") == 1
        target = tmp_path / f"lp_{path.name}"
        target.write_bytes(content.replace(b"'IRCUT   '", b"'LP      '"))
        other.append(target)
    queue_block(shop, [*sky.frames, *other])
    leased = lease_jobs(shop.archive, "here:1:a", 5, lease_s=60.0)
    outcomes = [execute(shop, one) for one in leased]
    assert sorted(outcome.n_used for outcome in outcomes) == [2, 3]
    with shop.archive.reading() as session:
        found = dict(session.execute(select(StackRow.filter, StackRow.exposure_total_s)).all())
    assert found == {"IRCUT": 30.0, "LP": 20.0}


def test_exposure_is_that_of_the_frames_used(shop: Workshop, tmp_path: Path) -> None:
    """Regression 12: the sum leaves rejected frames out, and RA is no arithmetic mean."""
    night = plan(n_frames=3, ra_deg=0.0, dec_deg=61.6, flaws=((2, Flaw.SATURATED),))
    simulate_session(night, tmp_path / "night")
    queue_block(shop, frames_below(tmp_path / "night"))
    execute(shop, lease(shop.archive))
    with shop.archive.reading() as session:
        (stack,) = session.scalars(select(StackRow))
    assert (stack.exposure_total_s, stack.n_used, stack.n_rejected) == (20.0, 2, 1)
    assert stack.ra_deg is not None
    assert min(stack.ra_deg, 360.0 - stack.ra_deg) < 0.1


# -- raws that are gone, stores that fail ---------------------------------------------------------


@pytest.mark.parametrize(("spoil", "word"), [("rot", "damaged"), ("remove", "missing")])
def test_a_lost_raw_leaves_the_block_and_is_asked_for_again(
    shop: Workshop, store: LocalStore, sky: Sky, spoil: str, word: str
) -> None:
    """FAULTS 20: never served silently, and the rest of the block does not suffer."""
    observer_id = queue_block(shop, sky.frames)
    victim = hashlib.sha256(sky.frames[1].read_bytes()).hexdigest()
    path = store.local_path(victim)
    assert path is not None
    path.chmod(0o600)
    if spoil == "rot":
        octets = bytearray(path.read_bytes())
        octets[9000] ^= 4
        path.write_bytes(octets)
    else:
        path.unlink()
    outcome = execute(shop, lease(shop.archive))
    assert (outcome.state, outcome.n_used, outcome.n_frames) == ("done", 2, 2)
    with shop.archive.reading() as session:
        (frame,) = session.scalars(select(FrameRow).where(FrameRow.sha256 == victim))
        assert session.get_one(ObjectRow, victim).state == "rotten"
    assert (frame.state, frame.raw_gone, frame.block_id) == ("pending", True, None)
    assert frame.note == f"its stored file is {word}; send it again to have it stacked"
    assert check_books(shop.archive) == []
    # Sent again, it joins the others: the block is stacked anew, with all three.
    send(shop.archive, store, [sky.frames[1]])
    assert finalise(shop.archive, observer_id).job_ids
    assert execute(shop, lease(shop.archive)).n_used == 3
    assert len(rows(shop.archive, StackRow)) == 1
    assert check_books(shop.archive) == []


def test_an_empty_store_is_the_stores_fault(shop: Workshop, store: LocalStore, sky: Sky) -> None:
    """A disk that is not mounted must not cost anybody a frame."""
    queue_block(shop, sky.frames)
    kept = {}
    for frame in sky.frames:
        path = store.local_path(hashlib.sha256(frame.read_bytes()).hexdigest())
        assert path is not None
        kept[path] = path.read_bytes()
        path.unlink()
    leased = lease(shop.archive)
    outcome = execute(shop, leased)
    assert (outcome.state, outcome.reason) == (
        "queued",
        "none of the block's 3 raws is in the store",
    )
    assert books(shop.archive, None).pending == 3
    for path, content in kept.items():
        path.write_bytes(content)
    assert execute(shop, lease(shop.archive)).state == "done"


class Full:
    """A machine whose disk is full."""

    def stack(self, order: Order, ticket: Ticket) -> Stacked:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_costs_no_try_and_loses_nothing(
    archive: Archive, store: LocalStore, sky: Sky, tmp_path: Path
) -> None:
    """FAULTS 18, regression 19: it pauses, and goes on by itself."""
    for shop in workshop(archive, store, tmp_path, Full()):
        queue_block(shop, sky.frames)
        for _ in range(5):
            leased = lease(archive)
            outcome = execute(shop, leased)
            assert (outcome.state, outcome.reason[-23:]) == ("paused", "No space left on device")
        waiting = job(archive, leased.job_id)
        assert waiting is not None
        assert (waiting.state, waiting.attempts) == ("queued", 0)
        assert "waiting: " in waiting.log
        assert not list((tmp_path / "scratch").iterdir())
    for shop in workshop(archive, store, tmp_path, Direct()):
        assert execute(shop, lease(archive)).state == "done"


class Broken:
    """A process that always dies."""

    def stack(self, order: Order, ticket: Ticket) -> Stacked:
        raise StackError("the stacking process died (killed, or out of memory)")


def test_the_last_failure_is_called_failed(
    archive: Archive, store: LocalStore, sky: Sky, tmp_path: Path
) -> None:
    """Regression 2: there is no state that nothing picks up, and 4: the raws are still there."""
    for shop in workshop(archive, store, tmp_path, Broken()):
        observer_id = queue_block(shop, sky.frames)
        outcomes = [execute(shop, lease(archive)) for _ in range(3)]
        assert [outcome.state for outcome in outcomes] == ["queued", "queued", "failed"]
        assert not lease_jobs(archive, "here:1:a", 1, lease_s=60.0)
        (failed,) = rows(archive, Job)
        assert isinstance(failed, Job)
        assert failed.reason == "the stacking process died (killed, or out of memory)"
        assert books(archive, None).pending == 3
        retry_job(archive, observer_id, failed.id)
    for shop in workshop(archive, store, tmp_path, Direct()):
        assert execute(shop, lease(archive)).state == "done"
        assert check_books(archive) == []


class Deleting:
    """The job is deleted while it is computed; the worker has not noticed yet."""

    def __init__(self, archive: Archive, store: FileStore, observer_id: int, job_id: int) -> None:
        self.delete = lambda: delete_job(archive, store, observer_id, job_id)

    def stack(self, order: Order, ticket: Ticket) -> Stacked:
        stacked = carry_out(order)
        assert self.delete()
        return stacked


def test_a_deleted_job_leaves_nothing_behind(
    archive: Archive, store: LocalStore, sky: Sky, tmp_path: Path
) -> None:
    """FAULTS 21, regression 5: what the worker still makes of it is no stack and no orphan."""
    for shop in workshop(archive, store, tmp_path, Direct()):
        observer_id = queue_block(shop, sky.frames)
        leased = lease(archive)
    for shop in workshop(
        archive, store, tmp_path, Deleting(archive, store, observer_id, leased.job_id)
    ):
        outcome = execute(shop, leased)
    assert outcome.state == "lost"
    assert not rows(archive, StackRow)
    assert not rows(archive, Job)
    assert not rows(archive, FrameRow)
    assert not list((tmp_path / "scratch").iterdir())
    assert check_books(archive) == []


def test_reasons_name_files_as_they_were_sent(shop: Workshop, sky: Sky, tmp_path: Path) -> None:
    """A reason is read by its owner: no path of the server is in it."""
    queue_block(shop, sky.frames)

    class Unwritable:
        def stack(self, order: Order, ticket: Ticket) -> Stacked:
            raise StackError("cannot be read", file=order.folder / "inner.fits")

    for other in workshop(shop.archive, shop.store, tmp_path, Unwritable()):
        outcome = execute(other, lease(shop.archive))
    assert outcome.reason == "inner.fits: cannot be read"


def test_a_store_that_fails_is_tried_again(
    archive: Archive, store: LocalStore, sky: Sky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([StoreError("timed out")] * 2)
    whole = LocalStore.local_path

    def flaky(self: LocalStore, sha256: str) -> Path | None:
        for error in answers:
            raise error
        return whole(self, sha256)

    for shop in workshop(archive, store, tmp_path, Direct()):
        queue_block(shop, sky.frames)
        monkeypatch.setattr(LocalStore, "local_path", flaky)
        assert execute(shop, lease(archive)).state == "done"


def test_folders_of_killed_attempts_are_swept(shop: Workshop, sky: Sky) -> None:
    queue_block(shop, sky.frames)
    leased = lease(shop.archive)
    alive = shop.scratch / f"{leased.job_id}-{leased.token}"
    dead = shop.scratch / f"{leased.job_id}-{'0' * 32}"
    for folder in (alive, dead):
        folder.mkdir(parents=True)
        (folder / "half.fits").write_bytes(b"x")
    assert sweep_attempts(shop.archive, shop.scratch) == 0  # they are young
    assert sweep_attempts(shop.archive, shop.scratch, grace_s=0.0) == 1
    assert [path.name for path in shop.scratch.iterdir()] == [alive.name]
