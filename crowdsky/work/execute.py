"""One job, step by step: fetch, stack, verify, store, commit.

Everything that is not in the database can be thrown away at any moment: the raws stay in the store
until long after the commit, what is computed lies in a scratch folder of its own, and files that
were stored but never committed are named by no row, so the sweeper takes them. Whoever is killed
between two steps leaves a lease that expires; then the job is done again.

Each step says its name (`crowdsky.steps`), so that tests can kill the process there.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from crowdsky.archive.commit import NewStack, commit_nothing, commit_stack
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import fail_attempt, release_lease, report_progress
from crowdsky.archive.ledger_rows import FrameToStack, block_frames
from crowdsky.archive.models import BlockRow, Observer, StackRow
from crowdsky.archive.objects import Kind, store_file
from crowdsky.archive.queue import LeasedJob
from crowdsky.archive.store import FileStore
from crowdsky.errors import (
    ArchiveUnavailable,
    Conflict,
    CrowdSkyError,
    LeaseLost,
    NothingToStack,
    StackError,
    StoreFull,
)
from crowdsky.frames import Block
from crowdsky.pipeline import Recipe
from crowdsky.steps import reached
from crowdsky.work.fetch import Fetcher
from crowdsky.work.lost import note_lost
from crowdsky.work.order import Order, Stacked
from crowdsky.work.outcome import JobOutcome
from crowdsky.work.pool import Stacker
from crowdsky.work.products import (
    block_of,
    frame_results,
    licence_cards,
    new_stack,
    without_paths,
)
from crowdsky.work.ticket import Ticket
from crowdsky.work.verify import Made

__all__ = ["Prepared", "Workshop", "end_attempt", "execute", "finish", "prepare"]

T = TypeVar("T")

COMMIT_TRIES = 3
OUTAGE_S = 600.0  # as long as this a finished stack waits for its database
OUTAGE_REST_S = 1.0
#: What a block's frames are to blame for; a disk, say, is not.
FRAMES_FAULT = frozenset(
    ("NothingToStack", "RegistrationError", "TooFewStars", "DetectionError", "PlateError")
)
NO_SPACE = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
KINDS: tuple[Kind, ...] = ("stack", "preview", "preview")


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all jobs of a worker share.

    Attributes
    ----------
    scratch : Path
        Folder for the jobs' own folders, of this machine.
    retry_after_s, max_attempts
        See `crowdsky.archive.leases.fail_attempt`.
    """

    archive: Archive
    store: FileStore
    stacker: Stacker
    fetcher: Fetcher
    scratch: Path
    retry_after_s: float = 30.0
    max_attempts: int = 3
    recipe: Recipe = field(default_factory=Recipe)


@dataclass(slots=True)
class Prepared:
    """A job whose raws are at hand.

    Attributes
    ----------
    folder : Path
        Its own, removed when it ends.
    block : Block or None
        None if no raw is left that could be stacked.
    frames : tuple of FrameToStack
        In the order of the block's headers.
    marks : dict of str to float
        When (monotonic clock, seconds) which step was reached.
    """

    lease: LeasedJob
    ticket: Ticket
    folder: Path
    target: str
    label: str
    block: Block | None
    frames: tuple[FrameToStack, ...]
    cards: tuple[tuple[str, Any, str], ...]
    marks: dict[str, float] = field(default_factory=dict)


def execute(shop: Workshop, lease: LeasedJob, ticket: Ticket | None = None) -> JobOutcome:
    """Do a job from beginning to end, whatever happens on the way.

    Parameters
    ----------
    shop : Workshop
    lease : LeasedJob
    ticket : Ticket, optional

    Returns
    -------
    JobOutcome
    """
    ticket = Ticket() if ticket is None else ticket
    try:
        return finish(shop, prepare(shop, lease, ticket))
    except (CrowdSkyError, OSError, CancelledError) as error:
        return end_attempt(shop, lease, ticket, error)


def scratch_folder(shop: Workshop, lease: LeasedJob) -> Path:
    """The folder of one attempt; the token makes it nobody else's."""
    return shop.scratch / f"{lease.job_id}-{lease.token}"


