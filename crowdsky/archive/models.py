"""The tables.

::

    observers ─┬─ telescopes
               ├─ api_keys, downloads, audit
               ├─ uploads ── upload_items          what came of every file that was sent
               ├─ frames ─── objects               the ledger; the bytes, by their content
               ├─ batches ── jobs ── leases        one finalise, a job a block
               └─ blocks ─┬─ frames                what is to be stacked together
                          └─ stacks ── stack_inputs

What must hold is a constraint here, not only a habit of the code:

- A frame is in one state: ``accepted = stacked + rejected + pending`` is a count of one column, and
  what is rejected has a reason.
- An observer has the same bytes once.
- A block has one live job and one stack, and a frame is in one block and once in its stack.
- A stack's frames are those used and those rejected.

The bytes of raws, stacks and previews lie in the file store under the SHA-256 of their content.
`ObjectRow` says what lies there; whether one is needed is told by the rows that name it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from crowdsky.archive.columns import BIG_KEY, PLAIN_JSON, UtcTime

__all__ = [
    "CELL_ORDER",
    "ApiKey",
    "AuditEntry",
    "Base",
    "Batch",
    "BlockRow",
    "Download",
    "FrameRow",
    "Job",
    "Lease",
    "ObjectRow",
    "Observer",
    "StackInput",
    "StackRow",
    "Telescope",
    "Upload",
    "UploadItem",
]

#: HEALPix order of `StackRow.cell` (NESTED): cells of 52 arcseconds.
CELL_ORDER = 12


class Base(DeclarativeBase):
    """What all tables share: constraints have names, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UtcTime,
        dict[str, Any]: PLAIN_JSON,
        list[Any]: PLAIN_JSON,
        float: Float(53),
    }


def _one_of(column: str, *states: str) -> CheckConstraint:
    listing = ", ".join(f"'{state}'" for state in states)
    return CheckConstraint(f"{column} IN ({listing})", name=column)


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
        _one_of("state", "active", "deactivated", "erasing"),
        _one_of("visibility", "public", "embargoed", "private"),
        CheckConstraint("embargo_days >= 0", name="embargo"),
    )


class Telescope(Base):
    """A device of an observer. Its serial is private; what is shared calls it by ``pseudonym``."""

    __tablename__ = "telescopes"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    observer_id: Mapped[int] = mapped_column(ForeignKey("observers.id", ondelete="CASCADE"))
    device: Mapped[str] = mapped_column(String(80))  # FrameHeader.telescope_id
    model: Mapped[str] = mapped_column(String(40))
    pseudonym: Mapped[str] = mapped_column(String(40))

    __table_args__ = (UniqueConstraint("observer_id", "device"),)


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

    __table_args__ = (UniqueConstraint("observer_id", "name"),)


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
        _one_of("state", "writing", "stored", "condemned", "rotten"),
        _one_of("kind", "raw", "stack", "preview"),
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
        _one_of("state", "open", "received", "accepted", "refused"),
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
        _one_of("outcome", "accepted", "duplicate", "refused", "skipped"),
        CheckConstraint("outcome <> 'refused' OR reason <> ''", name="refused_has_reason"),
    )


class BlockRow(Base):
    """What is to be stacked together: one quarter hour of one place with one setup.

    ``key`` is the digest of what sets a block apart; ``part`` counts up where later frames of the
    same block can no longer be stacked together with the first, whose raws are gone.
    """

    __tablename__ = "blocks"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    observer_id: Mapped[int] = mapped_column(ForeignKey("observers.id", ondelete="CASCADE"))
    telescope_id: Mapped[int] = mapped_column(ForeignKey("telescopes.id"))
    key: Mapped[str] = mapped_column(String(64))
    part: Mapped[int] = mapped_column(Integer, default=1)
    label: Mapped[str] = mapped_column(String(160))  # file stem
    name: Mapped[str] = mapped_column(String(40))  # tenth-degree name, '' without position
    tile: Mapped[str] = mapped_column(String(40))  # HEALPix name, '' without position
    target: Mapped[str] = mapped_column(Text)
    filter: Mapped[str] = mapped_column(String(20))
    exposure_s: Mapped[float]
    gain: Mapped[float | None]
    binning: Mapped[int] = mapped_column(Integer)
    bayer: Mapped[str] = mapped_column(String(4))
    nx: Mapped[int] = mapped_column(Integer)
    ny: Mapped[int] = mapped_column(Integer)
    start_utc: Mapped[datetime]
    ra_deg: Mapped[float | None]
    dec_deg: Mapped[float | None]

    __table_args__ = (
        UniqueConstraint("observer_id", "key", "part"),
        CheckConstraint("part >= 1", name="part"),
    )


