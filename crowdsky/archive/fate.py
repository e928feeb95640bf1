"""What becomes of a group of frames that falls on a block which exists already.

================================================  ===============================================
the block                                         what becomes of the group
================================================  ===============================================
has a job that waits                              the frames join it
is stacked, and all its raws are here             a new job stacks all of them together, and its
                                                  stack replaces the one there is
came to nothing, and all its raws are here        its frames are tried again with the new ones
anything else: its job is running, or broke       a new part of the block, with a job of its own
down, or raws are gone
================================================  ===============================================
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crowdsky.archive.clock import database_now
from crowdsky.archive.models import BlockRow, FrameRow, Job, ObjectRow, StackRow

__all__ = ["NEW_PART", "Fate", "fate_of", "try_again"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a group that falls on a block; with nothing set, it is a new part.

    Attributes
    ----------
    joins : Job or None
        The job that waits.
    restacks : bool
        A new job stacks the block's frames together with the group's.
    n_there : int
        Frames of the block, where they are stacked with the group's.
    """

    joins: Job | None = None
    restacks: bool = False
    n_there: int = 0


NEW_PART = Fate()


def fate_of(session: Session, block: BlockRow, *, lock: bool = False) -> Fate:
    """What becomes of a group that falls on a block.

    Parameters
    ----------
    session : Session
    block : BlockRow
        Its newest part.
    lock : bool
        Whether it is to stay so to the end of the transaction, the raws included.

    Returns
    -------
    Fate
    """
    live = select(Job).where(Job.block_id == block.id, Job.state.in_(("queued", "running")))
    if lock:
        # A worker that is just leasing the job wins or waits; either way the state is true then.
        live = live.with_for_update()
    job = session.scalar(live.execution_options(populate_existing=True))
    if job is not None:
        joins = job if job.state == "queued" else None
        return Fate(joins=joins, n_there=0 if joins is None else job.n_frames)
    frames = select(FrameRow.state, FrameRow.raw_gone, FrameRow.sha256).where(
        FrameRow.block_id == block.id
    )
    if lock:
        # Objects before frames, as everybody who locks both does.
        raws = sorted(frame.sha256 for frame in session.execute(frames))
        if not _keep_raws(session, raws):
            return NEW_PART
        frames = frames.order_by(FrameRow.id).with_for_update()
    there = session.execute(frames).all()
    if not there or any(frame.raw_gone for frame in there):
        return NEW_PART
    stacked = session.scalar(select(StackRow.id).where(StackRow.block_id == block.id))
    if stacked is None and any(frame.state == "pending" for frame in there):
        return NEW_PART  # its job broke down: it may be these very frames that do that
    return Fate(restacks=True, n_there=len(there))


def _keep_raws(session: Session, sha256s: list[str]) -> bool:
    """Touch raws, so that no sweeper takes them; False if one is not there any more."""
    session.execute(
        select(ObjectRow.sha256)
        .where(ObjectRow.sha256.in_(sha256s))
        .order_by(ObjectRow.sha256)
        .with_for_update()
    )
    kept = session.scalars(
        update(ObjectRow)
        .where(ObjectRow.sha256.in_(sha256s), ObjectRow.state == "stored")
        .values(touched_utc=database_now(session))
        .returning(ObjectRow.sha256)
        .execution_options(synchronize_session=False)
    )
    return set(kept) == set(sha256s)


def try_again(session: Session, block: BlockRow) -> None:
    """Frames of a block that came to nothing are free to be judged again; a ledger stays."""
    stacked = session.scalar(select(StackRow.id).where(StackRow.block_id == block.id))
    if stacked is None:
        session.execute(
            update(FrameRow)
            .where(FrameRow.block_id == block.id, FrameRow.state == "rejected")
            .values(state="pending", reason="")
            .execution_options(synchronize_session=False)
        )
