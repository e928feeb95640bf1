"""A frame that passed the door becomes a row and a stored file.

The order is what makes it safe to die anywhere: the object's row is made or touched, so that no
sweeper takes what is about to be stored; the bytes are stored; then one transaction writes every
row that speaks of the frame. Until that transaction the sender's file stays where it is, so whoever
is killed before it simply does all of it again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, Observer, StackInput, UploadItem
from crowdsky.archive.objects import begin_in, keep_object
from crowdsky.archive.plain_header import header_to_plain
from crowdsky.archive.quota import refuse_over_quota, room_of
from crowdsky.archive.store import FileStore
from crowdsky.archive.telescopes import ensure_telescope
from crowdsky.archive.texts import storable
from crowdsky.archive.upsert import insert_if_new
from crowdsky.errors import Conflict, NotFound
from crowdsky.frames.frame_header import FrameHeader
from crowdsky.steps import reached

__all__ = ["Arrival", "take_frame"]

Outcome = Literal["accepted", "duplicate"]

MAX_NAME = 1000
_TRIES = 5
_ALREADY_HERE = "already here"

# As plain tables, with statements that are made once: these run for every frame.
_FRAMES, _ITEMS = cast(Table, FrameRow.__table__), cast(Table, UploadItem.__table__)
_STATE = select(Observer.__table__.c.state).where(Observer.__table__.c.id == bindparam("observer"))
_SAME = select(_FRAMES.c.id).where(
    _FRAMES.c.observer_id == bindparam("observer"), _FRAMES.c.sha256 == bindparam("content")
)
_NEAR = (
    select(_FRAMES.c.name)
    .where(
        _FRAMES.c.telescope_id == bindparam("telescope"),
        _FRAMES.c.start_utc == bindparam("start"),
        _FRAMES.c.sha256 != bindparam("content"),
    )
    .order_by(_FRAMES.c.id)
    .limit(1)
)
_LISTED = select(_ITEMS.c.id).where(
    _ITEMS.c.upload_id == bindparam("upload"),
    _ITEMS.c.name == bindparam("shown"),
    _ITEMS.c.frame_id == bindparam("frame"),
)
_LIST = insert(_ITEMS)

T = TypeVar("T")


class Write(Protocol):
    """Does work in a transaction that is committed on return."""

    def __call__(self, work: Callable[[Session], T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of a frame.

    Attributes
    ----------
    outcome : str
        ``'accepted'`` or ``'duplicate'``.
    frame_id : int
        Of the new frame, or of the one that was here.
    note : str
        What its sender should know: what became of the frame that was here, or that another one of
        the same telescope began at the same time. Empty if there is nothing to say.
    """

    outcome: Outcome
    frame_id: int
    note: str


def take_frame(
    archive: Archive,
    store: FileStore,
    *,
    observer_id: int,
    path: Path,
    sha256: str,
    header: FrameHeader,
    name: str,
    upload_id: str | None = None,
    quota_bytes: int | None = None,
    consume: bool = True,
    checked: bool = False,
    write: Write | None = None,
    also: Callable[[Session, Arrival], object] | None = None,
    now: datetime | None = None,
) -> Arrival:
    """Take a frame into the archive.

    A frame whose bytes the observer sent before is a duplicate. If those bytes are lost and it is
    not stacked, it is taken again, and is the frame that it was.

    Parameters
    ----------
    archive : Archive
    store : FileStore
    observer_id : int
    path : Path
        The file, checked at the door.
    sha256 : str
        Of its content.
    header : FrameHeader
    name : str
        As sent; it is shown and never used as a path.
    upload_id : str, optional
        The upload it came by, in whose list it is noted; once, however often this is called.
    quota_bytes : int, optional
        Room for the observer's raws and stacks, unless the observer has a quota of their own.
    consume : bool
        Whether the file is gone once the frame is safe.
    checked : bool
        Whether the hash need not be computed once more; see `FileStore.put`.
    write : callable, optional
        Does some work in a transaction and is back when that is committed; by default each has its
        own. Several frames can share them.
    also : callable, optional
        What else to write in the transaction that writes the frame, or that it is a duplicate.
    now : datetime, optional

    Returns
    -------
    Arrival

    Raises
    ------
    NotFound
        No such observer.
    Conflict
        The account is not active, or the file was swept over and over while it was being stored.
    LimitExceeded
        Over the quota; carries ``limit`` in bytes.
    StoreError
        From the store; nothing was changed.
    """
    now = now or datetime.now(UTC)
    name = storable(name, MAX_NAME)
    n_bytes = path.stat().st_size
    write = write or partial(_alone, archive)
    also = also or _nothing_else

    def begin(session: Session) -> Arrival | bool:
        if _is_here(session, observer_id, sha256):
            arrival = _note_duplicate(session, observer_id, sha256, name, upload_id)
            if arrival is not None:
                also(session, arrival)
                return arrival
        refuse_over_quota(archive, session, observer_id, n_bytes, quota_bytes)
        return begin_in(session, sha256, n_bytes, "raw")

    def end(session: Session) -> Arrival:
        keep_object(session, sha256)
        arrival = _enter(session, observer_id, sha256, n_bytes, header, name, now)
        _list_in_upload(session, upload_id, name, arrival)
        also(session, arrival)
        return arrival

    arrival = None
    for last in range(_TRIES - 1, -1, -1):
        begun = write(begin)
        if isinstance(begun, Arrival):
            arrival = begun
            break
        reached("ingest.begun")
        if begun:
            _put(store, path, sha256, consume=consume, checked=checked)
        reached("ingest.stored")
        try:
            arrival = write(end)
        except Conflict:
            if not last:
                raise
            continue
        if arrival.outcome == "accepted":
            room_of(archive).spend(observer_id, n_bytes)
        break
    assert arrival is not None
    reached("ingest.committed")
    if consume:
        path.unlink(missing_ok=True)
    return arrival


