"""Deleting a job: its run loses the right to commit, its row goes, then its files."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from crowdsky.archive.audit import note
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import (
    Batch,
    BlockRow,
    FrameRow,
    Job,
    Lease,
    Observer,
    StackInput,
    StackRow,
)
from crowdsky.archive.store import FileStore
from crowdsky.archive.sweep import delete_unneeded
from crowdsky.archive.turn import take_turn
from crowdsky.steps import reached

__all__ = ["delete_job"]


def delete_job(archive: Archive, store: FileStore, observer_id: int, job_id: int) -> bool:
    """Delete a job, whatever its state, and the raws that only it needed.

    The rows go first, in one transaction; from then on a worker that is still on it cannot commit
    and stops at its next renewal. Then the raws go, by the sweeper's own rule, so one that another
    job needs stays. Should the process die in between, the next sweep takes them.

    Of an unfinished or failed job, frames that are in no stack go with it, and its block if that
    has no stack. Of a finished job only the job goes: the stack and its ledger stay.

    Parameters
    ----------
    archive : Archive
    store : FileStore
    observer_id : int
        Who asks.
    job_id : int

    Returns
    -------
    bool
        False if the observer has no such job (any more): a second call does nothing.

    Raises
    ------
    ArchiveUnavailable, StoreError
    """
    with archive.writing() as session:
        take_turn(session, observer_id)
        job = session.execute(
            select(Job)
            .where(Job.id == job_id, Job.observer_id == observer_id)
            .with_for_update(of=Job)
        ).scalar_one_or_none()
        if job is None:
            return False
        reached("delete.locked")
        session.execute(delete(Lease).where(Lease.job_id == job_id))
        reached("delete.lease_gone")
        raws = _delete_rows(session, job)
        reached("delete.rows_gone")
        name = session.scalar(select(Observer.name).where(Observer.id == observer_id)) or ""
        note(session, name, "job.delete", f"job:{job_id}", state=job.state, raws=len(raws))
    reached("delete.committed")
    delete_unneeded(archive, store, raws)
    reached("delete.done")
    return True


def _delete_rows(session: Session, job: Job) -> Sequence[str]:
    """Remove the job and what was only its; returns the raws of its block, as SHA-256."""
    block_id, batch_id = job.block_id, job.batch_id
    frames = select(FrameRow.sha256).where(
        FrameRow.block_id == block_id, FrameRow.raw_gone.is_(False)
    )
    raws = session.scalars(frames.order_by(FrameRow.sha256)).all()
    finished = job.state == "done"
    session.execute(
        delete(Job).where(Job.id == job.id).execution_options(synchronize_session=False)
    )
    others = session.scalar(
        select(func.count()).where(Job.block_id == block_id, Job.state.in_(("queued", "running")))
    )
    if not finished and not others:
        _delete_unstacked(session, block_id)
    left = session.scalar(select(func.count()).where(Job.batch_id == batch_id))
    if not left:
        session.execute(delete(Batch).where(Batch.id == batch_id))
    return raws


def _delete_unstacked(session: Session, block_id: int) -> None:
    stack_id = session.scalar(select(StackRow.id).where(StackRow.block_id == block_id))
    if stack_id is None:
        session.execute(delete(FrameRow).where(FrameRow.block_id == block_id))
        session.execute(delete(Job).where(Job.block_id == block_id))
        session.execute(delete(BlockRow).where(BlockRow.id == block_id))
        return
    # What the stack's ledger does not hold came later, for a second stacking that will not be.
    ledger = select(StackInput.frame_id).where(StackInput.stack_id == stack_id)
    session.execute(
        delete(FrameRow).where(FrameRow.block_id == block_id, FrameRow.id.not_in(ledger))
    )
