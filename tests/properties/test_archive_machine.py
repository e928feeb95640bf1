"""Random histories of an archive: see `tests.properties.archive_machine`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.engine import URL

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Base
from tests.properties.archive_machine import ArchiveMachine


def run(machine: type[ArchiveMachine], n_examples: int, n_steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=n_examples,
            stateful_step_count=n_steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
def test_histories_in_sqlite(sqlite_template: Path) -> None:
    class Machine(ArchiveMachine):
        @staticmethod
        def open_archive(folder: Path) -> Archive:
            shutil.copy(sqlite_template, folder / "archive.db")
            return Archive(f"sqlite:///{folder / 'archive.db'}")

        @staticmethod
        def close_archive(archive: Archive) -> None:
            archive.close()

    run(Machine, 60, 40)


@pytest.fixture
def postgresql(postgresql_server: URL) -> Iterator[Archive]:
    from tests.databases import _command, _text

    _command(postgresql_server, "CREATE DATABASE machine TEMPLATE migrated")
    archive = Archive(_text(postgresql_server.set(database="machine")))
    yield archive
    archive.close()
    _command(postgresql_server, "DROP DATABASE machine WITH (FORCE)")


@pytest.mark.slow
def test_histories_in_postgresql(postgresql: Archive) -> None:
    class Machine(ArchiveMachine):
        @staticmethod
        def open_archive(folder: Path) -> Archive:
            return postgresql

        @staticmethod
        def close_archive(archive: Archive) -> None:
            with archive.writing() as session:
                for table in reversed(Base.metadata.sorted_tables):
                    session.execute(table.delete())

    run(Machine, 8, 30)
