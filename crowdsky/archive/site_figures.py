"""What everyone may know about the whole archive: counts of its public stacks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import BigInteger, ColumnElement, cast, func, select
from sqlalchemy.orm import Session

from crowdsky.archive.models import StackRow
from crowdsky.archive.search import Viewer, visible

__all__ = ["SiteFigures", "site_figures"]

_HALF_DAY_US = 43_200_000_000


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """Counts of what is public.

    Attributes
    ----------
    stacks, telescopes, observers : int
        Telescopes and observers with at least one public stack.
    exposure_s : float
        Of the frames used, in all.
    nights : int
        Different days, reckoned from noon to noon UTC as Julian days are, on which a public stack
        began. Where somebody observed is not known here, so no local noon is.
    newest_utc : datetime or None
        When the newest one began; None without any.
    """

    stacks: int
    exposure_s: float
    telescopes: int
    observers: int
    nights: int
    newest_utc: datetime | None


def site_figures(session: Session, *, now: datetime | None = None) -> SiteFigures:
    """Count the public stacks, in one statement.

    Parameters
    ----------
    session : Session
    now : datetime, optional
        What has become public by then is public.

    Returns
    -------
    SiteFigures

    Raises
    ------
    ArchiveUnavailable
    """
    asked = select(
        func.count(),
        func.coalesce(func.sum(StackRow.exposure_total_s), 0.0),
        func.count(StackRow.telescope_id.distinct()),
        func.count(StackRow.observer_id.distinct()),
        func.count(_julian_day(session).distinct()),
        func.max(StackRow.start_utc),
    ).where(visible(Viewer(), now or datetime.now(UTC)))
    row = session.execute(asked).one()
    return SiteFigures(
        stacks=int(row[0]),
        exposure_s=float(row[1]),
        telescopes=int(row[2]),
        observers=int(row[3]),
        nights=int(row[4]),
        newest_utc=row[5],
    )


def _julian_day(session: Session) -> ColumnElement[int]:
    """Days from a noon to the next; only whether two are the same one matters."""
    if session.get_bind().dialect.name == "sqlite":  # microseconds, see `columns.UtcTime`
        microseconds = cast(StackRow.start_utc, BigInteger)
        return (microseconds - _HALF_DAY_US) // (2 * _HALF_DAY_US)
    seconds = func.extract("epoch", StackRow.start_utc)
    return func.floor((seconds - 43_200) / 86_400)
