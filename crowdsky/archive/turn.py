"""One at a time: whoever makes or removes the jobs and blocks of an observer."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

__all__ = ["take_turn"]

_CLASS = 0x63736B79  # apart from other advisory locks of the database


def take_turn(session: Session, observer_id: int) -> None:
    """Wait until nobody else changes what jobs and blocks an observer has.

    Held to the end of the transaction, and taken before any row is locked. In SQLite a writing
    transaction is alone anyway. Leases and commits do not take turns: they lock their job.

    Parameters
    ----------
    session : Session
        Of a writing transaction.
    observer_id : int
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            text("SELECT pg_advisory_xact_lock(:class, :observer)"),
            {"class": _CLASS, "observer": observer_id & 0x7FFFFFFF},
        )
