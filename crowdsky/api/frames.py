"""The caller's ledger: every accepted frame is stacked, rejected with a reason, or pending."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from crowdsky.api.context import Context, context
from crowdsky.api.serve_json import MAX_ID, json_answer
from crowdsky.api.who import Caller, needs
from crowdsky.archive.books import books
from crowdsky.archive.models import BlockRow, FrameRow, StackInput, Telescope
from crowdsky.errors import NotFound

__all__ = ["frame_views", "router"]

Here = Annotated[Context, Depends(context)]
Reader = Annotated[Caller, Depends(needs("read"))]

router = APIRouter(prefix="/api/v1", tags=["frames"])


@router.get("/frames", summary="The ledger, the oldest first")
def list_frames(
    here: Here,
    caller: Reader,
    state: Annotated[Literal["pending", "stacked", "rejected"] | None, Query()] = None,
    block_id: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    after: Annotated[int | None, Query(ge=1, le=MAX_ID, description="next_after")] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> Response:
    """Frames, page by page."""
    wanted = [FrameRow.observer_id == caller.observer_id]
    if state is not None:
        wanted.append(FrameRow.state == state)
    with here.archive.reading() as session:
        if block_id is not None:
            own = select(BlockRow.id).where(
                BlockRow.id == block_id, BlockRow.observer_id == caller.observer_id
            )
            if session.scalar(own) is None:
                raise NotFound("there is no such block", value=block_id)
            wanted.append(FrameRow.block_id == block_id)
        return json_answer(frame_views(session, *wanted, after=after, limit=limit))


@router.get("/books", summary="Frames by what became of them")
def show_books(here: Here, caller: Reader) -> dict[str, int]:
    """Four counts of one moment; ``accepted`` is the sum of the other three."""
    counted = books(here.archive, caller.observer_id)
    return {
        "accepted": counted.accepted,
        "stacked": counted.stacked,
        "rejected": counted.rejected,
        "pending": counted.pending,
    }


def frame_views(
    session: Session, *conditions: ColumnElement[bool], after: int | None, limit: int
) -> dict[str, Any]:
    """A page of frames as plain data, for their owner. The site is not in it.

    Parameters
    ----------
    session : Session
    *conditions
        Of `FrameRow`; one of them must say whose they are.
    after : int or None
        Number of the last frame of the page before.
    limit : int
    """
    if after is not None:
        conditions = (*conditions, FrameRow.id > after)
    query = (
        select(
            FrameRow.id,
            FrameRow.name,
            FrameRow.sha256,
            FrameRow.n_bytes,
            FrameRow.target,
            FrameRow.start_utc,
            FrameRow.accepted_utc,
            FrameRow.state,
            FrameRow.reason,
            FrameRow.note,
            FrameRow.figures,
            FrameRow.block_id,
            FrameRow.raw_gone,
            Telescope.model.label("telescope"),
            StackInput.weight,
        )
        .join(Telescope, Telescope.id == FrameRow.telescope_id)
        .outerjoin(StackInput, StackInput.frame_id == FrameRow.id)
        .where(*conditions)
        .order_by(FrameRow.id)
        .limit(limit + 1)
    )
    rows = [dict(row) for row in session.execute(query).mappings()]
    more = len(rows) > limit
    rows = rows[:limit]
    return {"frames": rows, "next_after": rows[-1]["id"] if more else None}