class FrameRow(Base):
    """One raw frame that was accepted: a line of the ledger."""

    __tablename__ = "frames"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    observer_id: Mapped[int] = mapped_column(ForeignKey("observers.id", ondelete="CASCADE"))
    sha256: Mapped[str] = mapped_column(ForeignKey("objects.sha256"), index=True)
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)  # as sent; shown escaped, never a path
    telescope_id: Mapped[int] = mapped_column(ForeignKey("telescopes.id"))
    header: Mapped[dict[str, Any]]  # FrameHeader as plain data, exact site included: never shared
    target: Mapped[str] = mapped_column(Text)
    start_utc: Mapped[datetime]
    accepted_utc: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="pending")
    reason: Mapped[str] = mapped_column(Text, default="")
    note: Mapped[str] = mapped_column(Text, default="")  # a near duplicate, say
    figures: Mapped[dict[str, Any] | None]  # what was measured when it was stacked
    block_id: Mapped[int | None] = mapped_column(ForeignKey("blocks.id", ondelete="SET NULL"))
    # The raw was swept, or lost: it cannot be stacked again unless it is sent again.
    raw_gone: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        UniqueConstraint("observer_id", "sha256"),
        Index("ix_frames_observer_id_state", "observer_id", "state"),
        Index("ix_frames_block_id", "block_id"),
        _one_of("state", "pending", "stacked", "rejected"),
        CheckConstraint("(state = 'rejected') = (reason <> '')", name="rejected_has_reason"),
        CheckConstraint("state <> 'stacked' OR block_id IS NOT NULL", name="stacked_in_block"),
    )


class Batch(Base):
    """One finalise: the jobs that a person made at once."""

    __tablename__ = "batches"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    observer_id: Mapped[int] = mapped_column(
        ForeignKey("observers.id", ondelete="CASCADE"), index=True
    )
    title: Mapped[str] = mapped_column(Text)
    created_utc: Mapped[datetime]


