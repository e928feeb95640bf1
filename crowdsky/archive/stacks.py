"""One stack: seen, its ledger told, deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from crowdsky.archive.audit import note
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import (
    BlockRow,
    FrameRow,
    Job,
    Observer,
    StackInput,
    StackRow,
)
from crowdsky.archive.search import Viewer, visible
from crowdsky.archive.store import FileStore
from crowdsky.archive.sweep import delete_unneeded
from crowdsky.archive.turn import take_turn
from crowdsky.errors import Conflict, NotFound
from crowdsky.steps import reached

__all__ = [
    "LedgerLine",
    "block_tiles",
    "delete_stack",
    "ledger_reasons",
    "observer_names",
    "stack_ledger",
    "visible_stack",
    "visible_stacks",
]


_AT_ONCE = 5000  # keys in one statement


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A frame of a stack, as its owner sees it."""

    frame_id: int
    name: str
    start_utc: datetime
    used: bool
    reason: str
    weight: float
    figures: dict[str, Any] | None


def visible_stack(
    session: Session, stack_id: int, observer_id: int | None, *, now: datetime | None = None
) -> StackRow:
    """A stack, if it is the observer's or everyone sees it by now.

    Raises
    ------
    NotFound
    """
    viewer = Viewer(observer_id, "all")
    row = session.scalar(
        select(StackRow).where(StackRow.id == stack_id, visible(viewer, now or datetime.now(UTC)))
    )
    if row is None:
        raise NotFound("no such stack", value=stack_id)
    return row


def visible_stacks(
    session: Session, ids: Sequence[int], observer_id: int, *, now: datetime | None = None
) -> dict[int, StackRow]:
    """Those of some stacks that an observer may see, by id."""
    viewer = Viewer(observer_id, "all")
    rows = session.scalars(
        select(StackRow).where(StackRow.id.in_(ids), visible(viewer, now or datetime.now(UTC)))
    )
    return {row.id: row for row in rows}


def observer_names(session: Session, rows: Iterable[StackRow]) -> dict[int, str]:
    """The names of the stacks' observers, by id."""
    ids = {row.observer_id for row in rows}
    found = session.execute(select(Observer.id, Observer.name).where(Observer.id.in_(ids)))
    return {key: name for key, name in found}  # noqa: C416 - rows are no tuples to mypy


def block_tiles(session: Session, rows: Iterable[StackRow]) -> dict[int, str]:
    """The HEALPix names of the stacks' blocks, by block."""
    ids = sorted({row.block_id for row in rows})
    found: dict[int, str] = {}
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        blocks = session.execute(select(BlockRow.id, BlockRow.tile).where(BlockRow.id.in_(part)))
        found |= {row.id: row.tile for row in blocks}
    return found


def stack_ledger(session: Session, stack_id: int) -> list[LedgerLine]:
    """The ledger of a stack in the order of the exposures; for its owner's eyes."""
    rows = session.execute(
        select(
            FrameRow.id,
            FrameRow.name,
            FrameRow.start_utc,
            StackInput.used,
            StackInput.reason,
            StackInput.weight,
            FrameRow.figures,
        )
        .join(FrameRow, FrameRow.id == StackInput.frame_id)
        .where(StackInput.stack_id == stack_id)
        .order_by(FrameRow.start_utc, FrameRow.id)
    )
    return [LedgerLine(*row) for row in rows]


def ledger_reasons(lines: Iterable[LedgerLine]) -> list[tuple[str, int]]:
    """Why frames were not used, and how many; names of files are left out."""
    counts: dict[str, int] = {}
    for line in lines:
        if not line.used:
            reason = line.reason.replace(line.name, "frame") if line.name else line.reason
            counts[reason] = counts.get(reason, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def delete_stack(archive: Archive, store: FileStore, observer_id: int, stack_id: int) -> None:
    """Delete a stack with its ledger; its frames may be sent again.

    The rows go in one transaction, then those files that nothing else needs. Should the process
    die in between, the next sweep takes them.

    Parameters
    ----------
    archive : Archive
    store : FileStore
    observer_id : int
        Who asks.
    stack_id : int

    Raises
    ------
    NotFound
        No such stack (any more), or it is not the observer's.
    Conflict
        Its block is to be stacked again.
    ArchiveUnavailable, StoreError
    """
    with archive.writing() as session:
        take_turn(session, observer_id)
        row = session.scalar(
            select(StackRow)
            .where(StackRow.id == stack_id, StackRow.observer_id == observer_id)
            .with_for_update(of=StackRow)
        )
        if row is None:
            raise NotFound("no such stack", value=stack_id)
        block_id = row.block_id
        # From here on nobody can make a job for it.
        session.execute(select(BlockRow.id).where(BlockRow.id == block_id).with_for_update())
        unfinished = session.scalar(
            select(func.count()).where(
                Job.block_id == block_id, Job.state.in_(("queued", "running"))
            )
        )
        pending = session.scalar(
            select(func.count()).where(FrameRow.block_id == block_id, FrameRow.state == "pending")
        )
        if unfinished or pending:
            raise Conflict(
                "more frames are to be stacked into it: delete that job first", value=stack_id
            )
        files = [row.sha256, row.preview_sha256, row.thumbnail_sha256]
        files += session.scalars(
            select(FrameRow.sha256).where(
                FrameRow.block_id == block_id, FrameRow.raw_gone.is_(False)
            )
        )
        reached("delete_stack.locked")
        session.execute(delete(FrameRow).where(FrameRow.block_id == block_id))
        session.execute(delete(Job).where(Job.block_id == block_id))
        session.execute(delete(StackRow).where(StackRow.id == stack_id))
        session.execute(delete(BlockRow).where(BlockRow.id == block_id))
        name = session.scalar(select(Observer.name).where(Observer.id == observer_id)) or ""
        note(session, name, "stack.delete", f"stack:{stack_id}")
        reached("delete_stack.rows_gone")
    reached("delete_stack.committed")
    delete_unneeded(archive, store, sorted(set(files)))
    reached("delete_stack.done")
