"""Bring a database to the tables of this version.

All changes are one transaction: a database is at the old revision or at the new one. Of several
processes that start at once the first one migrates; the others wait for it and find nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Base
from crowdsky.errors import ArchiveError, ArchiveUnavailable

__all__ = ["current_revision", "differences", "migrate"]

_SCRIPTS = Path(__file__).with_name("migrations")
_LOCK = 0x63726F77  # any number that nothing else in the database locks


def migrate(url: str, *, revision: str = "head") -> None:
    """Make or change the tables.

    Parameters
    ----------
    url : str
        Of the database. The folder of a SQLite file is made.
    revision : str
        Where to stop; the newest one when omitted.

    Raises
    ------
    ArchiveError
        The database was made by a newer version, or by something else.
    ArchiveUnavailable
        It cannot be reached.
    """
    file = _sqlite_file(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    archive = Archive(url)
    try:
        with _one_at_a_time(file), archive.engine.connect() as connection:
            if archive.is_sqlite:
                # A table that is copied is dropped, which would take along what refers to its rows.
                # Only outside of a transaction can that be switched off.
                _plainly(connection, "PRAGMA foreign_keys=OFF")
                connection = connection.execution_options(sqlite_begin="IMMEDIATE")
            with connection.begin():
                if not archive.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                _upgrade(connection, revision)
                if archive.is_sqlite and connection.execute(text("PRAGMA foreign_key_check")).all():
                    raise ArchiveError("rows refer to others that are not there", value=str(file))
    except OperationalError as error:
        raise ArchiveUnavailable(f"the database cannot be migrated ({error.orig})") from error
    finally:
        archive.close()


def current_revision(url: str) -> str | None:
    """Revision of a database; None if it has no tables of ours."""
    archive = Archive(url)
    try:
        with archive.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        archive.close()


def differences(url: str) -> list[Any]:
    """What would have to be done to a database for its tables to be those of the models.

    Parameters
    ----------
    url : str

    Returns
    -------
    list
        Alembic's operations; empty if the two agree.
    """
    archive = Archive(url)
    try:
        with archive.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return list(compare_metadata(context, Base.metadata))
    finally:
        archive.close()


def _upgrade(connection: Connection, revision: str) -> None:
    script = ScriptDirectory(str(_SCRIPTS))
    context = MigrationContext.configure(
        connection,
        opts={"fn": lambda current, _: script._upgrade_revs(revision, current)},
    )
    _refuse_foreign(connection, context)
    try:
        with Operations.context(context):
            context.run_migrations()
    except CommandError as error:
        raise ArchiveError(
            f"the database is of another version of CrowdSky ({error})",
            value=context.get_current_revision(),
        ) from error


def _refuse_foreign(connection: Connection, context: MigrationContext) -> None:
    """Refuse a database with tables of these names that no migration made."""
    if context.get_current_revision() is not None:
        return
    there = sorted(set(inspect(connection).get_table_names()) & set(Base.metadata.tables))
    if there:
        raise ArchiveError(
            "the database has tables of these names and no revision: it is not CrowdSky's",
            value=", ".join(there),
        )


def _plainly(connection: Connection, statement: str) -> None:
    """Run a statement outside of any transaction."""
    driver: Any = connection.connection.driver_connection
    driver.execute(statement)


def _sqlite_file(url: str) -> Path | None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


@contextmanager
def _one_at_a_time(file: Path | None) -> Iterator[None]:
    """Keep others out while a SQLite file is made.

    Its write lock would do for the migration itself, but not for the change to write-ahead logging
    that comes with the first connection and waits for nobody.
    """
    if file is None:
        yield
        return
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    with file.with_name(f"{file.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
