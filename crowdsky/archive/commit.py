"""The one transaction by which frames become a stack, or none.

The files are in the store before it begins, and the raws stay there until long after it: whenever
the power fails, either the block is still a job with all its raws, or the stack is there with its
ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import drop_lease, held_job
from crowdsky.archive.ledger_rows import FrameResult, check_results, write_results
from crowdsky.archive.models import BlockRow, Job, Observer, StackInput, StackRow
from crowdsky.archive.objects import keep_object
from crowdsky.archive.positions import place
from crowdsky.archive.queue import LeasedJob
from crowdsky.archive.texts import storable
from crowdsky.archive.visibility import public_from
from crowdsky.errors import Conflict
from crowdsky.steps import reached

__all__ = ["FrameResult", "NewStack", "commit_nothing", "commit_stack"]


@dataclass(frozen=True, slots=True)
class NewStack:
    """A stack whose files are in the store.

    Attributes
    ----------
    sha256, preview_sha256, thumbnail_sha256 : str
        Of the files.
    n_bytes : int
        Of the stack's file.
    start_utc, end_utc : datetime
        Begin of the first exposure used, end of the last.
    ra_deg, dec_deg : float or None
        Of the solution if `solved`, else of the headers; None if not known.
    corners : list or None
        ``[[ra, dec], ...]`` in degrees.
    frames : tuple of FrameResult
        One for each frame that the block gave the worker.

    The other fields are those of `crowdsky.archive.models.StackRow`.
    """

    sha256: str
    preview_sha256: str
    thumbnail_sha256: str
    n_bytes: int
    label: str
    name: str
    target: str
    model: str
    filter: str
    exposure_s: float
    exposure_total_s: float
    start_utc: datetime
    end_utc: datetime
    solved: bool
    ra_deg: float | None
    dec_deg: float | None
    scale_arcsec_per_px: float | None
    rotation_deg: float | None
    corners: list[Any] | None
    fwhm_px: float | None
    n_stars: int
    zero_point_mag: float | None
    sky_adu: float | None
    equatorial: bool | None
    quality: dict[str, Any]
    frames: tuple[FrameResult, ...]


def commit_stack(
    archive: Archive, lease: LeasedJob, stack: NewStack, *, now: datetime | None = None
) -> int:
    """Write a stack, its ledger and the end of its job; all of it or nothing.

    A stack that the block had before is replaced: there is one a block. Its files go with the
    next sweep.

    Parameters
    ----------
    archive : Archive
    lease : LeasedJob
    stack : NewStack
    now : datetime, optional
        The database's clock when omitted.

    Returns
    -------
    int
        Id of the stack.

    Raises
    ------
    LeaseLost
        The job was deleted or is another worker's; nothing was changed.
    Conflict
        A file was swept meanwhile (store it again and repeat), or the results do not fit the
        frames of the block; nothing was changed.
    ArchiveUnavailable
        The same, as far as can be told: repeat it, and take `LeaseLost` for 'it was written'
        only after looking at the job.
    """
    if not any(result.used for result in stack.frames):
        raise Conflict("a stack of no frames is no stack", value=f"job {lease.job_id}")
    with archive.writing() as session:
        job = held_job(session, lease)
        reached("commit.checked")
        moment = now or database_now(session)
        results = check_results(session, job.block_id, stack.frames)
        for sha256 in sorted({stack.sha256, stack.preview_sha256, stack.thumbnail_sha256}):
            keep_object(session, sha256)
        reached("commit.files_kept")
        write_results(session, results)
        reached("commit.ledger_written")
        _job_ended(session, job, moment, "done", "")
        reached("commit.job_done")
        # Last, because stacks are written one after another (see crowdsky.archive.triggers).
        stack_id = _replace_stack(session, job, stack, results, moment)
        reached("commit.stack_written")
    reached("commit.done")
    return stack_id


def commit_nothing(
    archive: Archive,
    lease: LeasedJob,
    outcomes: Sequence[FrameResult],
    reason: str,
    *,
    now: datetime | None = None,
) -> None:
    """Write that no stack came of a block: its frames are rejected, and the job has failed.

    Nothing tries again by itself, because it would end the same way; a person may. A stack that
    the block has already stays, with its frames.

    Parameters
    ----------
    archive : Archive
    lease : LeasedJob
    outcomes : sequence of FrameResult
        One for each frame that the block gave the worker. Frames that were good, in a block of too
        few, are rejected for `reason`.
    reason : str
        Why there is no stack, in plain words.
    now : datetime, optional

    Raises
    ------
    LeaseLost, Conflict, ArchiveUnavailable
        As `commit_stack`.
    """
    why = storable(reason) or "no stack came of it"
    unused = [
        result
        if not result.used
        else FrameResult(result.frame_id, used=False, reason=why, figures=result.figures)
        for result in outcomes
    ]
    with archive.writing() as session:
        job = held_job(session, lease)
        reached("nothing.checked")
        moment = now or database_now(session)
        results = check_results(session, job.block_id, unused)
        stacked = set(
            session.scalars(
                select(StackInput.frame_id)
                .join(StackRow, StackRow.id == StackInput.stack_id)
                .where(StackRow.block_id == job.block_id)
            )
        )
        write_results(session, [result for result in results if result.frame_id not in stacked])
        reached("nothing.ledger_written")
        _job_ended(session, job, moment, "failed", why)
        session.flush()
        reached("nothing.job_failed")
    reached("nothing.done")


def _job_ended(session: Session, job: Job, now: datetime, state: str, reason: str) -> None:
    drop_lease(session, job.id)
    job.state = state
    job.reason = reason
    job.step = ""
    job.done_frames = job.n_frames
    job.finished_utc = now
    job.changed_utc = now
    session.flush()


def _replace_stack(
    session: Session,
    job: Job,
    stack: NewStack,
    results: Sequence[FrameResult],
    now: datetime,
) -> int:
    block = session.get_one(BlockRow, job.block_id)
    # Shared with other commits, not with a change of privacy: that one comes before, and is seen
    # here, or after, and sees this stack.
    observer = session.execute(
        select(Observer)
        .where(Observer.id == job.observer_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).scalar_one()
    at = (
        None
        if stack.ra_deg is None or stack.dec_deg is None
        else place(stack.ra_deg, stack.dec_deg)
    )
    n_used = sum(result.used for result in results)
    session.execute(delete(StackRow).where(StackRow.block_id == block.id))
    row = StackRow(
        observer_id=job.observer_id,
        block_id=block.id,
        telescope_id=block.telescope_id,
        sha256=stack.sha256,
        preview_sha256=stack.preview_sha256,
        thumbnail_sha256=stack.thumbnail_sha256,
        n_bytes=stack.n_bytes,
        label=stack.label,
        name=stack.name,
        target=storable(stack.target),
        model=stack.model,
        filter=stack.filter,
        exposure_s=stack.exposure_s,
        exposure_total_s=stack.exposure_total_s,
        n_frames=len(results),
        n_used=n_used,
        n_rejected=len(results) - n_used,
        start_utc=stack.start_utc,
        end_utc=stack.end_utc,
        solved=stack.solved,
        ra_deg=None if at is None else at.ra_deg,
        dec_deg=None if at is None else at.dec_deg,
        x=None if at is None else at.x,
        y=None if at is None else at.y,
        z=None if at is None else at.z,
        cell=None if at is None else at.cell,
        tile=None if at is None else at.tile,
        scale_arcsec_per_px=stack.scale_arcsec_per_px,
        rotation_deg=stack.rotation_deg,
        corners=stack.corners,
        fwhm_px=stack.fwhm_px,
        n_stars=stack.n_stars,
        zero_point_mag=stack.zero_point_mag,
        sky_adu=stack.sky_adu,
        equatorial=stack.equatorial,
        quality=stack.quality,
        public_utc=public_from(observer.visibility, observer.embargo_days, stack.end_utc, now),
        licence=observer.licence,
        credit=observer.credit,
        created_utc=now,
    )
    session.add(row)
    session.flush()
    session.execute(
        insert(StackInput),
        [
            {
                "stack_id": row.id,
                "frame_id": result.frame_id,
                "used": result.used,
                "reason": storable(result.reason),
                "weight": result.weight if result.used else 0.0,
            }
            for result in results
        ],
    )
    return row.id
