"""What an observer has sent, what came of it, and what need not be sent."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from crowdsky.api.uploads_desk import UploadDesk, desk_of
from crowdsky.api.who import Caller, needs
from crowdsky.archive.uploads import (
    ItemFacts,
    UploadFacts,
    find_upload,
    known_frames,
    list_uploads,
    upload_items,
)

__all__ = ["lists"]

Writer = Annotated[Caller, Depends(needs("write"))]
Desk = Annotated[UploadDesk, Depends(desk_of)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

lists = APIRouter(prefix="/api/v1/uploads", tags=["uploads"])


class Hashes(BaseModel):
    """Contents that somebody is about to send."""

    sha256: list[Sha256] = Field(max_length=10_000)


class Known(BaseModel):
    """Those of them that need not be sent."""

    have: list[str]


class Item(BaseModel):
    """What came of one file; of files that were skipped there is one line for each reason."""

    name: str
    outcome: Literal["accepted", "duplicate", "refused", "skipped"]
    reason: str
    frame_id: int | None


class UploadLine(BaseModel):
    """An upload in a list."""

    id: str
    name: str
    state: Literal["open", "received", "accepted", "refused"]
    offset: int
    length: int | None
    sha256: str | None
    reason: str
    created_utc: datetime
    expires_utc: datetime | None
    finished_utc: datetime | None


class UploadState(UploadLine):
    """An upload, and what came of its files."""

    items: list[Item]


class UploadList(BaseModel):
    """Uploads, newest first; `next_after` asks for the next ones and is null at the end."""

    uploads: list[UploadLine]
    next_after: str | None


@lists.post("/have", summary="Which contents need not be sent")
async def have(hashes: Hashes, caller: Writer, desk: Desk) -> Known:
    """Those of the given SHA-256 that are here already; the caller's own only."""
    wanted = list(dict.fromkeys(hashes.sha256))
    known = await desk.read(lambda session: known_frames(session, caller.observer_id, wanted))
    return Known(have=[one for one in wanted if one in known])


@lists.get("", summary="What was sent")
async def uploads(
    caller: Writer,
    desk: Desk,
    state: Literal["open", "received", "accepted", "refused"] | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: str | None = None,
) -> UploadList:
    """The caller's uploads."""
    found = await desk.read(
        lambda session: list_uploads(
            session, caller.observer_id, state=state, limit=limit + 1, after=after
        )
    )
    more = found[limit - 1].id if len(found) > limit else None
    return UploadList(uploads=[UploadLine(**_line(one)) for one in found[:limit]], next_after=more)


@lists.get("/{upload_id}", summary="What came of an upload")
async def upload(upload_id: str, caller: Writer, desk: Desk) -> UploadState:
    """Its state, and that of each file in it."""
    facts, items = await desk.read(partial(_with_items, caller.observer_id, upload_id))
    listed = [
        Item(name=i.name, outcome=i.outcome, reason=i.reason, frame_id=i.frame_id)  # type: ignore[arg-type]
        for i in items
    ]
    return UploadState(**_line(facts), items=listed)


def _with_items(
    observer_id: int, upload_id: str, session: Session
) -> tuple[UploadFacts, list[ItemFacts]]:
    facts = find_upload(session, observer_id, upload_id)
    return facts, upload_items(session, facts.id)


def _line(facts: UploadFacts) -> dict[str, Any]:
    return {
        "id": facts.id,
        "name": facts.name,
        "state": facts.state,
        "offset": facts.offset,
        "length": facts.length,
        "sha256": facts.sha256,
        "reason": facts.reason,
        "created_utc": facts.created_utc,
        "expires_utc": facts.expires_utc if facts.state == "open" else None,
        "finished_utc": facts.finished_utc,
    }
