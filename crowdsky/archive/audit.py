"""Who did what, in a table that outlives those it speaks of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from crowdsky.archive.models import AuditEntry
from crowdsky.archive.texts import storable

__all__ = ["note"]


def note(
    session: Session,
    actor: str,
    action: str,
    subject: str,
    *,
    now: datetime | None = None,
    **detail: Any,
) -> None:
    """Write down an act, in the transaction that does it: it is noted if and only if it is done.

    Parameters
    ----------
    session : Session
        Of that transaction.
    actor : str
        The observer's name, or the part of the platform that acts by itself (``'sweeper'``).
    action : str
        What was done, as ``'key.create'``.
    subject : str
        What it was done to, as ``'job:17'``.
    now : datetime, optional
    **detail
        Further plain data: counts, old and new values. Never a site, a key or a file's content.
    """
    session.add(
        AuditEntry(
            at_utc=now or datetime.now(UTC),
            actor=storable(actor, 255),
            action=storable(action, 40),
            subject=storable(subject, 255),
            detail=detail,
        )
    )
