"""An index of all stacks in memory, which follows the database.

A sum over a large region cannot be had from a database in a tenth of a second: a million index
entries take longer to walk. So each process that searches keeps the columns a search looks at
(`SkyColumns`), and before every search reads which stacks changed since (``stack_changes``, filled
by triggers, so by every process alike). Whatever was committed before a search began is in it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import StackChange, StackRow
from crowdsky.archive.sky_columns import SkyColumns
from crowdsky.archive.sky_load import ROW_SQL, load_all, put_rows
from crowdsky.errors import ArchiveUnavailable

__all__ = ["SkyIndex", "index_of", "prune_changes", "sky_index", "warm_up"]

# So few stacks are loaded at once by whoever asks first; more by a thread of their own.
_LOAD_INLINE = 5_000
_FETCH_ROWS = 1_000
# Beyond so many changes, loading afresh is quicker than following.
_MAX_CHANGES = 100_000

log = logging.getLogger(__name__)

_indexes: WeakKeyDictionary[Engine, SkyIndex] = WeakKeyDictionary()
_indexes_lock = threading.Lock()


def index_of(session: Session) -> SkyIndex:
    """The index of the database of a session, as it is: the same for all sessions of an engine."""
    engine = session.get_bind().engine
    with _indexes_lock:
        return _indexes.setdefault(engine, SkyIndex())


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
    index = index_of(session)
    index.follow(session)
    return index


def warm_up(archive: Archive) -> None:
    """Load the index, or bring it up to date; a database that is away is tried again later.

    Parameters
    ----------
    archive : Archive
    """
    try:
        with archive.reading() as session:
            sky_index(session)
    except (ArchiveUnavailable, SQLAlchemyError) as error:
        log.warning("the index of the sky is loaded later: %s", error)


class SkyIndex:
    """The columns of all stacks, safe between threads.

    Many may look at once; while changes are taken in, nobody does.
    """

    def __init__(self) -> None:
        self._columns = SkyColumns()
        self._seq: int | None = None
        self._following = threading.Lock()
        self._loader: threading.Thread | None = None
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

    def is_ready(self, session: Session) -> bool:
        """Whether it can be looked at without waiting; if not, it is being loaded by now.

        Parameters
        ----------
        session : Session
        """
        first, last = _span(session)
        if not self._must_load(first, last):
            return True
        if (session.scalar(select(func.max(StackRow.id))) or 0) <= _LOAD_INLINE:
            return True
        with self._gate:
            if self._loader is None or not self._loader.is_alive():
                engine = session.get_bind().engine
                self._loader = threading.Thread(
                    target=self._load_quietly, args=(engine,), name="sky-index", daemon=True
                )
                self._loader.start()
        return False

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
            if self._must_load(first, last):
                self._load(session.get_bind().engine)
            if self._seq is not None and self._seq < last:  # nobody else did it meanwhile
                self._follow(session, self._seq)

    def _must_load(self, first: int, last: int) -> bool:
        """Whether it never was, or has not followed for very long."""
        seq = self._seq
        return seq is None or seq + 1 < first or last - seq > _MAX_CHANGES

    def _follow(self, session: Session, seq: int) -> None:
        changes = session.execute(
            select(StackChange.id, StackChange.stack_id).where(StackChange.id > seq)
        ).all()
        ids = sorted({change.stack_id for change in changes})
        rows: list[Sequence[Any]] = []
        connection = session.connection()
        for start in range(0, len(ids), _FETCH_ROWS):
            wanted = ", ".join(map(str, ids[start : start + _FETCH_ROWS]))
            rows += connection.exec_driver_sql(
                f"SELECT {ROW_SQL[connection.dialect.name]} FROM stacks "
                f"WHERE id IN ({wanted}) ORDER BY id"
            ).all()
        gone = set(ids) - {row[0] for row in rows}
        with self._gate:
            self._gate.wait_for(lambda: self._n_looking == 0)
            self._columns.remove(gone)
            put_rows(self._columns, rows)
            self._seq = max((change.id for change in changes), default=seq)

    def _load(self, engine: Engine) -> None:
        # In a transaction of its own, which sees one state all the time.
        with engine.connect() as connection:
            if connection.dialect.name != "sqlite":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            _, seq = _span(connection)
            columns = load_all(connection)
        with self._gate:
            # Whoever looks at the old columns may go on: they do not change any more.
            self._columns = columns
            self._seq = seq

    def _load_quietly(self, engine: Engine) -> None:
        try:
            with self._following:
                with engine.connect() as connection:
                    span = _span(connection)
                if self._must_load(*span):  # nobody else did it meanwhile
                    self._load(engine)
        except SQLAlchemyError as error:
            log.warning("the index of the sky is loaded later: %s", error)


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


def _span(session: Session | Connection) -> tuple[int, int]:
    first, last = session.execute(select(func.min(StackChange.id), func.max(StackChange.id))).one()
    return first or 0, last or 0
