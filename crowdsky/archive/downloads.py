"""Downloads: a selection of stacks, frozen when it was made.

A row of the table ``downloads`` names the objects of its archive, which the sweeper leaves alone
until the download expires. Texts (manifest, README) are kept in the row as they were written, so
that every byte of the archive can be sent again, whatever becomes of the stacks meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from crowdsky.archive.audit import note
from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Download, ObjectRow, Observer
from crowdsky.errors import Conflict, LimitExceeded, NotFound

__all__ = [
    "DOWNLOAD_HOURS",
    "MAX_DOWNLOADS",
    "ArchiveEntry",
    "FrozenDownload",
    "KnownObject",
    "delete_download",
    "find_download",
    "known_objects",
    "save_download",
]

#: How long an archive can be fetched, and its files are kept for it.
DOWNLOAD_HOURS = 48.0
#: Of one observer at a time.
MAX_DOWNLOADS = 100

_AT_ONCE = 500  # names in one statement


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A file of the archive: an object of the store, or a text.

    Attributes
    ----------
    name : str
    n_bytes, crc32 : int
    sha256 : str
        Of an object; empty for a text.
    text : str
    """

    name: str
    n_bytes: int
    crc32: int
    sha256: str = ""
    text: str = ""

    def plain(self) -> dict[str, Any]:
        """As it is kept in the row."""
        kept: dict[str, Any] = {"name": self.name, "n_bytes": self.n_bytes, "crc32": self.crc32}
        return kept | ({"sha256": self.sha256} if self.sha256 else {"text": self.text})

    @classmethod
    def from_plain(cls, kept: Mapping[str, Any]) -> ArchiveEntry:
        """The opposite of `plain`."""
        return cls(**kept)


@dataclass(frozen=True, slots=True)
class FrozenDownload:
    """A download as it was made."""

    id: str
    entries: tuple[ArchiveEntry, ...]
    n_bytes: int
    created_utc: datetime
    expires_utc: datetime


@dataclass(frozen=True, slots=True)
class KnownObject:
    """What the database knows of an object."""

    state: str
    n_bytes: int
    crc32: int | None


def known_objects(session: Session, sha256s: Iterable[str]) -> dict[str, KnownObject]:
    """What the database knows of objects, by their names."""
    found: dict[str, KnownObject] = {}
    for part in _parts(sorted(set(sha256s))):
        rows = session.execute(
            select(ObjectRow.sha256, ObjectRow.state, ObjectRow.n_bytes, ObjectRow.crc32).where(
                ObjectRow.sha256.in_(part)
            )
        )
        found |= {row.sha256: KnownObject(row.state, row.n_bytes, row.crc32) for row in rows}
    return found


def save_download(
    archive: Archive,
    observer_id: int,
    title: str,
    entries: Sequence[ArchiveEntry],
    n_bytes: int,
    created_utc: datetime,
    *,
    found_crc32s: Mapping[str, int] | None = None,
    hours: float = DOWNLOAD_HOURS,
) -> FrozenDownload:
    """Freeze a selection.

    Parameters
    ----------
    archive : Archive
    observer_id : int
    title : str
    entries : sequence of ArchiveEntry
    n_bytes : int
        Of the archive.
    created_utc : datetime
        Written into the archive.
    found_crc32s : mapping of str to int, optional
        CRC-32s that were not known before, by SHA-256.
    hours : float
        How long it is kept.

    Returns
    -------
    FrozenDownload

    Raises
    ------
    Conflict
        An object was swept or found to be damaged meanwhile: choose again.
    LimitExceeded
        The observer has too many downloads.
    """
    wanted = sorted({entry.sha256 for entry in entries if entry.sha256})
    key = secrets.token_hex(16)
    with archive.writing() as session:
        now = database_now(session)
        _make_room(session, observer_id, now)
        # Touching them locks the rows: the sweeper, who locks them too, looks before or after.
        for part in _parts(wanted):
            kept = session.execute(
                update(ObjectRow)
                .where(ObjectRow.sha256.in_(part), ObjectRow.state == "stored")
                .values(touched_utc=now)
                .execution_options(synchronize_session=False)
            )
            if kept.rowcount != len(part):  # type: ignore[attr-defined]
                raise Conflict("a file was swept away while the download was being made")
        if found_crc32s:
            session.execute(
                update(ObjectRow),
                [{"sha256": name, "crc32": crc32} for name, crc32 in found_crc32s.items()],
            )
        expires_utc = now + timedelta(hours=hours)
        session.add(
            Download(
                id=key,
                observer_id=observer_id,
                title=title,
                entries=[entry.plain() for entry in entries],
                n_bytes=n_bytes,
                created_utc=created_utc,
                expires_utc=expires_utc,
            )
        )
        name = session.scalar(select(Observer.name).where(Observer.id == observer_id)) or ""
        note(session, name, "download.make", f"download:{key}", files=len(wanted), bytes=n_bytes)
    return FrozenDownload(key, tuple(entries), n_bytes, created_utc, expires_utc)


def find_download(archive: Archive, observer_id: int, key: str) -> FrozenDownload:
    """A download of an observer.

    Raises
    ------
    NotFound
        No such download, not theirs, or expired.
    """
    with archive.reading() as session:
        row = session.scalar(
            select(Download).where(
                Download.id == key,
                Download.observer_id == observer_id,
                Download.expires_utc > database_now(session),
            )
        )
        if row is None:
            raise NotFound("no such download, or it has expired: make a new one", value=key[:40])
        entries = tuple(ArchiveEntry.from_plain(kept) for kept in row.entries)
        return FrozenDownload(row.id, entries, row.n_bytes, row.created_utc, row.expires_utc)


def delete_download(archive: Archive, observer_id: int, key: str) -> None:
    """Forget a download; what it kept from the sweeper is free again.

    Raises
    ------
    NotFound
    """
    with archive.writing() as session:
        gone = session.execute(
            delete(Download).where(Download.id == key, Download.observer_id == observer_id)
        )
        if not gone.rowcount:  # type: ignore[attr-defined]
            raise NotFound("no such download, or it has expired: make a new one", value=key[:40])


def _make_room(session: Session, observer_id: int, now: datetime) -> None:
    session.execute(
        delete(Download).where(Download.observer_id == observer_id, Download.expires_utc <= now)
    )
    there = session.scalar(
        select(func.count()).select_from(Download).where(Download.observer_id == observer_id)
    )
    if (there or 0) >= MAX_DOWNLOADS:
        raise LimitExceeded(
            f"at most {MAX_DOWNLOADS} downloads at a time: delete one, or wait until one expires",
            limit=MAX_DOWNLOADS,
            retry_after_s=3600.0,
        )


def _parts(names: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield list(names[start : start + _AT_ONCE])
