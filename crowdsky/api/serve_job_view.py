"""A job as its owner sees it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select
from sqlalchemy.orm import Session

from crowdsky.api.serve_json import plain_time
from crowdsky.archive.clock import database_now
from crowdsky.archive.models import BlockRow, FrameRow, Job, Lease, StackRow

__all__ = ["event_number", "job_views", "shown"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def job_views(
    session: Session,
    *conditions: ColumnElement[bool],
    order: Sequence[Any] = (),
    limit: int | None = None,
    with_log: bool = False,
) -> list[dict[str, Any]]:
    """Jobs as plain data.

    Parameters
    ----------
    session : Session
    *conditions
        Of `Job`; one of them must say whose they are.
    order : sequence, optional
    limit : int, optional
    with_log : bool
        Whether their last lines are wanted too.

    Returns
    -------
    list of dict
        Each with ``observer_id`` and ``changed``, a datetime, which are for us: `shown` takes
        them out.
    """
    now = database_now(session)
    silent = and_(
        Job.state == "running", or_(Lease.expires_utc.is_(None), Lease.expires_utc <= now)
    )
    columns: list[Any] = [
        Job.id,
        Job.observer_id,
        Job.state,
        Job.block_id,
        Job.batch_id,
        Job.n_frames,
        Job.done_frames,
        Job.step,
        Job.reason,
        Job.attempts,
        Job.not_before_utc,
        Job.created_utc,
        Job.started_utc,
        Job.finished_utc,
        Job.changed_utc,
        Job.worker,
        Job.run_url,
        BlockRow.target,
        BlockRow.label,
        BlockRow.filter,
        BlockRow.exposure_s,
        BlockRow.start_utc.label("block_start_utc"),
        StackRow.id.label("stack_id"),
        StackRow.n_used,
        StackRow.n_rejected,
        case((silent, True), else_=false()).label("orphaned"),
    ]
    if with_log:
        columns.append(Job.log)
    query = (
        select(*columns)
        .join_from(Job, BlockRow, BlockRow.id == Job.block_id)
        .outerjoin(StackRow, StackRow.block_id == Job.block_id)
        .outerjoin(Lease, Lease.job_id == Job.id)
        .where(*conditions)
        .order_by(*order)
    )
    rows = session.execute(query.limit(limit) if limit is not None else query).mappings().all()
    rejected = _rejected(session, [row["block_id"] for row in rows if row["state"] == "failed"])
    return [_view(row, rejected) for row in rows]


def event_number(moment: datetime) -> int:
    """The number of a change, for ``Last-Event-ID``: microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def shown(view: dict[str, Any]) -> dict[str, Any]:
    """What is sent of a view."""
    return {name: value for name, value in view.items() if name not in ("observer_id", "changed")}


def _view(row: Any, rejected: dict[int, int]) -> dict[str, Any]:
    view = dict(row)
    view["changed"] = view["changed_utc"]
    for name, value in view.items():
        if isinstance(value, datetime) and name != "changed":
            view[name] = plain_time(value)
    view["orphaned"] = bool(view["orphaned"])
    if view["state"] == "failed":
        view["n_used"], view["n_rejected"] = 0, rejected.get(view["block_id"], 0)
    elif view["state"] != "done":
        # What stack there is, is an earlier job's.
        view["n_used"] = view["n_rejected"] = None
    return view


def _rejected(session: Session, block_ids: list[int]) -> dict[int, int]:
    if not block_ids:
        return {}
    counts = session.execute(
        select(FrameRow.block_id, func.count())
        .where(FrameRow.block_id.in_(block_ids), FrameRow.state == "rejected")
        .group_by(FrameRow.block_id)
    )
    return {block_id: number for block_id, number in counts if block_id is not None}
