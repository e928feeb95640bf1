"""Which tiles of the sky everyone's stacks cover, and how deep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crowdsky.archive.models import StackRow

__all__ = ["TileCoverage", "tile_coverage"]


@dataclass(frozen=True, slots=True)
class TileCoverage:
    """What there is of a tile (HEALPix, RING, NSIDE 128) in one filter."""

    tile: int
    filter: str
    n_stacks: int
    exposure_s: float
    first_utc: datetime
    last_utc: datetime


def tile_coverage(session: Session, *, now: datetime | None = None) -> list[TileCoverage]:
    """Tiles that hold public stacks, by tile and filter.

    Parameters
    ----------
    session : Session
    now : datetime, optional

    Returns
    -------
    list of TileCoverage
    """
    rows = session.execute(
        select(
            StackRow.tile,
            StackRow.filter,
            func.count(),
            func.sum(StackRow.exposure_total_s),
            func.min(StackRow.start_utc),
            func.max(StackRow.end_utc),
        )
        .where(StackRow.tile.is_not(None), StackRow.public_utc <= (now or datetime.now(UTC)))
        .group_by(StackRow.tile, StackRow.filter)
        .order_by(StackRow.tile, StackRow.filter)
    )
    return [
        TileCoverage(tile, name, n_stacks, exposure_s, first_utc, last_utc)
        for tile, name, n_stacks, exposure_s, first_utc, last_utc in rows
        if tile is not None
    ]
