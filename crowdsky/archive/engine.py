"""One engine for an archive, whichever database it lies in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from crowdsky.errors import ArchiveUnavailable

__all__ = ["Archive"]

BUSY_S = 30.0


class Archive:
    """The database of an archive.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL, ``sqlite:///file`` or ``postgresql://...``.
    pool_size : int
        Connections kept open (PostgreSQL).
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine = _engine(url, pool_size)

    @property
    def is_sqlite(self) -> bool:
        """Whether one file is the database, and one writer at a time."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that may change rows; committed at the end, rolled back on an error.

        In SQLite it takes the write lock at once, so that what was read in it still holds when it
        writes.

        Raises
        ------
        ArchiveUnavailable
            If the database cannot be reached, stays locked, or has no connection to spare.
        """
        with self._session("IMMEDIATE") as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only looks.

        Raises
        ------
        ArchiveUnavailable
        """
        with self._session("DEFERRED") as session:
            yield session

    @contextmanager
    def _session(self, kind: str) -> Iterator[Session]:
        options: dict[str, Any] = {"sqlite_begin": kind}
        try:
            with (
                self.engine.connect().execution_options(**options) as connection,
                Session(connection, expire_on_commit=False) as session,
            ):
                yield session
        except OperationalError as error:
            raise ArchiveUnavailable(
                f"the database cannot be used just now ({_first_line(error)})"
            ) from error
        except PoolTimeout as error:
            raise ArchiveUnavailable(f"every connection is in use ({error})") from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _engine(url: str, pool_size: int) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own idea of when a transaction begins is switched off; see _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # what was accepted outlives a power cut
        "foreign_keys=ON",
        "cache_size=-65536",
        "mmap_size=1073741824",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
