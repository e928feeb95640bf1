"""Rows and bytes of the file store kept in step.

Bytes are stored outside of any transaction, so three things may happen meanwhile: somebody stores
the same bytes, the sweeper finds that nothing needs them, the process dies. The protocol that makes
all of it safe::

    begin_object      the row is there and freshly touched; says whether bytes must be put
    store.put         as often as anybody likes: the same name always means the same bytes
    keep_object       in the transaction that writes the row which names the object

The sweeper condemns a row in one transaction and removes its file in a second one, during which it
holds the row (`crowdsky.archive.sweep`). Whoever begins in between takes the row back, and the
sweeper finds it no longer condemned. Whoever began before finds it condemned or gone at
`keep_object`, is told so by `Conflict`, and begins again. A row that names an object therefore
never comes to stand beside bytes that are being removed, and who dies leaves nothing to wait for.

All times are the database's, so that the clocks of several hosts do not matter.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import ObjectRow
from crowdsky.archive.store import FileStore
from crowdsky.errors import Conflict
from crowdsky.steps import reached

__all__ = ["Kind", "begin_in", "begin_object", "keep_object", "store_file"]

Kind = Literal["raw", "stack", "preview"]

_PIECE = 1 << 20
_TRIES = 20

# As a plain table, with statements that are made once: this runs for every frame.
_OBJECTS = cast(Table, ObjectRow.__table__)
_KEY = _OBJECTS.c.sha256
_LOCKED = (
    select(_OBJECTS.c.state, _OBJECTS.c.touched_utc, _OBJECTS.c.checked_utc)
    .where(bindparam("wanted") == _KEY)
    .with_for_update()
)
_CHANGED = update(_OBJECTS).where(bindparam("wanted") == _KEY)


def begin_object(
    archive: Archive, sha256: str, n_bytes: int, kind: Kind, *, crc32: int | None = None
) -> bool:
    """Say that bytes are about to be stored, so that the sweeper leaves them alone for a while.

    Parameters
    ----------
    archive : Archive
    sha256 : str
        Of the bytes.
    n_bytes : int
    kind : {'raw', 'stack', 'preview'}
    crc32 : int, optional
        Of the bytes, where it is known already.

    Returns
    -------
    bool
        True if they must be put; False if they are in the store already.

    Raises
    ------
    ArchiveUnavailable
    """
    with archive.writing() as session:
        return begin_in(session, sha256, n_bytes, kind, crc32=crc32)


def begin_in(
    session: Session, sha256: str, n_bytes: int, kind: Kind, *, crc32: int | None = None
) -> bool:
    """`begin_object` within a writing transaction, which ends before the bytes are put."""
    for _ in range(_TRIES):
        now = database_now(session)
        new = {
            "sha256": sha256,
            "n_bytes": n_bytes,
            "kind": kind,
            "state": "writing",
            "crc32": crc32,
            "touched_utc": now,
        }
        insert = _insert_new(session.get_bind().dialect.name)
        if session.execute(insert, new).one_or_none() is not None:
            return True
        row = session.execute(_LOCKED, {"wanted": sha256}).one_or_none()
        if row is None:
            continue  # it was there, and was swept between the two statements
        # A rotten one is touched after it was found so, whatever the clock did meanwhile.
        values: dict[str, Any] = {
            "touched_utc": max(now, row.touched_utc, row.checked_utc or now),
            "state": "writing" if row.state == "condemned" else row.state,
        }
        if values["state"] == "writing":
            values |= {"n_bytes": n_bytes, "kind": kind}
        if crc32 is not None:
            values["crc32"] = crc32
        session.execute(_CHANGED, {"wanted": sha256, **values})
        return bool(values["state"] != "stored")
    raise Conflict("is swept away over and over while it is being stored", value=sha256)


def keep_object(session: Session, sha256: str, *, crc32: int | None = None) -> None:
    """Mark an object as stored, in the transaction that writes the row which names it.

    Parameters
    ----------
    session : Session
        In a writing transaction.
    sha256 : str
    crc32 : int, optional

    Raises
    ------
    Conflict
        It was condemned or removed, or found to be rotten, since `begin_object`: begin again.
    """
    row = session.execute(_LOCKED, {"wanted": sha256}).one_or_none()
    if row is None or row.state == "condemned":
        raise Conflict("was swept while it was being stored; store it again", value=sha256)
    if row.state == "rotten" and row.checked_utc is not None and row.touched_utc < row.checked_utc:
        # Nobody was told to put it since it was found so.
        raise Conflict("was found to be rotten; store it again", value=sha256)
    values = {"state": "stored", "touched_utc": max(database_now(session), row.touched_utc)}
    if crc32 is not None:
        values["crc32"] = crc32
    session.execute(_CHANGED, {"wanted": sha256, **values})


def store_file(
    archive: Archive,
    store: FileStore,
    path: Path,
    sha256: str,
    kind: Kind,
    *,
    consume: bool = False,
) -> None:
    """Store a file that a row is going to name; `keep_object` follows in the row's transaction.

    Parameters
    ----------
    archive : Archive
    store : FileStore
    path : Path
    sha256 : str
        Of its content.
    kind : {'raw', 'stack', 'preview'}
    consume : bool
        Whether the file at `path` is gone afterwards.

    Raises
    ------
    StoreError, ArchiveUnavailable
    """
    crc32 = None if kind == "raw" else _crc32(path)
    must_put = begin_object(archive, sha256, path.stat().st_size, kind, crc32=crc32)
    reached("object.begun")
    if must_put:
        store.put(path, sha256, consume=consume)
    elif consume:
        path.unlink(missing_ok=True)
    reached("object.put")


@cache
def _insert_new(dialect_name: str) -> Any:
    """An INSERT that gives a row only where there was none."""
    insert = postgresql.insert if dialect_name == "postgresql" else sqlite.insert
    return insert(_OBJECTS).on_conflict_do_nothing(index_elements=["sha256"]).returning(_KEY)


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            crc = zlib.crc32(piece, crc)
    return crc
