"""Whose everything is: observers, their telescopes and keys, and the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crowdsky.archive.columns import BIG_KEY
from crowdsky.archive.tables_base import NUMBERS_ONCE, Base, one_of

__all__ = ["ApiKey", "AuditEntry", "FileToErase", "Observer", "Telescope"]


class Observer(Base):
    """A person who sends frames, or asks for them.

    ``name`` is the Hub's user name. ``visibility`` says who sees the stacks: everyone (``public``),
    everyone once ``embargo_days`` have passed since the exposure (``embargoed``), or the owner
    alone (``private``).
    """

    __tablename__ = "observers"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    created_utc: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="active")
    visibility: Mapped[str] = mapped_column(String(16), default="public")
    embargo_days: Mapped[int] = mapped_column(Integer, default=0)
    licence: Mapped[str] = mapped_column(String(64), default="CC-BY-4.0")
    credit: Mapped[str] = mapped_column(String(255), default="")
    quota_bytes: Mapped[int | None] = mapped_column(BigInteger)  # None: the setting's
    # When a job of theirs was last begun: whose turn it is among those who wait.
    served_utc: Mapped[datetime | None]

    __table_args__ = (
        one_of("state", "active", "deactivated", "erasing"),
        one_of("visibility", "public", "embargoed", "private"),
        CheckConstraint("embargo_days >= 0", name="embargo"),
        NUMBERS_ONCE,
    )


class Telescope(Base):
    """A device of an observer. Its serial is private; what is shared calls it by ``pseudonym``."""

    __tablename__ = "telescopes"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    observer_id: Mapped[int] = mapped_column(ForeignKey("observers.id", ondelete="CASCADE"))
    device: Mapped[str] = mapped_column(String(80))  # FrameHeader.telescope_id
    model: Mapped[str] = mapped_column(String(40))
    pseudonym: Mapped[str] = mapped_column(String(40))

    __table_args__ = (UniqueConstraint("observer_id", "device"), NUMBERS_ONCE)


class ApiKey(Base):
    """A named key for scripts; only its hash is kept."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    observer_id: Mapped[int] = mapped_column(
        ForeignKey("observers.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[Any]]
    created_utc: Mapped[datetime]
    expires_utc: Mapped[datetime | None]
    revoked_utc: Mapped[datetime | None]
    used_utc: Mapped[datetime | None]

    __table_args__ = (
        # The name of a revoked key is free again.
        Index(
            "uq_api_keys_live_name",
            "observer_id",
            "name",
            unique=True,
            sqlite_where=text("revoked_utc IS NULL"),
            postgresql_where=text("revoked_utc IS NULL"),
        ),
        NUMBERS_ONCE,
    )


class FileToErase(Base):
    """A file of an account that is being erased: its rows are gone, it may still lie in the store.

    Written in the transaction that removes the rows, so that an erasure which is cut short is taken
    up again and forgets no file.
    """

    __tablename__ = "files_to_erase"

    observer_id: Mapped[int] = mapped_column(
        ForeignKey("observers.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)


class AuditEntry(Base):
    """Who did what; outlives those it speaks of, so it holds no foreign key and no site."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    at_utc: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(255))
    detail: Mapped[dict[str, Any]]

    __table_args__ = (NUMBERS_ONCE,)
