"""Uploads: how far each one is, and what came of it.

The offset that is committed here is the truth; bytes beyond it in the scratch file count for
nothing. An upload goes from ``open`` to ``received`` to ``accepted`` or ``refused`` and never back.
Whoever asks is part of every question: another observer's upload is not found.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    CursorResult,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, Upload, UploadItem
from crowdsky.errors import Conflict, NotFound
from crowdsky.settings import ServerSettings

__all__ = [
    "ItemFacts",
    "UploadFacts",
    "commit_offset",
    "create_upload",
    "expire_uploads",
    "find_upload",
    "finish_upload",
    "known_frames",
    "list_uploads",
    "open_bytes",
    "received_uploads",
    "remove_upload",
    "scratch_path",
    "sha256_of_frame",
    "shorten_life",
    "tidy_scratch",
    "unpack_folder",
    "upload_facts",
    "upload_items",
]

_AT_ONCE = 500  # values of one IN (...)

# As plain tables, with statements that are made once: these run for every file.
_UPLOADS, _ITEMS = cast(Table, Upload.__table__), cast(Table, UploadItem.__table__)
_INSERT, _INSERT_ITEM = insert(_UPLOADS), insert(_ITEMS)
_WANTED = _UPLOADS.c.id == bindparam("wanted")
_MOVE = update(_UPLOADS).where(
    _WANTED, _UPLOADS.c.state == "open", _UPLOADS.c.offset == bindparam("before")
)
_FINISH = update(_UPLOADS).where(_WANTED, _UPLOADS.c.state == "received")


@dataclass(frozen=True, slots=True)
class UploadFacts:
    """A row of `uploads`; ``concat`` is ``partial``, ``final`` or empty."""

    id: str
    observer_id: int
    name: str
    length: int | None
    offset: int
    sha256: str | None
    upload_metadata: str
    concat: str
    state: str
    reason: str
    created_utc: datetime
    expires_utc: datetime
    finished_utc: datetime | None


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What came of one file."""

    name: str
    outcome: str
    reason: str = ""
    frame_id: int | None = None


def scratch_path(settings: ServerSettings, upload_id: str) -> Path:
    """Where the bytes of an upload gather."""
    return settings.scratch_dir / "uploads" / f"{upload_id}.part"


def unpack_folder(settings: ServerSettings, upload_id: str) -> Path:
    """Where an archive is unpacked; it belongs to that upload alone."""
    return settings.scratch_dir / "unpack" / upload_id


def create_upload(
    session: Session,
    *,
    upload_id: str,
    observer_id: int,
    name: str,
    length: int | None,
    sha256: str | None,
    upload_metadata: str,
    concat: str,
    expires_utc: datetime,
    offset: int = 0,
    state: str = "open",
    now: datetime | None = None,
) -> UploadFacts:
    """Add a row."""
    facts = UploadFacts(
        id=upload_id,
        observer_id=observer_id,
        name=name,
        length=length,
        offset=offset,
        sha256=sha256,
        upload_metadata=upload_metadata,
        concat=concat,
        state=state,
        reason="",
        created_utc=now or datetime.now(UTC),
        expires_utc=expires_utc,
        finished_utc=None,
    )
    session.execute(_INSERT, asdict(facts))
    return facts


def find_upload(session: Session, observer_id: int, upload_id: str) -> UploadFacts:
    """An observer's upload.

    Raises
    ------
    NotFound
        None of that name, or another observer's.
    """
    found = upload_facts(session, upload_id)
    if found is None or found.observer_id != observer_id:
        raise NotFound("no such upload", value=upload_id)
    return found


def upload_facts(session: Session, upload_id: str) -> UploadFacts | None:
    """An upload, whosever it is."""
    row = session.execute(_FIND, {"wanted": upload_id}).one_or_none()
    return None if row is None else _as_facts(row)


def commit_offset(
    session: Session,
    upload_id: str,
    *,
    before: int,
    after: int,
    expires_utc: datetime,
    length: int | None = None,
    received: bool = False,
) -> None:
    """Move the offset, once the bytes are on the disk; with `received`, these were the last ones.

    Raises
    ------
    Conflict
        The upload is gone, finished, or does not stand at `before` any more.
    """
    values: dict[str, object] = {
        "wanted": upload_id,
        "before": before,
        "offset": after,
        "expires_utc": expires_utc,
    }
    if length is not None:
        values["length"] = length
    if received:
        values["state"] = "received"
    if _rows(session, _MOVE, values) != 1:
        raise Conflict("the upload was ended or continued from elsewhere", value=upload_id)


def finish_upload(
    session: Session,
    upload_id: str,
    *,
    state: str,
    reason: str = "",
    sha256: str | None = None,
    items: Iterable[ItemFacts] = (),
    now: datetime | None = None,
) -> bool:
    """Write down what came of an upload; False, and nothing changed, if that was done before."""
    values: dict[str, object] = {
        "wanted": upload_id,
        "state": state,
        "reason": reason,
        "finished_utc": now or datetime.now(UTC),
    }
    if sha256 is not None:
        values["sha256"] = sha256
    if _rows(session, _FINISH, values) != 1:
        return False
    rows = [
        {
            "upload_id": upload_id,
            "name": item.name,
            "outcome": item.outcome,
            "reason": item.reason,
            "frame_id": item.frame_id,
        }
        for item in items
    ]
    if rows:
        session.execute(_INSERT_ITEM, rows)
    return True


