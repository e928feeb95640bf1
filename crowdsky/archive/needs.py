"""The one rule that says whether a stored file is needed.

It is needed by

- a frame that is pending: also after days of backlog, and whatever became of its job;
- a frame whose block has a live job, because that job may stack it again;
- a frame that was stacked or rejected less than ``keep_raws_days`` ago;
- a stack: its file, its preview, its thumbnail;
- a download that is not over.

A frame that is marked as ``raw_gone`` needs nothing: its raw was swept or is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from crowdsky.archive.clock import database_now
from crowdsky.archive.models import Download, FrameRow, Job, ObjectRow, StackRow

__all__ = ["needed", "needed_by_rows", "unneeded"]

_LIVE = ("queued", "running")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def needed(
    session: Session,
    sha256: str,
    *,
    keep_raws_days: float = 0.0,
    now: datetime | None = None,
) -> bool:
    """Whether a file is needed.

    Parameters
    ----------
    session : Session
    sha256 : str
    keep_raws_days : float
        Days for which raws are kept after they were stacked or rejected.
    now : datetime, optional
        The database's clock when omitted.

    Returns
    -------
    bool
        False also for a file that is not known.
    """
    return not unneeded(session, [sha256], keep_raws_days=keep_raws_days, now=now)


def unneeded(
    session: Session,
    sha256s: Sequence[str],
    *,
    keep_raws_days: float,
    now: datetime | None = None,
) -> set[str]:
    """Those of some files that nothing needs.

    Parameters
    ----------
    session : Session
        If the files are to be condemned: in the transaction that has their rows locked.
    sha256s : sequence of str
        A few hundred at the most.
    keep_raws_days : float
    now : datetime, optional

    Returns
    -------
    set of str
    """
    now = now or database_now(session)
    by_rows = needed_by_rows(now, keep_raws_days)
    kept = session.execute(
        select(ObjectRow.sha256, ObjectRow.kind, by_rows).where(ObjectRow.sha256.in_(sha256s))
    ).all()
    free = set(sha256s) - {row.sha256 for row in kept if row[2]}
    if any(row.kind != "raw" and row.sha256 in free for row in kept):
        free -= _downloaded(session, now)
    return free


def needed_by_rows(now: datetime, keep_raws_days: float) -> ColumnElement[bool]:
    """The rule as a condition on `ObjectRow`, but for downloads, which name their files in JSON."""
    why: list[ColumnElement[bool]] = [
        FrameRow.state == "pending",
        exists().where(Job.block_id == FrameRow.block_id, Job.state.in_(_LIVE)),
    ]
    if keep_raws_days > 0:
        since = now - timedelta(days=keep_raws_days)
        why += [
            exists().where(Job.block_id == FrameRow.block_id, Job.finished_utc > since),
            exists().where(StackRow.block_id == FrameRow.block_id, StackRow.created_utc > since),
            # Rejected before it came into a block; or not known any more when.
            FrameRow.accepted_utc > since,
        ]
    return or_(
        exists().where(
            and_(FrameRow.sha256 == ObjectRow.sha256, FrameRow.raw_gone.is_(False), or_(*why))
        ),
        exists().where(StackRow.sha256 == ObjectRow.sha256),
        exists().where(StackRow.preview_sha256 == ObjectRow.sha256),
        exists().where(StackRow.thumbnail_sha256 == ObjectRow.sha256),
    )


def _downloaded(session: Session, now: datetime) -> set[str]:
    lists = session.scalars(select(Download.entries).where(Download.expires_utc > now))
    return {sha256 for entries in lists for sha256 in _names(entries)}


def _names(plain: Any) -> Iterator[str]:
    """Every SHA-256 in plain data, wherever its writer chose to put it."""
    if isinstance(plain, str):
        if _SHA256.fullmatch(plain):
            yield plain
    elif isinstance(plain, dict):
        for value in plain.values():
            yield from _names(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from _names(value)