def prepare(shop: Workshop, lease: LeasedJob, ticket: Ticket) -> Prepared:
    """Read a job's rows and fetch its raws; may go on while other jobs compute.

    Raises
    ------
    CrowdSkyError, OSError, concurrent.futures.CancelledError
        For `end_attempt`.
    """
    marks = {"leased": monotonic()}
    reached("work.leased")

    def rows() -> tuple[BlockRow, list[FrameToStack], tuple[tuple[str, Any, str], ...]]:
        with shop.archive.reading() as session:
            row = session.get(BlockRow, lease.block_id)
            observer = session.get(Observer, lease.observer_id)
            if row is None or observer is None:
                raise LeaseLost("the job was deleted", value=f"job {lease.job_id}")
            cards = licence_cards(observer.licence, observer.credit)
            return row, block_frames(session, lease.block_id), cards

    row, frames, cards = _patiently(ticket, rows)
    folder = scratch_folder(shop, lease)
    folder.mkdir(parents=True, exist_ok=True)
    reached("work.folder_made")
    fetched = shop.fetcher.fetch(frames, folder, ticket)
    reached("work.fetched")
    if fetched.lost:
        # They leave the block, pending, and are asked for again; the others are stacked.
        sha256s = {f.sha256: fetched.lost[f.frame_id] for f in frames if f.frame_id in fetched.lost}
        _patiently(ticket, lambda: note_lost(shop.archive, sha256s))
        reached("work.lost_noted")
    kept = tuple(frame for frame in frames if frame.frame_id in fetched.paths)
    block = block_of(row, kept, fetched.paths) if kept else None
    marks["fetched"] = monotonic()
    return Prepared(lease, ticket, folder, row.target, row.label, block, kept, cards, marks)


def finish(shop: Workshop, job: Prepared, *, run_url: str | None = None) -> JobOutcome:
    """Stack, store and commit a job whose raws are at hand, and remove its folder.

    Raises
    ------
    CrowdSkyError, OSError, concurrent.futures.CancelledError
        For `end_attempt`.
    """
    archive, lease, ticket = shop.archive, job.lease, job.ticket
    if job.block is None:
        reason = "none of its raw files is left, or whole; send them again"
        _patiently(ticket, lambda: commit_nothing(archive, lease, [], reason))
        return _ended(job, JobOutcome("nothing", reason))
    _patiently(ticket, lambda: report_progress(archive, lease, step="stacking", run_url=run_url))
    stacked = shop.stacker.stack(Order(job.block, job.folder, shop.recipe, job.cards), ticket)
    job.marks["stacked"] = monotonic()
    reached("work.stacked")
    results = frame_results(stacked.report, job.frames, job.folder)
    if not stacked.made:
        reason = _why_not(stacked, job)
        _patiently(ticket, lambda: commit_nothing(archive, lease, results, reason))
        reached("work.nothing_committed")
        return _ended(job, JobOutcome("nothing", reason, n_frames=len(results)))
    stack = new_stack(stacked.report, job.block, stacked.made, results)
    thumbnail = stacked.made[2].path.read_bytes()
    stack_id = _store_and_commit(shop, job, stack, stacked.made)
    reached("work.committed")
    job.marks["committed"] = monotonic()
    return _ended(
        job,
        JobOutcome(
            "done",
            stack_id=stack_id,
            n_frames=len(results),
            n_used=sum(result.used for result in results),
            thumbnail=thumbnail,
            report=stacked.report,
        ),
    )


