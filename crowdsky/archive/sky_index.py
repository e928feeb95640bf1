"""An index of all stacks in memory, which follows the database.

A sum over a large region cannot be had from a database in a tenth of a second: a million index
entries take longer to walk. So each process that searches keeps the columns a search looks at
(`SkyColumns`), and before every search reads which stacks changed since (``stack_changes``, filled
by triggers, so by every process alike). Whatever was committed before a search began is in it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, Engine, cast, delete, extract, func, select, type_coerce
from sqlalchemy.orm import Session

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import StackChange, StackRow
from crowdsky.archive.sky_columns import SkyColumns

__all__ = ["SkyIndex", "prune_changes", "sky_index"]

_LOAD_ROWS = 50_000
_FETCH_ROWS = 1_000
# Beyond so many changes, loading afresh is quicker than following.
_MAX_CHANGES = 100_000

_indexes: WeakKeyDictionary[Engine, SkyIndex] = WeakKeyDictionary()
_indexes_lock = threading.Lock()


def sky_index(session: Session) -> SkyIndex:
    """The index of the database of a session, brought up to what the session sees.

    Parameters
    ----------
    session : Session

    Returns
    -------
    SkyIndex
        The same for all sessions of an engine. The first call loads it.
    """
    engine = session.get_bind().engine
    with _indexes_lock:
        index = _indexes.setdefault(engine, SkyIndex())
    index.follow(session)
    return index


class SkyIndex:
    """The columns of all stacks, safe between threads.

    Many may look at once; while changes are taken in, nobody does.
    """

    def __init__(self) -> None:
        self._columns = SkyColumns()
        self._seq: int | None = None
        self._following = threading.Lock()
        self._gate = threading.Condition()
        self._n_looking = 0

    @contextmanager
    def looking(self) -> Iterator[SkyColumns]:
        """The columns, which stay as they are until the block ends."""
        with self._gate:
            self._n_looking += 1
        try:
            yield self._columns
        finally:
            with self._gate:
                self._n_looking -= 1
                self._gate.notify_all()

    def follow(self, session: Session) -> None:
        """Take in what was committed since the last time.

        Parameters
        ----------
        session : Session
        """
        first, last = _span(session)
        if self._seq is not None and self._seq >= last:
            return
        with self._following:
            if self._seq is None or self._seq + 1 < first:  # never, or not for very long
                self._load(session)
            elif self._seq < last:  # nobody else did it meanwhile
                self._follow(session, self._seq)

    def _follow(self, session: Session, seq: int) -> None:
        changes = session.execute(
            select(StackChange.id, StackChange.stack_id)
            .where(StackChange.id > seq)
            .limit(_MAX_CHANGES + 1)
        ).all()
        if len(changes) > _MAX_CHANGES:
            self._load(session)
            return
        ids = sorted({change.stack_id for change in changes})
        rows: list[Sequence[Any]] = []
        for start in range(0, len(ids), _FETCH_ROWS):
            wanted = StackRow.id.in_(ids[start : start + _FETCH_ROWS])
            rows.extend(session.execute(_rows(session).where(wanted).order_by(StackRow.id)))
        gone = set(ids) - {row[0] for row in rows}
        with self._gate:
            self._gate.wait_for(lambda: self._n_looking == 0)
            self._columns.remove(gone)
            self._columns.put(rows)
            self._seq = max((change.id for change in changes), default=seq)

    def _load(self, session: Session) -> None:
        # Read before the rows: what is committed while they are read is followed afterwards.
        _, seq = _span(session)
        columns = SkyColumns()
        last_id = -1
        while True:
            rows = session.execute(
                _rows(session).where(StackRow.id > last_id).order_by(StackRow.id).limit(_LOAD_ROWS)
            ).all()
            if not rows:
                break
            columns.put(rows)
            last_id = rows[-1][0]
        with self._gate:
            # Whoever looks at the old columns may go on: they do not change any more.
            self._columns = columns
            self._seq = seq


def prune_changes(archive: Archive, *, keep: int = 200_000) -> int:
    """Forget changes that every index has followed long since; one that has not loads afresh.

    Parameters
    ----------
    archive : Archive
    keep : int
        Newest changes that stay, at least 1: numbers must go on from there.

    Returns
    -------
    int
        Changes forgotten.
    """
    with archive.writing() as session:
        oldest = _span(session)[1] - max(keep, 1) + 1
        gone = session.scalars(
            delete(StackChange).where(StackChange.id < oldest).returning(StackChange.id)
        )
        return len(gone.all())


def _span(session: Session) -> tuple[int, int]:
    first, last = session.execute(select(func.min(StackChange.id), func.max(StackChange.id))).one()
    return first or 0, last or 0


def _rows(session: Session) -> Any:
    """SELECT of the columns, in the order of `SkyColumns`; times as microseconds since 1970."""
    if session.get_bind().dialect.name == "sqlite":
        start: Any = type_coerce(StackRow.start_utc, BigInteger)
        public: Any = type_coerce(StackRow.public_utc, BigInteger)
    else:
        start, public = (
            cast(extract("epoch", column) * 1_000_000, BigInteger)
            for column in (StackRow.start_utc, StackRow.public_utc)
        )
    return select(
        StackRow.id,
        StackRow.observer_id,
        start,
        public,
        StackRow.ra_deg,
        StackRow.dec_deg,
        StackRow.x,
        StackRow.y,
        StackRow.z,
        StackRow.cell,
        StackRow.tile,
        StackRow.n_bytes,
        StackRow.exposure_total_s,
        StackRow.target,
        StackRow.filter,
        StackRow.model,
    )
