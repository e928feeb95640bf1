"""No row gets the number of one that is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine, text

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Base, Observer

NOW = datetime(2026, 3, 27, tzinfo=UTC)


def test_the_number_of_a_row_that_is_gone_is_not_given_again(archive: Archive) -> None:
    def enter() -> int:
        with archive.writing() as session:
            observer = Observer(name="ada", created_utc=NOW)
            session.add(observer)
            session.flush()
            number = observer.id
            session.delete(observer)
        return number

    assert enter() < enter() < enter()


def test_every_numbered_table_of_sqlite_counts_on(sqlite_template: Path) -> None:
    engine = create_engine(f"sqlite:///{sqlite_template}")
    with engine.connect() as connection:
        made = connection.execute(
            text(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
            )
        )
        counting = set(made.scalars())
    engine.dispose()
    numbered = {
        table.name
        for table in Base.metadata.tables.values()
        if "id" in table.c and table.c.id.type.python_type is int
    }
    assert len(numbered) >= 11
    assert numbered - {"alembic_version"} == counting
