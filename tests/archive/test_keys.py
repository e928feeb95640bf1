"""API keys: shown once, good until they are not."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.engine import Archive
from crowdsky.archive.keys import KeyFacts, create_key, find_key, list_keys, revoke_key
from crowdsky.archive.models import ApiKey, AuditEntry
from crowdsky.errors import Conflict, NotFound
from tests.archive.sent_frames import rows

NOW = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)


@pytest.fixture
def ada(archive: Archive) -> int:
    return ensure_observer(archive, "ada")


def test_a_key_opens_what_its_scopes_say(archive: Archive, ada: int) -> None:
    key_id, text = create_key(archive, ada, "laptop", now=NOW)
    assert re.fullmatch(r"csk_[A-Za-z0-9_-]{43}", text)
    found = find_key(archive, text, now=NOW)
    assert found == KeyFacts(key_id, ada, "laptop", frozenset({"read", "write"}), "ada")


def test_the_key_is_nowhere(archive: Archive, ada: int) -> None:
    _, text = create_key(archive, ada, "laptop")
    (row,) = rows(archive, ApiKey)
    kept = " ".join(str(getattr(row, column.name)) for column in ApiKey.__table__.columns)
    assert text not in kept
    assert row.prefix == text[:8]
    assert all(text not in str(entry.detail) for entry in rows(archive, AuditEntry))


@pytest.mark.parametrize("text", ["", "csk_", "csk_" + "a" * 43, "x" * 47, "csk_" + "é" * 43])
def test_what_is_no_key_opens_nothing(text: str, archive: Archive, ada: int) -> None:
    create_key(archive, ada, "laptop")
    assert find_key(archive, text) is None


def test_a_key_expires(archive: Archive, ada: int) -> None:
    _, text = create_key(archive, ada, "laptop", days=1.0, now=NOW)
    assert find_key(archive, text, now=NOW + timedelta(hours=23)) is not None
    assert find_key(archive, text, now=NOW + timedelta(hours=24)) is None


def test_a_revoked_key_opens_nothing_and_its_name_is_free(archive: Archive, ada: int) -> None:
    key_id, text = create_key(archive, ada, "laptop", now=NOW)
    with pytest.raises(Conflict, match=r"^laptop: there is a key of this name$"):
        create_key(archive, ada, "laptop")
    for _ in range(2):
        revoke_key(archive, ada, key_id, now=NOW)
    assert find_key(archive, text, now=NOW) is None
    create_key(archive, ada, "laptop")
    assert [key.revoked_utc for key in list_keys(archive, ada)] == [None, NOW]
    assert [entry.action for entry in rows(archive, AuditEntry)] == [
        "account.create",
        "key.create",
        "key.revoke",
        "key.create",
    ]


def test_nobody_revokes_or_lists_anothers_key(archive: Archive, ada: int) -> None:
    bob = ensure_observer(archive, "bob")
    key_id, text = create_key(archive, ada, "laptop")
    with pytest.raises(NotFound, match=rf"^{key_id}: no such key$"):
        revoke_key(archive, bob, key_id)
    with pytest.raises(NotFound, match=r"^99: no such key$"):
        revoke_key(archive, bob, 99)
    assert find_key(archive, text) is not None
    assert list_keys(archive, bob) == []
    create_key(archive, bob, "laptop")


def test_use_is_noted_once_a_minute(archive: Archive, ada: int) -> None:
    _, text = create_key(archive, ada, "laptop", now=NOW)
    noted = []
    for seconds in (0, 59, 60, 61):
        find_key(archive, text, now=NOW + timedelta(seconds=seconds))
        noted.append(list_keys(archive, ada)[0].used_utc)
    later = NOW + timedelta(seconds=60)
    assert noted == [NOW, NOW, later, later]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"name": " "}, "the name of a key has 1 to 80 printable characters"),
        ({"name": "x" * 81}, "the name of a key has 1 to 80 printable characters"),
        ({"name": "a\x00b"}, "the name of a key has 1 to 80 printable characters"),
        ({"scopes": ()}, "a key's scopes are of read, write, account"),
        ({"scopes": ("read", "root")}, r"^root: a key's scopes are of read, write, account"),
        ({"days": 0.0}, r"^0\.0: a key is good for more than 0 and at most 3650 days"),
        ({"days": float("nan")}, "a key is good for more than 0 and at most 3650 days"),
    ],
)
def test_keys_that_are_none(
    wrong: dict[str, object], rule: str, archive: Archive, ada: int
) -> None:
    with pytest.raises(Conflict, match=rule):
        create_key(archive, ada, **({"name": "laptop"} | wrong))  # type: ignore[arg-type]
    assert rows(archive, ApiKey) == []


def test_nobody_has_no_key(archive: Archive) -> None:
    with pytest.raises(NotFound, match=r"^99: no such observer$"):
        create_key(archive, 99, "laptop")
