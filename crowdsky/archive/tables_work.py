"""From frames to stacks: blocks, the ledger, jobs and who has them."""

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
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crowdsky.archive.columns import BIG_KEY
from crowdsky.archive.tables_base import NUMBERS_ONCE, Base, one_of

__all__ = [
    "CELL_ORDER",
    "Batch",
    "BlockRow",
    "FrameRow",
    "Job",
    "Lease",
    "StackChange",
    "StackInput",
    "StackRow",
]


#: HEALPix order of `StackRow.cell` (NESTED): cells of 52 arcseconds.
CELL_ORDER = 12


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
        Index("ix_blocks_telescope_id_start_utc", "telescope_id", "start_utc"),
        NUMBERS_ONCE,
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
        Index("ix_frames_telescope_id_start_utc", "telescope_id", "start_utc"),
        # What an observer takes up, without a look at the rows.
        Index("ix_frames_observer_id_raw_gone_n_bytes", "observer_id", "raw_gone", "n_bytes"),
        one_of("state", "pending", "stacked", "rejected"),
        CheckConstraint("(state = 'rejected') = (reason <> '')", name="rejected_has_reason"),
        CheckConstraint("state <> 'stacked' OR block_id IS NOT NULL", name="stacked_in_block"),
        NUMBERS_ONCE,
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

    __table_args__ = (NUMBERS_ONCE,)


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
        one_of("state", "queued", "running", "done", "failed"),
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
        Index("ix_jobs_block_id", "block_id"),
        Index("ix_jobs_state_not_before_utc", "state", "not_before_utc"),
        Index("ix_jobs_observer_id_state", "observer_id", "state"),
        NUMBERS_ONCE,
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
        Index("ix_stacks_observer_id_n_bytes", "observer_id", "n_bytes"),
        Index("ix_stacks_telescope_id", "telescope_id"),
        Index("ix_stacks_tile", "tile"),
        NUMBERS_ONCE,
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


class StackChange(Base):
    """A stack came, changed or went; written by the database's own triggers.

    Numbers rise in the order in which the changes became visible, and none is used twice; see
    `crowdsky.archive.triggers`.
    """

    __tablename__ = "stack_changes"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    stack_id: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (NUMBERS_ONCE,)