class Job(Base):
    """The stacking of one block."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    observer_id: Mapped[int] = mapped_column(ForeignKey("observers.id", ondelete="CASCADE"))
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), index=True)
    block_id: Mapped[int] = mapped_column(ForeignKey("blocks.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(16), default="queued")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    not_before_utc: Mapped[datetime]
    step: Mapped[str] = mapped_column(String(40), default="")
    done_frames: Mapped[int] = mapped_column(Integer, default=0)
    n_frames: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(Text, default="")
    log: Mapped[str] = mapped_column(Text, default="")  # its last lines
    created_utc: Mapped[datetime]
    started_utc: Mapped[datetime | None]
    finished_utc: Mapped[datetime | None]
    changed_utc: Mapped[datetime] = mapped_column(index=True)  # what live events go by
    worker: Mapped[str] = mapped_column(String(120), default="")
    run_url: Mapped[str] = mapped_column(Text, default="")  # in the workflow engine's pages

    __table_args__ = (
        # failed: no try is left, or a try would end the same way; the reason says which
        _one_of("state", "queued", "running", "done", "failed"),
        CheckConstraint("state <> 'failed' OR reason <> ''", name="failed_has_reason"),
        CheckConstraint("done_frames >= 0 AND done_frames <= n_frames", name="progress"),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index(
            "uq_jobs_live_block",
            "block_id",
            unique=True,
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("ix_jobs_state_not_before_utc", "state", "not_before_utc"),
        Index("ix_jobs_observer_id_state", "observer_id", "state"),
    )


class Lease(Base):
    """Whose a running job is, and until when. No lease, no right to commit."""

    __tablename__ = "leases"

    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    token: Mapped[str] = mapped_column(String(32), unique=True)  # random; new with every lease
    worker: Mapped[str] = mapped_column(String(120))
    taken_utc: Mapped[datetime]
    expires_utc: Mapped[datetime] = mapped_column(index=True)


class StackRow(Base):
    """A stack: a dot on the map."""

    __tablename__ = "stacks"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    observer_id: Mapped[int] = mapped_column(ForeignKey("observers.id", ondelete="CASCADE"))
    block_id: Mapped[int] = mapped_column(ForeignKey("blocks.id"), unique=True)
    telescope_id: Mapped[int] = mapped_column(ForeignKey("telescopes.id"))
    sha256: Mapped[str] = mapped_column(ForeignKey("objects.sha256"), index=True)
    preview_sha256: Mapped[str] = mapped_column(ForeignKey("objects.sha256"), index=True)
    thumbnail_sha256: Mapped[str] = mapped_column(ForeignKey("objects.sha256"), index=True)
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    label: Mapped[str] = mapped_column(String(160))
    name: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(40))
    filter: Mapped[str] = mapped_column(String(20))
    exposure_s: Mapped[float]
    exposure_total_s: Mapped[float]
    n_frames: Mapped[int] = mapped_column(Integer)
    n_used: Mapped[int] = mapped_column(Integer)
    n_rejected: Mapped[int] = mapped_column(Integer)
    start_utc: Mapped[datetime]  # of the first exposure used
    end_utc: Mapped[datetime]  # of the last one's end
    # Of the solution, else of the headers' pointing, else unknown: then it is on no map.
    solved: Mapped[bool]
    ra_deg: Mapped[float | None]
    dec_deg: Mapped[float | None]
    x: Mapped[float | None]  # unit vector of the centre
    y: Mapped[float | None]
    z: Mapped[float | None]
    cell: Mapped[int | None] = mapped_column(BigInteger)  # HEALPix NESTED, CELL_ORDER
    tile: Mapped[int | None] = mapped_column(Integer)  # HEALPix RING, NSIDE 128
    scale_arcsec_per_px: Mapped[float | None]
    rotation_deg: Mapped[float | None]
    corners: Mapped[list[Any] | None]  # [[ra, dec], ...] of the image, degrees
    fwhm_px: Mapped[float | None]  # green
    n_stars: Mapped[int] = mapped_column(Integer, default=0)
    zero_point_mag: Mapped[float | None]
    sky_adu: Mapped[float | None]  # green
    equatorial: Mapped[bool | None]  # None: the headers do not say
    quality: Mapped[dict[str, Any]]
    # Whoever is not the owner sees it from this time on; None: never.
    public_utc: Mapped[datetime | None]
    licence: Mapped[str] = mapped_column(String(64))
    credit: Mapped[str] = mapped_column(String(255))
    created_utc: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("n_used > 0 AND n_frames = n_used + n_rejected", name="counts"),
        CheckConstraint("(ra_deg IS NULL) = (cell IS NULL)", name="position"),
        CheckConstraint("end_utc >= start_utc", name="span"),
        Index("ix_stacks_cell_start_utc", "cell", "start_utc"),
        Index("ix_stacks_observer_id_cell_start_utc", "observer_id", "cell", "start_utc"),
        Index("ix_stacks_start_utc", "start_utc"),
        Index("ix_stacks_tile", "tile"),
    )


class StackInput(Base):
    """A frame's line in the ledger of a stack."""

    __tablename__ = "stack_inputs"

    stack_id: Mapped[int] = mapped_column(
        ForeignKey("stacks.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    frame_id: Mapped[int] = mapped_column(
        ForeignKey("frames.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    used: Mapped[bool]
    reason: Mapped[str] = mapped_column(Text, default="")
    weight: Mapped[float] = mapped_column(default=0.0)

    __table_args__ = (
        Index("uq_stack_inputs_frame_id", "frame_id", unique=True),
        CheckConstraint("used = (reason = '')", name="unused_has_reason"),
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


class AuditEntry(Base):
    """Who did what; outlives those it speaks of, so it holds no foreign key and no site."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    at_utc: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(255))
    detail: Mapped[dict[str, Any]]
