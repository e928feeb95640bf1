"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crowdsky.archive.columns import BIG_KEY, PLAIN_JSON, UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "audit",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("at_utc", UtcTime(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("detail", PLAIN_JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_at_utc", "audit", ["at_utc"], unique=False)
    op.create_table(
        "objects",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("crc32", sa.BigInteger(), nullable=True),
        sa.Column("touched_utc", UtcTime(), nullable=False),
        sa.Column("checked_utc", UtcTime(), nullable=True),
        sa.CheckConstraint("kind IN ('raw', 'stack', 'preview')", name="ck_objects_kind"),
        sa.CheckConstraint(
            "state IN ('writing', 'stored', 'condemned', 'rotten')", name="ck_objects_state"
        ),
        sa.CheckConstraint("n_bytes >= 0", name="ck_objects_n_bytes"),
        sa.PrimaryKeyConstraint("sha256", name="pk_objects"),
    )
    op.create_index("ix_objects_checked_utc", "objects", ["checked_utc"], unique=False)
    op.create_index("ix_objects_touched_utc", "objects", ["touched_utc"], unique=False)
    op.create_table(
        "observers",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_utc", UtcTime(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("embargo_days", sa.Integer(), nullable=False),
        sa.Column("licence", sa.String(length=64), nullable=False),
        sa.Column("credit", sa.String(length=255), nullable=False),
        sa.Column("quota_bytes", sa.BigInteger(), nullable=True),
        sa.Column("served_utc", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('active', 'deactivated', 'erasing')", name="ck_observers_state"
        ),
        sa.CheckConstraint(
            "visibility IN ('public', 'embargoed', 'private')", name="ck_observers_visibility"
        ),
        sa.CheckConstraint("embargo_days >= 0", name="ck_observers_embargo"),
        sa.PrimaryKeyConstraint("id", name="pk_observers"),
        sa.UniqueConstraint("name", name="uq_observers_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", PLAIN_JSON, nullable=False),
        sa.Column("created_utc", UtcTime(), nullable=False),
        sa.Column("expires_utc", UtcTime(), nullable=True),
        sa.Column("revoked_utc", UtcTime(), nullable=True),
        sa.Column("used_utc", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_api_keys_observer_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
        sa.UniqueConstraint("observer_id", "name", name="uq_api_keys_observer_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_keys_observer_id", "api_keys", ["observer_id"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_utc", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_batches_observer_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_batches_observer_id", "batches", ["observer_id"], unique=False)
    op.create_table(
        "downloads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("entries", PLAIN_JSON, nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_utc", UtcTime(), nullable=False),
        sa.Column("expires_utc", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_downloads_observer_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_downloads"),
    )
    op.create_index("ix_downloads_expires_utc", "downloads", ["expires_utc"], unique=False)
    op.create_index("ix_downloads_observer_id", "downloads", ["observer_id"], unique=False)
    op.create_table(
        "telescopes",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("model", sa.String(length=40), nullable=False),
        sa.Column("pseudonym", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_telescopes_observer_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_telescopes"),
        sa.UniqueConstraint("observer_id", "device", name="uq_telescopes_observer_id_device"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("upload_metadata", sa.Text(), nullable=False),
        sa.Column("concat", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_utc", UtcTime(), nullable=False),
        sa.Column("expires_utc", UtcTime(), nullable=False),
        sa.Column("finished_utc", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "state <> 'refused' OR reason <> ''", name="ck_uploads_refused_has_reason"
        ),
        sa.CheckConstraint(
            "state IN ('open', 'received', 'accepted', 'refused')", name="ck_uploads_state"
        ),
        sa.CheckConstraint(
            '"offset" >= 0 AND (length IS NULL OR "offset" <= length)',
            name="ck_uploads_offset_in_length",
        ),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_uploads_observer_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_expires_utc", "uploads", ["expires_utc"], unique=False)
    op.create_index("ix_uploads_observer_id", "uploads", ["observer_id"], unique=False)
    op.create_table(
        "blocks",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("telescope_id", BIG_KEY, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=160), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("tile", sa.String(length=40), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("filter", sa.String(length=20), nullable=False),
        sa.Column("exposure_s", sa.Float(precision=53), nullable=False),
        sa.Column("gain", sa.Float(precision=53), nullable=True),
        sa.Column("binning", sa.Integer(), nullable=False),
        sa.Column("bayer", sa.String(length=4), nullable=False),
        sa.Column("nx", sa.Integer(), nullable=False),
        sa.Column("ny", sa.Integer(), nullable=False),
        sa.Column("start_utc", UtcTime(), nullable=False),
        sa.Column("ra_deg", sa.Float(precision=53), nullable=True),
        sa.Column("dec_deg", sa.Float(precision=53), nullable=True),
        sa.CheckConstraint("part >= 1", name="ck_blocks_part"),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_blocks_observer_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["telescope_id"], ["telescopes.id"], name="fk_blocks_telescope_id"),
        sa.PrimaryKeyConstraint("id", name="pk_blocks"),
        sa.UniqueConstraint("observer_id", "key", "part", name="uq_blocks_observer_id_key_part"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "frames",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("telescope_id", BIG_KEY, nullable=False),
        sa.Column("header", PLAIN_JSON, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("start_utc", UtcTime(), nullable=False),
        sa.Column("accepted_utc", UtcTime(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("figures", PLAIN_JSON, nullable=True),
        sa.Column("block_id", BIG_KEY, nullable=True),
        sa.Column("raw_gone", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(state = 'rejected') = (reason <> '')", name="ck_frames_rejected_has_reason"
        ),
        sa.CheckConstraint(
            "state <> 'stacked' OR block_id IS NOT NULL", name="ck_frames_stacked_in_block"
        ),
        sa.CheckConstraint("state IN ('pending', 'stacked', 'rejected')", name="ck_frames_state"),
        sa.ForeignKeyConstraint(
            ["block_id"], ["blocks.id"], name="fk_frames_block_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_frames_observer_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["sha256"], ["objects.sha256"], name="fk_frames_sha256"),
        sa.ForeignKeyConstraint(["telescope_id"], ["telescopes.id"], name="fk_frames_telescope_id"),
        sa.PrimaryKeyConstraint("id", name="pk_frames"),
        sa.UniqueConstraint("observer_id", "sha256", name="uq_frames_observer_id_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_frames_block_id", "frames", ["block_id"], unique=False)
    op.create_index("ix_frames_observer_id_state", "frames", ["observer_id", "state"], unique=False)
    op.create_index("ix_frames_sha256", "frames", ["sha256"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("batch_id", BIG_KEY, nullable=False),
        sa.Column("block_id", BIG_KEY, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before_utc", UtcTime(), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("done_frames", sa.Integer(), nullable=False),
        sa.Column("n_frames", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("created_utc", UtcTime(), nullable=False),
        sa.Column("started_utc", UtcTime(), nullable=True),
        sa.Column("finished_utc", UtcTime(), nullable=True),
        sa.Column("changed_utc", UtcTime(), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=False),
        sa.Column("run_url", sa.Text(), nullable=False),
        sa.CheckConstraint("state <> 'failed' OR reason <> ''", name="ck_jobs_failed_has_reason"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed')", name="ck_jobs_state"
        ),
        sa.CheckConstraint("attempts >= 0", name="ck_jobs_attempts"),
        sa.CheckConstraint("done_frames >= 0 AND done_frames <= n_frames", name="ck_jobs_progress"),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_jobs_batch_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["block_id"], ["blocks.id"], name="fk_jobs_block_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["observer_id"], ["observers.id"], name="fk_jobs_observer_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_batch_id", "jobs", ["batch_id"], unique=False)
    op.create_index("ix_jobs_changed_utc", "jobs", ["changed_utc"], unique=False)
    op.create_index("ix_jobs_observer_id_state", "jobs", ["observer_id", "state"], unique=False)
    op.create_index(
        "ix_jobs_state_not_before_utc", "jobs", ["state", "not_before_utc"], unique=False
    )
    op.create_index(
        "uq_jobs_live_block",
        "jobs",
        ["block_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_table(
        "stacks",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("observer_id", BIG_KEY, nullable=False),
        sa.Column("block_id", BIG_KEY, nullable=False),
        sa.Column("telescope_id", BIG_KEY, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("preview_sha256", sa.String(length=64), nullable=False),
        sa.Column("thumbnail_sha256", sa.String(length=64), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.String(length=160), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=40), nullable=False),
        sa.Column("filter", sa.String(length=20), nullable=False),
        sa.Column("exposure_s", sa.Float(precision=53), nullable=False),
        sa.Column("exposure_total_s", sa.Float(precision=53), nullable=False),
        sa.Column("n_frames", sa.Integer(), nullable=False),
        sa.Column("n_used", sa.Integer(), nullable=False),
        sa.Column("n_rejected", sa.Integer(), nullable=False),
        sa.Column("start_utc", UtcTime(), nullable=False),
        sa.Column("end_utc", UtcTime(), nullable=False),
        sa.Column("solved", sa.Boolean(), nullable=False),
        sa.Column("ra_deg", sa.Float(precision=53), nullable=True),
        sa.Column("dec_deg", sa.Float(precision=53), nullable=True),
        sa.Column("x", sa.Float(precision=53), nullable=True),
        sa.Column("y", sa.Float(precision=53), nullable=True),
        sa.Column("z", sa.Float(precision=53), nullable=True),
        sa.Column("cell", sa.BigInteger(), nullable=True),
        sa.Column("tile", sa.Integer(), nullable=True),
        sa.Column("scale_arcsec_per_px", sa.Float(precision=53), nullable=True),
        sa.Column("rotation_deg", sa.Float(precision=53), nullable=True),
        sa.Column("corners", PLAIN_JSON, nullable=True),
        sa.Column("fwhm_px", sa.Float(precision=53), nullable=True),
        sa.Column("n_stars", sa.Integer(), nullable=False),
        sa.Column("zero_point_mag", sa.Float(precision=53), nullable=True),
        sa.Column("sky_adu", sa.Float(precision=53), nullable=True),
        sa.Column("equatorial", sa.Boolean(), nullable=True),
        sa.Column("quality", PLAIN_JSON, nullable=False),
        sa.Column("public_utc", UtcTime(), nullable=True),
        sa.Column("licence", sa.String(length=64), nullable=False),
        sa.Column("credit", sa.String(length=255), nullable=False),
        sa.Column("created_utc", UtcTime(), nullable=False),
        sa.CheckConstraint("(ra_deg IS NULL) = (cell IS NULL)", name="ck_stacks_position"),
        sa.CheckConstraint("end_utc >= start_utc", name="ck_stacks_span"),
        sa.CheckConstraint(
            "n_used > 0 AND n_frames = n_used + n_rejected", name="ck_stacks_counts"
        ),
        sa.ForeignKeyConstraint(["block_id"], ["blocks.id"], name="fk_stacks_block_id"),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_stacks_observer_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["preview_sha256"], ["objects.sha256"], name="fk_stacks_preview_sha256"
        ),
        sa.ForeignKeyConstraint(["sha256"], ["objects.sha256"], name="fk_stacks_sha256"),
        sa.ForeignKeyConstraint(["telescope_id"], ["telescopes.id"], name="fk_stacks_telescope_id"),
        sa.ForeignKeyConstraint(
            ["thumbnail_sha256"], ["objects.sha256"], name="fk_stacks_thumbnail_sha256"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stacks"),
        sa.UniqueConstraint("block_id", name="uq_stacks_block_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_stacks_cell_start_utc", "stacks", ["cell", "start_utc"], unique=False)
    op.create_index(
        "ix_stacks_observer_id_cell_start_utc",
        "stacks",
        ["observer_id", "cell", "start_utc"],
        unique=False,
    )
    op.create_index("ix_stacks_preview_sha256", "stacks", ["preview_sha256"], unique=False)
    op.create_index("ix_stacks_sha256", "stacks", ["sha256"], unique=False)
    op.create_index("ix_stacks_start_utc", "stacks", ["start_utc"], unique=False)
    op.create_index("ix_stacks_thumbnail_sha256", "stacks", ["thumbnail_sha256"], unique=False)
    op.create_index("ix_stacks_tile", "stacks", ["tile"], unique=False)
    op.create_table(
        "leases",
        sa.Column("job_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=False),
        sa.Column("taken_utc", UtcTime(), nullable=False),
        sa.Column("expires_utc", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_leases_job_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name="pk_leases"),
        sa.UniqueConstraint("token", name="uq_leases_token"),
    )
    op.create_index("ix_leases_expires_utc", "leases", ["expires_utc"], unique=False)
    op.create_table(
        "stack_inputs",
        sa.Column("stack_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("frame_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("weight", sa.Float(precision=53), nullable=False),
        sa.CheckConstraint("used = (reason = '')", name="ck_stack_inputs_unused_has_reason"),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["frames.id"], name="fk_stack_inputs_frame_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["stack_id"], ["stacks.id"], name="fk_stack_inputs_stack_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("stack_id", "frame_id", name="pk_stack_inputs"),
    )
    op.create_index("uq_stack_inputs_frame_id", "stack_inputs", ["frame_id"], unique=True)
    op.create_table(
        "upload_items",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("upload_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("frame_id", BIG_KEY, nullable=True),
        sa.CheckConstraint(
            "outcome <> 'refused' OR reason <> ''", name="ck_upload_items_refused_has_reason"
        ),
        sa.CheckConstraint(
            "outcome IN ('accepted', 'duplicate', 'refused', 'skipped')",
            name="ck_upload_items_outcome",
        ),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["frames.id"], name="fk_upload_items_frame_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["upload_id"],
            ["uploads.id"],
            name="fk_upload_items_upload_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_upload_items"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_upload_items_frame_id", "upload_items", ["frame_id"], unique=False)
    op.create_index("ix_upload_items_upload_id", "upload_items", ["upload_id"], unique=False)