def _alone(archive: Archive, work: Callable[[Session], T]) -> T:
    """Do something in a transaction of its own."""
    with archive.writing() as session:
        return work(session)


def _nothing_else(_session: Session, _arrival: Arrival) -> None:
    """Most callers have nothing more to write."""


def _is_here(session: Session, observer_id: int, sha256: str) -> bool:
    state = session.scalar(_STATE, {"observer": observer_id})
    if state is None:
        raise NotFound("no such observer", value=observer_id)
    if state != "active":
        raise Conflict("the account is not active", value=state)
    return session.scalar(_SAME, {"observer": observer_id, "content": sha256}) is not None


def _note_duplicate(
    session: Session,
    observer_id: int,
    sha256: str,
    name: str,
    upload_id: str | None,
) -> Arrival | None:
    """The arrival of a frame that is here and needs no bytes; None if it does need them."""
    frame = _frame(session, observer_id, sha256)
    if frame is None or _can_be_revived(session, frame):
        return None
    arrival = _duplicate(frame)
    _list_in_upload(session, upload_id, name, arrival)
    return arrival


def _enter(
    session: Session,
    observer_id: int,
    sha256: str,
    n_bytes: int,
    header: FrameHeader,
    name: str,
    now: datetime,
) -> Arrival:
    """Write the row of a frame whose bytes are stored."""
    telescope_id = ensure_telescope(session, observer_id, header)
    other = session.scalar(
        _NEAR, {"telescope": telescope_id, "start": header.start_utc, "content": sha256}
    )
    note = "" if other is None else f"same telescope and start as {other}, other content"
    frame_id = insert_if_new(
        session,
        FrameRow,
        ("observer_id", "sha256"),
        {
            "observer_id": observer_id,
            "sha256": sha256,
            "n_bytes": n_bytes,
            "name": name,
            "telescope_id": telescope_id,
            "header": header_to_plain(header),
            "target": header.target,
            "start_utc": header.start_utc,
            "accepted_utc": now,
            "note": note,
        },
    )
    if frame_id is not None:
        return Arrival("accepted", frame_id, note)
    frame = _frame(session, observer_id, sha256)
    assert frame is not None
    if not _can_be_revived(session, frame):
        return _duplicate(frame)
    _revive(session, frame)
    return Arrival("accepted", frame.id, "taken again: its bytes were no longer here")


def _frame(session: Session, observer_id: int, sha256: str) -> FrameRow | None:
    return session.scalar(
        select(FrameRow)
        .where(FrameRow.observer_id == observer_id, FrameRow.sha256 == sha256)
        .with_for_update()
    )


def _can_be_revived(session: Session, frame: FrameRow) -> bool:
    """Whether sending the bytes again helps: they are lost, and no stack has judged the frame."""
    if not frame.raw_gone or frame.state == "stacked":
        return False
    judged = session.scalar(select(StackInput.stack_id).where(StackInput.frame_id == frame.id))
    return judged is None


def _revive(session: Session, frame: FrameRow) -> None:
    values = {"raw_gone": False, "note": ""}
    if frame.state == "rejected":
        # Its block came to nothing; it is free to be grouped again with what is sent now.
        values |= {"state": "pending", "reason": "", "block_id": None, "figures": None}
    session.execute(update(FrameRow).where(FrameRow.id == frame.id).values(**values))


def _duplicate(frame: FrameRow) -> Arrival:
    note = f"{_ALREADY_HERE} as {frame.name}"
    if frame.state == "stacked":
        note += ", stacked"
    elif frame.state == "rejected":
        note += f", rejected: {frame.reason}"
    return Arrival("duplicate", frame.id, note)


def _list_in_upload(session: Session, upload_id: str | None, name: str, arrival: Arrival) -> None:
    """Note the outcome in the upload's list, once: an intake that was cut short is repeated."""
    if upload_id is None:
        return
    listed = session.scalar(
        _LISTED, {"upload": upload_id, "shown": name, "frame": arrival.frame_id}
    )
    if listed is None:
        item = {
            "upload_id": upload_id,
            "name": name,
            "outcome": arrival.outcome,
            "reason": arrival.note,
            "frame_id": arrival.frame_id,
        }
        session.execute(_LIST, item)


def _put(store: FileStore, path: Path, sha256: str, *, consume: bool, checked: bool) -> None:
    with _second_name(path if consume else None) as twin:
        if twin is not None:
            store.put(twin, sha256, consume=True, checked=checked)
        else:
            store.put(path, sha256, consume=False, checked=checked)


@contextmanager
def _second_name(path: Path | None) -> Iterator[Path | None]:
    """Another name for a file, which the store may move away; None where there can be none.

    The store need not copy then, and yet the sender's file outlives a crash until the rows are
    written.
    """
    if path is None:
        yield None
        return
    twin: Path | None = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}.twin")
    assert twin is not None
    try:
        twin.hardlink_to(path)
    except OSError:
        twin = None
    try:
        yield twin
    finally:
        if twin is not None:
            twin.unlink(missing_ok=True)
