"""Migrations: they make the tables of the models, from every revision, whoever starts first."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from sqlalchemy import create_engine, inspect, text

from crowdsky.archive.engine import Archive
from crowdsky.archive.migrate import current_revision, differences, migrate
from crowdsky.archive.models import ApiKey, Base, Observer, StackChange, Telescope
from crowdsky.errors import ArchiveError

NOW = datetime(2026, 3, 27, 20, 15, tzinfo=UTC)
HEAD = "0002"
_number = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'crowdsky.db'}"
        return
    server = request.getfixturevalue("postgresql_server")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"empty_{next(_number)}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def constraint_names(url: str) -> dict[str, set[str | None]]:
    """Names of all constraints and indexes, by table."""
    archive = Archive(url)
    looked = inspect(archive.engine)
    found = {
        table: {
            item["name"]
            for items in (
                looked.get_check_constraints(table),
                looked.get_unique_constraints(table),
                looked.get_foreign_keys(table),
                looked.get_indexes(table),
                [looked.get_pk_constraint(table)],
            )
            for item in items  # type: ignore[attr-defined]
        }
        for table in Base.metadata.tables
    }
    archive.close()
    return found


def test_the_models_and_a_migrated_database_agree(database_url: str) -> None:
    assert differences(database_url) == []
    assert current_revision(database_url) == HEAD


def test_a_difference_would_be_seen(database_url: str) -> None:
    archive = Archive(database_url)
    with archive.writing() as session:
        session.execute(text("DROP INDEX ix_jobs_block_id"))
        session.execute(text("ALTER TABLE telescopes DROP COLUMN model"))
    archive.close()
    kinds = {operation[0] for operation in differences(database_url)}
    assert kinds == {"add_index", "add_column"}


def test_migrations_name_every_constraint_as_the_models_do(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        Path(empty_url.removeprefix("sqlite:///")).parent.mkdir()
    archive = Archive(empty_url)
    Base.metadata.create_all(archive.engine)
    by_models = constraint_names(empty_url)
    Base.metadata.drop_all(archive.engine)
    archive.close()
    migrate(empty_url)
    assert constraint_names(empty_url) == by_models


def test_a_database_of_the_first_revision_is_upgraded_and_keeps_its_rows(empty_url: str) -> None:
    migrate(empty_url, revision="0001")
    assert current_revision(empty_url) == "0001"
    assert differences(empty_url) != []
    archive = Archive(empty_url)
    with archive.writing() as session:
        ada = Observer(name="ada", created_utc=NOW)
        session.add(ada)
        session.flush()
        session.add(
            ApiKey(
                observer_id=ada.id,
                name="laptop",
                prefix="csk_abcd",
                digest="0" * 64,
                scopes=["read"],
                created_utc=NOW,
                expires_utc=NOW,
            )
        )
    migrate(empty_url)
    with archive.reading() as session:
        key = session.query(ApiKey).one()
        assert (key.name, key.scopes, key.created_utc) == ("laptop", ["read"], NOW)
        assert session.query(StackChange).count() == 0
    archive.close()
    assert current_revision(empty_url) == HEAD
    assert differences(empty_url) == []


def test_migrating_again_changes_nothing(database_url: str) -> None:
    before = constraint_names(database_url)
    migrate(database_url)
    assert constraint_names(database_url) == before


def _migrate(url: str, barrier: object, failed: object) -> None:
    barrier.wait(60)  # type: ignore[attr-defined]
    try:
        migrate(url)
    except Exception as error:
        failed.put(repr(error))  # type: ignore[attr-defined]
        raise


@pytest.mark.slow
def test_processes_that_start_at_once_migrate_once(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, failed = context.Barrier(3), context.Queue()
    processes = [
        context.Process(target=_migrate, args=(empty_url, barrier, failed)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0], failed.get(timeout=5)
    assert differences(empty_url) == []


def test_a_migration_that_breaks_leaves_nothing_behind(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crowdsky.archive.migrations.versions import r0002_room_and_changes as second

    monkeypatch.setattr(second, "trigger_statements", lambda dialect: ["CREATE NONSENSE"])
    monkeypatch.setattr("alembic.script.base.Script._from_path", _from_package(second))
    with pytest.raises(Exception, match=r"(?i)syntax error"):
        migrate(empty_url)
    assert current_revision(empty_url) is None
    monkeypatch.undo()
    migrate(empty_url)
    assert differences(empty_url) == []


def test_a_copied_table_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite deletes what refers to a table that is dropped; a migration must not let it."""
    from crowdsky.archive.migrations.versions import r0002_room_and_changes as second

    url = f"sqlite:///{tmp_path / 'crowdsky.db'}"
    migrate(url, revision="0001")
    archive = Archive(url)
    with archive.writing() as session:
        ada = Observer(name="ada", created_utc=NOW)
        session.add(ada)
        session.flush()
        session.add(Telescope(observer_id=ada.id, device="S50_1", model="S50", pseudonym="S50-1"))
    archive.close()

    def copy_observers() -> None:
        with op.batch_alter_table("observers", recreate="always") as table:
            table.add_column(sa.Column("new", sa.Integer()))

    monkeypatch.setattr(second, "upgrade", copy_observers)
    monkeypatch.setattr("alembic.script.base.Script._from_path", _from_package(second))
    migrate(url)
    archive = Archive(url)
    with archive.reading() as session:
        assert session.execute(text("SELECT name, new FROM observers")).all() == [("ada", None)]
        assert session.query(Telescope).count() == 1
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
    archive.close()


def _from_package(module: object) -> object:
    """Load revisions as Alembic does, but the one given as it is."""
    from alembic.script.base import Script

    original = Script._from_path.__func__  # type: ignore[attr-defined]

    def load(cls: type[Script], scriptdir: object, path: str) -> Script | None:
        script = original(cls, scriptdir, path)
        if script is not None and script.revision == module.revision:  # type: ignore[attr-defined]
            script.module = module
        return script

    return classmethod(load)


def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    archive = Archive(database_url)
    with archive.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    archive.close()
    with pytest.raises(ArchiveError, match="9999: the database is of another version of CrowdSky"):
        migrate(database_url)


def test_somebody_elses_tables_are_refused(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    archive = Archive(empty_url)
    with archive.writing() as session:
        session.execute(text("CREATE TABLE frames (id INTEGER)"))
    archive.close()
    with pytest.raises(ArchiveError, match=r"^frames: the database has tables of these names"):
        migrate(empty_url)