def remove_upload(session: Session, observer_id: int, upload_id: str) -> None:
    """Forget an upload; its frames, if any came of it, stay.

    Raises
    ------
    NotFound
        None of that name, or another observer's.
    Conflict
        All its bytes are here and are being looked at.
    """
    facts = find_upload(session, observer_id, upload_id)
    done = session.execute(
        delete(Upload).where(Upload.id == facts.id, Upload.state != "received").returning(Upload.id)
    ).one_or_none()
    if done is None:
        raise Conflict("the upload is being looked at; ask for its state", value=upload_id)


def shorten_life(session: Session, upload_ids: Sequence[str], expires_utc: datetime) -> None:
    """Have open uploads expire earlier: they were copied, and are kept for a repeat only."""
    session.execute(
        update(Upload)
        .where(Upload.id.in_(upload_ids), Upload.state == "open", Upload.expires_utc > expires_utc)
        .values(expires_utc=expires_utc)
    )


def list_uploads(
    session: Session,
    observer_id: int,
    *,
    state: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> list[UploadFacts]:
    """Uploads of an observer, newest first, from behind `after` on."""
    query = select(*_COLUMNS).where(Upload.observer_id == observer_id, Upload.concat != "partial")
    if state is not None:
        query = query.where(Upload.state == state)
    if after is not None:
        last = find_upload(session, observer_id, after)
        query = query.where(
            or_(
                Upload.created_utc < last.created_utc,
                and_(Upload.created_utc == last.created_utc, Upload.id < last.id),
            )
        )
    query = query.order_by(Upload.created_utc.desc(), Upload.id.desc()).limit(limit)
    return [_as_facts(row) for row in session.execute(query)]


def upload_items(session: Session, upload_id: str) -> list[ItemFacts]:
    """What came of the files of an upload, in the order in which they were looked at."""
    rows = session.execute(
        select(UploadItem.name, UploadItem.outcome, UploadItem.reason, UploadItem.frame_id)
        .where(UploadItem.upload_id == upload_id)
        .order_by(UploadItem.id)
    )
    return [ItemFacts(*row) for row in rows]


def sha256_of_frame(session: Session, frame_id: int | None) -> str | None:
    """Content of a frame; None if there is no such frame."""
    return session.scalar(select(FrameRow.sha256).where(FrameRow.id == frame_id))


def received_uploads(session: Session) -> list[str]:
    """Uploads whose bytes are all here and that are still to be looked at, oldest first."""
    return list(
        session.scalars(
            select(Upload.id).where(Upload.state == "received").order_by(Upload.created_utc)
        )
    )


def known_frames(session: Session, observer_id: int, sha256s: Sequence[str]) -> set[str]:
    """Contents that an observer need not send.

    A frame that is not stacked and whose raw was lost is asked for again.
    """
    known: set[str] = set()
    for start in range(0, len(sha256s), _AT_ONCE):
        part = sha256s[start : start + _AT_ONCE]
        known.update(
            session.scalars(
                select(FrameRow.sha256).where(
                    FrameRow.observer_id == observer_id,
                    FrameRow.sha256.in_(part),
                    or_(FrameRow.raw_gone.is_(False), FrameRow.state == "stacked"),
                )
            )
        )
    return known


def open_bytes(session: Session, observer_id: int) -> int:
    """Bytes that an observer's unfinished uploads will have, in full."""
    total = session.scalar(
        select(func.coalesce(func.sum(Upload.length), 0)).where(
            Upload.observer_id == observer_id, Upload.state.in_(("open", "received"))
        )
    )
    return int(total or 0)


def expire_uploads(
    archive: Archive, settings: ServerSettings, *, now: datetime | None = None
) -> int:
    """Remove unfinished uploads whose time is over, and their bytes; how many those were.

    The record of a finished upload stays.
    """
    with archive.writing() as session:
        gone = list(
            session.scalars(
                delete(Upload)
                .where(Upload.state == "open", Upload.expires_utc < (now or datetime.now(UTC)))
                .returning(Upload.id)
            )
        )
    for upload_id in gone:
        scratch_path(settings, upload_id).unlink(missing_ok=True)
    tidy_scratch(archive, settings, grace_s=settings.sweep_grace_s)
    return len(gone)


def tidy_scratch(archive: Archive, settings: ServerSettings, *, grace_s: float) -> int:
    """Remove scratch files that no unfinished upload has; how many those were.

    They are left behind where a process dies between the last row and the removal of a file.

    Parameters
    ----------
    archive : Archive
    settings : ServerSettings
    grace_s : float
        Seconds for which a file is left alone: parts are joined before there is a row.
    """
    folder = scratch_path(settings, "x").parent
    oldest = time.time() - grace_s
    try:
        found = [path for path in folder.iterdir() if path.stat().st_mtime <= oldest]
    except OSError:
        return 0  # there is none yet, or a file went away while it was looked at
    with archive.reading() as session:
        needed = set(
            session.scalars(select(Upload.id).where(Upload.state.in_(("open", "received"))))
        )
    unneeded = [path for path in found if path.name.split(".", 1)[0] not in needed]
    for path in unneeded:
        path.unlink(missing_ok=True)
    return len(unneeded)


def _as_facts(row: Any) -> UploadFacts:
    return UploadFacts(*row)


def _rows(session: Session, statement: Update, values: dict[str, object]) -> int:
    """How many rows a statement changed."""
    return cast("CursorResult[Any]", session.execute(statement, values)).rowcount


# In the order of the fields of `UploadFacts`.
_COLUMNS = tuple(_UPLOADS.c[field.name] for field in fields(UploadFacts))
_FIND = select(*_COLUMNS).where(_WANTED)
