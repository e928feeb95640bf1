"""Transactions of both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Observer

NOW = datetime(2026, 3, 27, 20, 15, 0, 123456, tzinfo=UTC)


def test_a_transaction_is_kept(archive: Archive) -> None:
    with archive.writing() as session:
        session.add(Observer(name="ada", created_utc=NOW))
    with archive.reading() as session:
        assert session.query(Observer).one().created_utc == NOW


def test_an_error_rolls_back(archive: Archive) -> None:
    def fail() -> None:
        with archive.writing() as session:
            session.add(Observer(name="ada", created_utc=NOW))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with archive.reading() as session:
        assert session.query(Observer).count() == 0


def test_a_time_without_a_zone_is_refused(archive: Archive) -> None:
    with pytest.raises(Exception, match="a time without a zone"), archive.writing() as session:
        session.add(Observer(name="ada", created_utc=NOW.replace(tzinfo=None)))
