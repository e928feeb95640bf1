"""Who did what: noted with the deed, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crowdsky.archive.audit import note
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import AuditEntry
from tests.archive.sent_frames import rows

NOW = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)


def test_an_entry_is_kept(archive: Archive) -> None:
    with archive.writing() as session:
        note(session, "ada", "job.delete", "job:1", now=NOW, frames=3)
    (entry,) = rows(archive, AuditEntry)
    assert (entry.at_utc, entry.actor, entry.action) == (NOW, "ada", "job.delete")
    assert (entry.subject, entry.detail) == ("job:1", {"frames": 3})


def test_what_was_not_done_is_not_noted(archive: Archive) -> None:
    def fail() -> None:
        with archive.writing() as session:
            note(session, "ada", "job.delete", "job:1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert rows(archive, AuditEntry) == []


def test_hostile_text_is_kept_short_and_storable(archive: Archive) -> None:
    with archive.writing() as session:
        note(session, "a\x00b", "x" * 99, "y" * 999)
    (entry,) = rows(archive, AuditEntry)
    assert (entry.actor, len(entry.action), len(entry.subject)) == ("a�b", 40, 255)
