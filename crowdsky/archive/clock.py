"""One clock for everyone who works on an archive."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

__all__ = ["database_now"]


def database_now(session: Session) -> datetime:
    """The time by the database's clock.

    Leases are written by one host and judged by another, whose clocks may differ by minutes: both
    ask here. SQLite is a file of one machine, so there the machine's clock is the database's.

    Parameters
    ----------
    session : Session

    Returns
    -------
    datetime
        Aware, UTC; it moves on within a transaction.
    """
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment.astimezone(UTC)
