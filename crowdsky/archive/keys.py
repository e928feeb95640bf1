"""API keys: named, for scripts, shown once.

A key is ``csk_`` and 43 characters that carry 256 random bits. The table keeps its SHA-256: a slow,
salted hash guards what people choose and others guess, and nobody guesses 256 bits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crowdsky.archive.audit import note
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import ApiKey, Observer
from crowdsky.archive.upsert import insert_if_new
from crowdsky.errors import ArchiveUnavailable, Conflict, NotFound

__all__ = [
    "SCOPES",
    "KeyFacts",
    "ListedKey",
    "create_key",
    "find_key",
    "list_keys",
    "revoke_key",
]

SCOPES = ("read", "write", "account")
"""Look; send, stack and delete; change the account and its keys."""
MAX_DAYS = 3650.0
_KEY = re.compile(r"csk_[A-Za-z0-9_-]{43}")
_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """Whose a key is and what it opens."""

    key_id: int
    observer_id: int
    name: str
    scopes: frozenset[str]
    observer_name: str


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as its owner sees it; the key itself is nowhere."""

    key_id: int
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_utc: datetime
    expires_utc: datetime | None
    revoked_utc: datetime | None
    used_utc: datetime | None


def create_key(
    archive: Archive,
    observer_id: int,
    name: str,
    *,
    scopes: Iterable[str] = ("read", "write"),
    days: float | None = None,
    now: datetime | None = None,
) -> tuple[int, str]:
    """Make a key.

    Parameters
    ----------
    archive : Archive
    observer_id : int
    name : str
        What the owner calls it; 1 to 80 characters, not that of another key in use.
    scopes : iterable of str
        Of `SCOPES`, at least one.
    days : float, optional
        How long it is good; for ever when omitted.
    now : datetime, optional

    Returns
    -------
    key_id : int
    text : str
        The key, which cannot be had again.

    Raises
    ------
    Conflict
        If the name is in use or empty, a scope is none, or the days are not more than 0.
    NotFound
        If there is no such observer.
    """
    now = now or datetime.now(UTC)
    name = name.strip()
    chosen = [scope for scope in SCOPES if scope in set(scopes)]
    unknown = sorted(set(scopes) - set(SCOPES))
    if not name or len(name) > 80 or not name.isprintable():
        raise Conflict("the name of a key has 1 to 80 printable characters", value=name)
    if unknown or not chosen:
        raise Conflict(f"a key's scopes are of {', '.join(SCOPES)}", value=", ".join(unknown))
    if days is not None and not 0.0 < days <= MAX_DAYS:
        raise Conflict(f"a key is good for more than 0 and at most {MAX_DAYS:g} days", value=days)
    text = "csk_" + secrets.token_urlsafe(32)
    with archive.writing() as session:
        observer = session.get(Observer, observer_id)
        if observer is None:
            raise NotFound("no such observer", value=observer_id)
        key_id = insert_if_new(
            session,
            ApiKey,
            ("observer_id", "name"),
            {
                "observer_id": observer_id,
                "name": name,
                "prefix": text[:8],
                "digest": _digest(text),
                "scopes": chosen,
                "created_utc": now,
                "expires_utc": None if days is None else now + timedelta(days=days),
            },
            where="revoked_utc IS NULL",
        )
        if key_id is None:
            raise Conflict("there is a key of this name", value=name)
        note(session, observer.name, "key.create", f"key:{key_id}", now=now, scopes=chosen)
    return key_id, text


def find_key(archive: Archive, text: str, *, now: datetime | None = None) -> KeyFacts | None:
    """Whose a key is; ``None`` if it is unknown, expired or revoked, or its owner is not active.

    That it was used is written down at most once a minute, so that a request costs no write.

    Raises
    ------
    ArchiveUnavailable
    """
    if not _KEY.fullmatch(text):
        return None
    now = now or datetime.now(UTC)
    with archive.reading() as session:
        found = session.execute(
            select(ApiKey, Observer.name)
            .join(Observer, Observer.id == ApiKey.observer_id)
            .where(ApiKey.digest == _digest(text), Observer.state == "active")
        ).one_or_none()
    if found is None:
        return None
    key, observer_name = found
    if key.revoked_utc is not None or (key.expires_utc is not None and key.expires_utc <= now):
        return None
    if key.used_utc is None or now - key.used_utc >= _USE_NOTED_EVERY:
        # A database that only reads just now is no reason to refuse a good key.
        with suppress(ArchiveUnavailable), archive.writing() as session:
            session.execute(update(ApiKey).where(ApiKey.id == key.id).values(used_utc=now))
    return KeyFacts(key.id, key.observer_id, key.name, frozenset(key.scopes), observer_name)


def list_keys(archive: Archive, observer_id: int) -> list[ListedKey]:
    """The keys of an observer, the newest first; revoked ones too."""
    with archive.reading() as session:
        keys = session.scalars(
            select(ApiKey).where(ApiKey.observer_id == observer_id).order_by(ApiKey.id.desc())
        ).all()
    return [
        ListedKey(
            key_id=key.id,
            name=key.name,
            prefix=key.prefix,
            scopes=tuple(key.scopes),
            created_utc=key.created_utc,
            expires_utc=key.expires_utc,
            revoked_utc=key.revoked_utc,
            used_utc=key.used_utc,
        )
        for key in keys
    ]


def revoke_key(
    archive: Archive, observer_id: int, key_id: int, *, now: datetime | None = None
) -> None:
    """Make a key useless from now on; its name is free again. Twice is no error.

    Raises
    ------
    NotFound
        No such key, or another observer's.
    """
    now = now or datetime.now(UTC)
    with archive.writing() as session:
        key = _own_key(session, observer_id, key_id)
        if key.revoked_utc is None:
            key.revoked_utc = now
            actor = session.scalars(select(Observer.name).where(Observer.id == observer_id)).one()
            note(session, actor, "key.revoke", f"key:{key_id}", now=now)


def _own_key(session: Session, observer_id: int, key_id: int) -> ApiKey:
    key = session.scalar(
        select(ApiKey).where(ApiKey.id == key_id, ApiKey.observer_id == observer_id)
    )
    if key is None:
        raise NotFound("no such key", value=key_id)
    return key


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
