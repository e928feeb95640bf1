"""What lies in the store, what was sent, and what is fetched."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crowdsky.archive.columns import BIG_KEY
from crowdsky.archive.tables_base import NUMBERS_ONCE, Base, one_of

__all__ = ["Download", "ObjectRow", "Upload", "UploadItem"]


class ObjectRow(Base):
    """A file in the store, named by its content.

    ``writing``: bytes are on their way, or were when a process died. ``stored``: they are there.
    ``condemned``: nothing needed them and the sweeper is taking them away; whoever wants to store
    the same bytes waits for it. ``rotten``: the scrubber read other bytes than were stored.
    """

    __tablename__ = "objects"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default="writing")
    crc32: Mapped[int | None] = mapped_column(BigInteger)  # for ZIP headers
    touched_utc: Mapped[datetime] = mapped_column(index=True)
    checked_utc: Mapped[datetime | None] = mapped_column(index=True)

    __table_args__ = (
        one_of("state", "writing", "stored", "condemned", "rotten"),
        one_of("kind", "raw", "stack", "preview"),
        CheckConstraint("n_bytes >= 0", name="n_bytes"),
    )


class Upload(Base):
    """One tus upload: a frame, or an archive of them."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # random, not to be guessed
    observer_id: Mapped[int] = mapped_column(
        ForeignKey("observers.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(Text)  # as sent; never a path
    length: Mapped[int | None] = mapped_column(BigInteger)  # None: deferred
    offset: Mapped[int] = mapped_column(BigInteger, default=0)
    sha256: Mapped[str | None] = mapped_column(String(64))  # as announced, then as found
    upload_metadata: Mapped[str] = mapped_column(Text, default="")  # the header, to be echoed
    concat: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16), default="open")
    reason: Mapped[str] = mapped_column(Text, default="")
    created_utc: Mapped[datetime]
    expires_utc: Mapped[datetime] = mapped_column(index=True)
    finished_utc: Mapped[datetime | None]

    items: Mapped[list[UploadItem]] = relationship(
        back_populates="upload", cascade="all, delete-orphan", passive_deletes=True
    )

    __table_args__ = (
        # open: bytes are awaited; received: all are here and to be looked at; then one of the rest
        one_of("state", "open", "received", "accepted", "refused"),
        CheckConstraint(
            '"offset" >= 0 AND (length IS NULL OR "offset" <= length)', name="offset_in_length"
        ),
        CheckConstraint("state <> 'refused' OR reason <> ''", name="refused_has_reason"),
    )


class UploadItem(Base):
    """What came of one file that was sent, alone or inside an archive."""

    __tablename__ = "upload_items"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text, default="")
    frame_id: Mapped[int | None] = mapped_column(
        ForeignKey("frames.id", ondelete="SET NULL"), index=True
    )

    upload: Mapped[Upload] = relationship(back_populates="items")

    __table_args__ = (
        # skipped: previews, videos and the like, which are no error
        one_of("outcome", "accepted", "duplicate", "refused", "skipped"),
        CheckConstraint("outcome <> 'refused' OR reason <> ''", name="refused_has_reason"),
        NUMBERS_ONCE,
    )


class Download(Base):
    """A selection of stacks, frozen, so that a download can be resumed to the byte."""

    __tablename__ = "downloads"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # random, not to be guessed
    observer_id: Mapped[int] = mapped_column(
        ForeignKey("observers.id", ondelete="CASCADE"), index=True
    )
    title: Mapped[str] = mapped_column(Text)
    entries: Mapped[list[Any]]  # what it holds, in order
    n_bytes: Mapped[int] = mapped_column(BigInteger)  # of the archive as sent
    created_utc: Mapped[datetime]
    expires_utc: Mapped[datetime] = mapped_column(index=True)
