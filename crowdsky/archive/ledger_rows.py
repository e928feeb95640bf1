"""Frames of a block on their way into a stack, and what came of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crowdsky.archive.models import FrameRow
from crowdsky.archive.texts import storable
from crowdsky.errors import Conflict

__all__ = [
    "FrameResult",
    "FrameToStack",
    "block_frames",
    "check_results",
    "storable",
    "write_results",
]

_RAW_LOST = "its raw file was lost before it could be stacked"


@dataclass(frozen=True, slots=True)
class FrameToStack:
    """A frame whose raw is kept: what a worker needs to know of it."""

    frame_id: int
    sha256: str
    n_bytes: int
    name: str
    header: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What came of a frame.

    Attributes
    ----------
    reason : str
        Why it was not used; empty if it was.
    weight : float
        In the stack; 0 if it was not used.
    figures : dict
        Plain data that was measured on it.
    """

    frame_id: int
    used: bool
    reason: str = ""
    weight: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)


def block_frames(session: Session, block_id: int) -> list[FrameToStack]:
    """Frames of a block whose raws are kept, in the order they were exposed.

    Parameters
    ----------
    session : Session
    block_id : int

    Returns
    -------
    list of FrameToStack
    """
    rows = session.execute(
        select(FrameRow.id, FrameRow.sha256, FrameRow.n_bytes, FrameRow.name, FrameRow.header)
        .where(FrameRow.block_id == block_id, FrameRow.raw_gone.is_(False))
        .order_by(FrameRow.start_utc, FrameRow.id)
    )
    return [FrameToStack(*row) for row in rows]


def check_results(
    session: Session, block_id: int, results: Sequence[FrameResult]
) -> list[FrameResult]:
    """Lock the frames of a block and hold what is to be written against them.

    Every frame whose raw is kept must have a result. One whose raw was lost meanwhile needs none:
    if it was not stacked yet it leaves the block, still pending, to be sent again; if it had been
    stacked before, it is rejected for that.

    Parameters
    ----------
    session : Session
        In a writing transaction.
    block_id : int
    results : sequence of FrameResult

    Returns
    -------
    list of FrameResult
        One for each frame that is in the block now.

    Raises
    ------
    Conflict
        If a result has no frame, is there twice or contradicts itself, or a frame has none.
    """
    by_id = {result.frame_id: result for result in results}
    if len(by_id) != len(results):
        raise Conflict("a frame has two results", value=f"block {block_id}")
    for result in results:
        if result.used == bool(result.reason):
            raise Conflict(
                "a frame is used, or there is a reason why not", value=f"frame {result.frame_id}"
            )
    frames = session.execute(
        select(FrameRow.id, FrameRow.state, FrameRow.reason, FrameRow.raw_gone)
        .where(FrameRow.block_id == block_id)
        .order_by(FrameRow.id)
        .with_for_update()
    ).all()
    unknown = set(by_id) - {frame.id for frame in frames}
    if unknown:
        raise Conflict("is not in the block that was stacked", value=f"frame {min(unknown)}")
    complete = list(results)
    lost: list[int] = []
    for frame in frames:
        if frame.id in by_id:
            continue
        if not frame.raw_gone:
            raise Conflict(
                "came into the block after its stacking began", value=f"frame {frame.id}"
            )
        if frame.state == "pending":
            lost.append(frame.id)
        else:
            complete.append(FrameResult(frame.id, used=False, reason=frame.reason or _RAW_LOST))
    if lost:
        session.execute(update(FrameRow).where(FrameRow.id.in_(lost)).values(block_id=None))
    return complete


def write_results(session: Session, results: Sequence[FrameResult]) -> None:
    """Write states, reasons and figures into the ledger.

    Parameters
    ----------
    session : Session
        In a writing transaction.
    results : sequence of FrameResult
    """
    if not results:
        return
    session.execute(
        update(FrameRow),
        [
            {
                "id": result.frame_id,
                "state": "stacked" if result.used else "rejected",
                "reason": storable(result.reason),
                "figures": result.figures,
            }
            for result in results
        ],
    )
