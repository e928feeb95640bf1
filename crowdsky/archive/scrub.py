"""Stored files are read again, so that rot is found before somebody needs them.

What reads as other bytes than were stored, or is not there, is marked ``rotten``: it is not served,
and whoever sends the same bytes again is let. Frames that no stack holds yet stay pending, and are
asked for again; their rotten raws go with the next sweep.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crowdsky.archive.audit import note
from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, ObjectRow
from crowdsky.archive.store import FileStore
from crowdsky.errors import ObjectMissing, ObjectRotten, StoreError
from crowdsky.steps import reached

__all__ = ["ScrubReport", "mark_rotten", "note_rotten", "scrub"]

log = logging.getLogger(__name__)

Verdict = Literal["right", "damaged", "missing", "unreadable"]

_AT_ONCE = 100
_FAILURES = 20  # files that cannot be read, after which the store is left in peace


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """What was found.

    Attributes
    ----------
    n_checked, n_bytes : int
        Files that were read to their end, and their size.
    n_damaged, n_missing : int
        Files with other bytes than were stored; files that are not there.
    n_unreadable : int
        Files that the store did not give just now; nothing is concluded from that.
    """

    n_checked: int
    n_bytes: int
    n_damaged: int
    n_missing: int
    n_unreadable: int

    def __str__(self) -> str:
        return (
            f"{self.n_checked} files read ({self.n_bytes / 1e6:.1f} MB): {self.n_damaged} damaged, "
            f"{self.n_missing} missing, {self.n_unreadable} could not be read"
        )


def scrub(
    archive: Archive,
    store: FileStore,
    *,
    limit: int | None = None,
    now: datetime | None = None,
) -> ScrubReport:
    """Read files again: first those that never were, then those whose turn was longest ago.

    Parameters
    ----------
    archive : Archive
    store : FileStore
    limit : int, optional
        Most files to look at; all of them when omitted.
    now : datetime, optional
        The database's clock when omitted.

    Returns
    -------
    ScrubReport

    Raises
    ------
    ArchiveUnavailable
    """
    with archive.reading() as session:
        now = now or database_now(session)
        # Oldest first; NULLs are asked for by themselves, as databases sort them differently.
        stored = select(ObjectRow.sha256, ObjectRow.n_bytes, ObjectRow.touched_utc).where(
            ObjectRow.state == "stored"
        )
        todo = session.execute(
            stored.order_by(ObjectRow.checked_utc.is_not(None), ObjectRow.checked_utc).limit(limit)
        ).all()
    counts: dict[Verdict, int] = {"right": 0, "damaged": 0, "missing": 0, "unreadable": 0}
    n_bytes, right = 0, []
    for sha256, size, touched in todo:
        verdict = _read(store, sha256)
        if verdict == "damaged" and _read(store, sha256) == "right":
            verdict = "unreadable"  # what is read well once is not rotten
        reached("scrub.read")
        if verdict in ("damaged", "missing"):
            with archive.writing() as session:
                if not _mark(session, sha256, verdict, touched):
                    continue
        elif verdict == "right":
            right.append(sha256)
            n_bytes += size
        counts[verdict] += 1
        if len(right) >= _AT_ONCE:
            _note_checked(archive, right, now)
            right = []
        if counts["unreadable"] >= _FAILURES:
            break
    _note_checked(archive, right, now)
    return ScrubReport(
        n_checked=counts["right"] + counts["damaged"],
        n_bytes=n_bytes,
        n_damaged=counts["damaged"],
        n_missing=counts["missing"],
        n_unreadable=counts["unreadable"],
    )


def mark_rotten(
    session: Session,
    sha256: str,
    what: Literal["damaged", "missing"],
    *,
    actor: str = "scrub",
) -> None:
    """Mark an object as rotten, and the frames that name it.

    Parameters
    ----------
    session : Session
        In a writing transaction that has locked no frame yet.
    sha256 : str
    what : {'damaged', 'missing'}
    actor : str
        Who found it.
    """
    _mark(session, sha256, what, None, actor)


def note_rotten(archive: Archive, sha256: str) -> None:
    """Mark an object that was found damaged when somebody asked for it.

    Raises
    ------
    ArchiveUnavailable
    """
    with archive.writing() as session:
        mark_rotten(session, sha256, "damaged", actor="service")


def _mark(
    session: Session,
    sha256: str,
    what: str,
    touched: datetime | None,
    actor: str = "scrub",
) -> bool:
    """Mark it, unless somebody has touched it since it was read: then other bytes may be there."""
    row = session.scalar(
        select(ObjectRow)
        .where(ObjectRow.sha256 == sha256, ObjectRow.state == "stored")
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None or (touched is not None and row.touched_utc != touched):
        return False
    row.state = "rotten"
    # Not before it was touched: `keep_object` tells by that who was told to put it since.
    row.checked_utc = max(row.touched_utc, database_now(session))
    words = f"its stored file is {what}"
    session.execute(
        update(FrameRow)
        .where(FrameRow.sha256 == sha256)
        .values(raw_gone=True)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(FrameRow)
        .where(FrameRow.sha256 == sha256, FrameRow.state == "pending")
        .values(note=f"{words}; send it again to have it stacked")
        .execution_options(synchronize_session=False)
    )
    note(session, actor, "object.rotten", f"object:{sha256}", kind=row.kind, what=what)
    log.warning("object %s (%s): %s", sha256, row.kind, words)
    return True


def _read(store: FileStore, sha256: str) -> Verdict:
    digest = hashlib.sha256()
    try:
        for piece in store.read(sha256):
            digest.update(piece)
    except ObjectMissing:
        return "missing"
    except ObjectRotten:
        return "damaged"
    except StoreError as error:
        log.warning("object %s: cannot be read just now (%s)", sha256, error)
        return "unreadable"
    return "right" if digest.hexdigest() == sha256 else "damaged"


def _note_checked(archive: Archive, sha256s: Sequence[str], now: datetime) -> None:
    if not sha256s:
        return
    with archive.writing() as session:
        session.execute(
            update(ObjectRow)
            .where(ObjectRow.sha256.in_(sha256s), ObjectRow.state == "stored")
            .values(checked_utc=now)
            .execution_options(synchronize_session=False)
        )