def end_attempt(
    shop: Workshop, lease: LeasedJob, ticket: Ticket, error: BaseException
) -> JobOutcome:
    """Say in the archive what an attempt ended with, and remove its folder.

    Parameters
    ----------
    shop : Workshop
    lease : LeasedJob
    ticket : Ticket
    error : BaseException
        What `prepare` or `finish` raised.

    Returns
    -------
    JobOutcome
        ``lost``: not ours any more; ``released``: given back; ``paused``: given back because there
        is no room, so the worker should rest; ``queued`` or ``failed``: after an error.
    """
    folder = scratch_folder(shop, lease)
    shutil.rmtree(folder, ignore_errors=True)
    reason = without_paths(_reason(error), folder)
    try:
        if isinstance(error, LeaseLost) or ticket.reason == "lost":
            return JobOutcome("lost", "the job was deleted, or another worker has it")
        if isinstance(error, CancelledError) or ticket.reason == "released":
            release_lease(shop.archive, lease)
            return JobOutcome("released", "the worker stops")
        if isinstance(error, ArchiveUnavailable):
            return JobOutcome("lost", reason)  # its lease expires
        if _is_full(error):
            report_progress(shop.archive, lease, log_line=f"waiting: {reason}")
            release_lease(shop.archive, lease)
            return JobOutcome("paused", reason)
        state = fail_attempt(
            shop.archive,
            lease,
            reason,
            retry_after_s=shop.retry_after_s,
            max_attempts=shop.max_attempts,
        )
        return JobOutcome("failed" if state == "failed" else "queued", reason)
    except LeaseLost:
        return JobOutcome("lost", reason)
    except ArchiveUnavailable as unavailable:
        return JobOutcome("lost", f"{reason}; {unavailable}")


def _store_and_commit(
    shop: Workshop, job: Prepared, stack: NewStack, made: tuple[Made, ...]
) -> int:
    archive, lease, ticket = shop.archive, job.lease, job.ticket
    for tries_left in range(COMMIT_TRIES - 1, -1, -1):
        _patiently(ticket, lambda: report_progress(archive, lease, step="storing"))
        for one, kind in zip(made, KINDS, strict=True):
            ticket.check()
            _store(shop, job, one, kind)
            reached(f"work.stored_{one.path.suffix.lstrip('.')}")
        doubtful = False
        try:
            ticket.check()
            while True:
                try:
                    return commit_stack(archive, lease, stack)
                except ArchiveUnavailable:
                    doubtful = True  # it may have been written all the same
                    _patiently(ticket, lambda: report_progress(archive, lease))
        except LeaseLost:
            written = _written(archive, lease, stack) if doubtful else None
            if written is None:
                raise
            return written
        except Conflict:
            # A file was swept between storing and committing: it is still here, so store it again.
            if not tries_left:
                raise
    raise AssertionError("unreachable")


def _store(shop: Workshop, job: Prepared, one: Made, kind: Kind) -> None:
    """Store a product under a second name: the store may move that, and we keep the file."""
    twin = one.path.with_name(f"{one.path.name}.twin")
    consume = True
    try:
        twin.unlink(missing_ok=True)
        twin.hardlink_to(one.path)
    except OSError:
        twin, consume = one.path, False
    _patiently(
        job.ticket,
        lambda: store_file(shop.archive, shop.store, twin, one.sha256, kind, consume=consume),
    )


def _written(archive: Archive, lease: LeasedJob, stack: NewStack) -> int | None:
    """The stack's id if a commit whose answer was lost did go through."""
    from sqlalchemy import select

    with archive.reading() as session:
        return session.scalar(
            select(StackRow.id).where(
                StackRow.block_id == lease.block_id, StackRow.sha256 == stack.sha256
            )
        )


def _why_not(stacked: Stacked, job: Prepared) -> str:
    """Why there is no stack, if it is the frames' fault.

    Raises
    ------
    StoreFull, StackError
        If it is this machine's.
    """
    report = stacked.report
    reason = without_paths(report.reason, job.folder)
    if report.failure in FRAMES_FAULT or report.failure == NothingToStack.__name__:
        return reason
    if any(text in reason for text in NO_SPACE):
        raise StoreFull(f"no room for the stack on this machine ({reason})")
    raise StackError(reason or "the block gave no stack")


def _patiently(ticket: Ticket, call: Callable[[], T]) -> T:
    """Call again while the database cannot be reached: what was computed is worth the wait."""
    until = monotonic() + OUTAGE_S
    while True:
        try:
            return call()
        except ArchiveUnavailable:
            if monotonic() > until:
                raise
            ticket.wait(OUTAGE_REST_S)


def _ended(job: Prepared, outcome: JobOutcome) -> JobOutcome:
    shutil.rmtree(job.folder, ignore_errors=True)
    reached("work.cleaned")
    return outcome.with_marks(job.marks)


def _is_full(error: BaseException) -> bool:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, StoreFull)


def _reason(error: BaseException) -> str:
    if isinstance(error, CrowdSkyError):
        return str(error)
    return f"{type(error).__name__}: {error}"
