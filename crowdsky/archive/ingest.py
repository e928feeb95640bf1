"""A frame that passed the door becomes a row and a stored file.

The order is what makes it safe to die anywhere: the object's row is made or touched, so that no
sweeper takes what is about to be stored; the bytes are stored; then one transaction writes every
row that speaks of the frame. Until that transaction the sender's file stays where it is, so whoever
is killed before it simply does all of it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crowdsky.archive.accounts import used_bytes
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, Observer, StackInput, UploadItem
from crowdsky.archive.objects import begin_object, keep_object
from crowdsky.archive.plain_header import header_to_plain
from crowdsky.archive.store import FileStore
from crowdsky.archive.telescopes import ensure_telescope
from crowdsky.archive.texts import storable
from crowdsky.archive.upsert import insert_if_new
from crowdsky.errors import Conflict, LimitExceeded, NotFound
from crowdsky.frames.frame_header import FrameHeader
from crowdsky.steps import reached

__all__ = ["Arrival", "take_frame"]

Outcome = Literal["accepted", "duplicate"]

MAX_NAME = 1000
_TRIES = 5
_ALREADY_HERE = "already here"


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
    arrival = None
    if _is_here(archive, observer_id, sha256):
        with archive.writing() as session:
            arrival = _note_duplicate(session, observer_id, sha256, name, upload_id)
    if arrival is None:
        _refuse_over_quota(archive, observer_id, n_bytes, quota_bytes)
        for last in range(_TRIES - 1, -1, -1):
            _store(archive, store, path, sha256, n_bytes, consume=consume)
            try:
                with archive.writing() as session:
                    keep_object(session, sha256)
                    arrival = _enter(session, observer_id, sha256, n_bytes, header, name, now)
                    _list_in_upload(session, upload_id, name, arrival)
                break
            except Conflict:
                if not last:
                    raise
        assert arrival is not None
        if arrival.outcome == "accepted":
            _room(archive).spend(observer_id, n_bytes)
    reached("ingest.committed")
    if consume:
        path.unlink(missing_ok=True)
    return arrival


def _is_here(archive: Archive, observer_id: int, sha256: str) -> bool:
    with archive.reading() as session:
        state = session.scalar(select(Observer.state).where(Observer.id == observer_id))
        if state is None:
            raise NotFound("no such observer", value=observer_id)
        if state != "active":
            raise Conflict("the account is not active", value=state)
        found = session.scalar(
            select(FrameRow.id).where(
                FrameRow.observer_id == observer_id, FrameRow.sha256 == sha256
            )
        )
    return found is not None


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
        select(FrameRow.name)
        .where(
            FrameRow.telescope_id == telescope_id,
            FrameRow.start_utc == header.start_utc,
            FrameRow.sha256 != sha256,
        )
        .order_by(FrameRow.id)
        .limit(1)
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
        select(UploadItem.id).where(
            UploadItem.upload_id == upload_id,
            UploadItem.name == name,
            UploadItem.frame_id == arrival.frame_id,
        )
    )
    if listed is None:
        session.add(
            UploadItem(
                upload_id=upload_id,
                name=name,
                outcome=arrival.outcome,
                reason=arrival.note,
                frame_id=arrival.frame_id,
            )
        )


def _store(
    archive: Archive, store: FileStore, path: Path, sha256: str, n_bytes: int, *, consume: bool
) -> None:
    must_put = begin_object(archive, sha256, n_bytes, "raw")
    reached("ingest.begun")
    if must_put:
        with _second_name(path if consume else None) as twin:
            if twin is not None:
                store.put(twin, sha256, consume=True)
            else:
                store.put(path, sha256, consume=False)
    reached("ingest.stored")


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


class _Room:
    """How much room observers are known to have, so that few arrivals need a count of all."""

    def __init__(self) -> None:
        self._left: dict[int, int] = {}

    def suffices(self, observer_id: int, n_bytes: int) -> bool:
        return self._left.get(observer_id, 0) > n_bytes

    def learn(self, observer_id: int, left: int) -> None:
        # Others take room at the same time; half of what is left is ours to take unasked.
        self._left[observer_id] = left // 2

    def spend(self, observer_id: int, n_bytes: int) -> None:
        self._left[observer_id] = self._left.get(observer_id, 0) - n_bytes


_rooms: WeakKeyDictionary[Archive, _Room] = WeakKeyDictionary()


def _room(archive: Archive) -> _Room:
    return _rooms.setdefault(archive, _Room())


def _refuse_over_quota(
    archive: Archive, observer_id: int, n_bytes: int, quota_bytes: int | None
) -> None:
    """Refuse what does not fit.

    Counted exactly whenever less than half of the room seen last is left, so an observer who sends
    through several processes at once can overshoot by what these take in between at the most.
    """
    room = _room(archive)
    if room.suffices(observer_id, n_bytes):
        return
    with archive.reading() as session:
        own = session.scalar(select(Observer.quota_bytes).where(Observer.id == observer_id))
        quota = quota_bytes if own is None else own
        if quota is None:
            return
        used = sum(used_bytes(session, observer_id))
    if used + n_bytes > quota:
        raise LimitExceeded(
            f"the quota of {quota / 1e9:g} GB is used up ({used / 1e9:.2f} GB are here)",
            limit=quota,
            used_bytes=used,
            retry_after_s=None,
        )
    room.learn(observer_id, quota - used)
