"""Names of revoked keys are free; changes of stacks are noted; indexes for a million stacks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from crowdsky.archive.columns import BIG_KEY
from crowdsky.archive.triggers import trigger_statements

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"

_LIVE = sa.text("revoked_utc IS NULL")
_INDEXES = (
    ("ix_blocks_telescope_id_start_utc", "blocks", ["telescope_id", "start_utc"]),
    (
        "ix_frames_observer_id_raw_gone_n_bytes",
        "frames",
        ["observer_id", "raw_gone", "n_bytes"],
    ),
    ("ix_frames_telescope_id_start_utc", "frames", ["telescope_id", "start_utc"]),
    ("ix_jobs_block_id", "jobs", ["block_id"]),
    ("ix_stacks_observer_id_n_bytes", "stacks", ["observer_id", "n_bytes"]),
    ("ix_stacks_telescope_id", "stacks", ["telescope_id"]),
)


def upgrade() -> None:
    """Change them."""
    op.create_table(
        "files_to_erase",
        sa.Column("observer_id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["observer_id"],
            ["observers.id"],
            name="fk_files_to_erase_observer_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("observer_id", "sha256", name="pk_files_to_erase"),
    )
    op.create_table(
        "stack_changes",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("stack_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stack_changes"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("api_keys", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.drop_constraint("uq_api_keys_observer_id_name", type_="unique")
    op.create_index(
        "uq_api_keys_live_name",
        "api_keys",
        ["observer_id", "name"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    for name, table_name, columns in _INDEXES:
        op.create_index(name, table_name, columns)
    # Whoever changes the triggers adds a migration that drops these and makes the new ones.
    for statement in trigger_statements(op.get_bind().dialect.name):
        op.execute(statement)
