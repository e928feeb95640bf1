"""Everything that is kept of one observer, as plain data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import (
    ApiKey,
    AuditEntry,
    Base,
    Batch,
    BlockRow,
    Download,
    FrameRow,
    Job,
    Observer,
    StackInput,
    StackRow,
    Telescope,
    Upload,
    UploadItem,
)
from crowdsky.errors import NotFound

__all__ = ["export_account"]

# A key's digest says nothing to its owner and is of use to somebody who steals the export.
_LEFT_OUT = {("api_keys", "digest")}


def export_account(
    archive: Archive, observer_id: int, *, now: datetime | None = None
) -> dict[str, Any]:
    """All rows of an observer, for the observer: exact sites and serials are in it.

    Parameters
    ----------
    archive : Archive
    observer_id : int
    now : datetime, optional

    Returns
    -------
    dict
        ``exported_utc``, ``observer`` and a list of rows for each table; times are text in ISO 8601
        with a Z. The files are named by their SHA-256.

    Raises
    ------
    NotFound
    """
    with archive.reading() as session:
        observer = session.get(Observer, observer_id)
        if observer is None:
            raise NotFound("no such observer", value=observer_id)
        exported: dict[str, Any] = {
            "exported_utc": _plain(now or datetime.now(UTC)),
            "observer": _row_to_plain(observer),
        }
        for name, wanted in _tables(observer).items():
            exported[name] = [_row_to_plain(row) for row in session.scalars(wanted)]
    return exported


def _tables(observer: Observer) -> dict[str, Any]:
    def own(model: Any) -> Any:
        return select(model).where(model.observer_id == observer.id).order_by(model.id)

    return {
        "telescopes": own(Telescope),
        "api_keys": own(ApiKey),
        "uploads": own(Upload),
        "upload_items": select(UploadItem)
        .join(Upload, Upload.id == UploadItem.upload_id)
        .where(Upload.observer_id == observer.id)
        .order_by(UploadItem.id),
        "frames": own(FrameRow),
        "blocks": own(BlockRow),
        "batches": own(Batch),
        "jobs": own(Job),
        "stacks": own(StackRow),
        "stack_inputs": select(StackInput)
        .join(StackRow, StackRow.id == StackInput.stack_id)
        .where(StackRow.observer_id == observer.id)
        .order_by(StackInput.stack_id, StackInput.frame_id),
        "downloads": own(Download),
        "audit": select(AuditEntry)
        .where(AuditEntry.actor == observer.name)
        .order_by(AuditEntry.id),
    }


def _row_to_plain(row: Base) -> dict[str, Any]:
    table: Any = row.__table__
    return {
        column.name: _plain(getattr(row, column.name))
        for column in table.columns
        if (table.name, column.name) not in _LEFT_OUT
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
