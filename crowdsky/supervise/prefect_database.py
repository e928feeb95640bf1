"""Where Prefect keeps its runs when the archive lies in PostgreSQL.

Beside the archive's database, not in it: both have a table of migrations of the same name.
"""

from __future__ import annotations

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError, ProgrammingError

from crowdsky.errors import ArchiveUnavailable

__all__ = ["prefect_database"]

_SUFFIX = "_prefect"


def prefect_database(archive_url: str) -> tuple[str, str]:
    """Make sure of a database for Prefect.

    Parameters
    ----------
    archive_url : str
        SQLAlchemy URL of the archive.

    Returns
    -------
    url : str
        For Prefect; empty where it shall keep a SQLite file of its own.
    notice : str
        Why it shall, where PostgreSQL would be expected; empty otherwise.

    Raises
    ------
    ArchiveUnavailable
        If the server cannot be reached.
    """
    archive = make_url(archive_url)
    if archive.get_backend_name() != "postgresql":
        return "", ""
    name = f"{archive.database}{_SUFFIX}"
    engine = create_engine(
        archive.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    try:
        with engine.connect() as connection:
            why_not = _make(connection, name)
    except OperationalError as error:
        raise ArchiveUnavailable(
            f"the database cannot be reached ({str(error.orig).splitlines()[0]})"
        ) from None
    finally:
        engine.dispose()
    if why_not:
        return "", f"Prefect keeps its runs in a SQLite file: {why_not}"
    return _text(archive.set(drivername="postgresql+asyncpg", database=name)), ""


def _make(connection: Connection, name: str) -> str:
    """Why it cannot be; empty when it is there."""
    extension = "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'"
    if connection.execute(text(extension)).first() is None:
        return "its PostgreSQL tables need the extension pg_trgm, which this server lacks"
    exists = "SELECT 1 FROM pg_database WHERE datname = :name"
    if connection.execute(text(exists), {"name": name}).first() is not None:
        return ""
    quoted = connection.dialect.identifier_preparer.quote(name)
    try:
        connection.execute(text(f"CREATE DATABASE {quoted}"))
    except ProgrammingError:
        return f"there is no database {name}, and this user may not make one"
    return ""


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
