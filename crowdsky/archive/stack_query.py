"""What is asked of the stacks, by whom, and what they may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, and_, false, or_

from crowdsky.archive.models import StackRow
from crowdsky.archive.regions import Region

__all__ = ["StackQuery", "Viewer", "microseconds", "visible"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class StackQuery:
    """What is asked for; what is None does not matter.

    Attributes
    ----------
    region : Region, optional
        `Rectangle`, `Cone` or `Polygon`. Stacks without a position are in none.
    from_utc, to_utc : datetime, optional
        The first exposure began at or after the one and before the other, so that windows side by
        side share no stack.
    target : str, optional
        Part of the target's name; case and blanks do not count, so ``m94`` finds ``M 94``.
    filter, model : str, optional
        Of the stack; case and blanks do not count.
    tile : int, optional
        HEALPix, RING, NSIDE 128.
    ids : sequence of int, optional
    min_exposure_s : float, optional
        Exposure of the frames used, in all.
    """

    region: Region | None = None
    from_utc: datetime | None = None
    to_utc: datetime | None = None
    target: str | None = None
    filter: str | None = None
    model: str | None = None
    tile: int | None = None
    ids: Sequence[int] | None = None
    min_exposure_s: float | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, and for whose stacks.

    Attributes
    ----------
    observer_id : int or None
        None: nobody in particular.
    scope : {'mine', 'public', 'all'}
        The viewer's own; what everyone sees by now; either.
    """

    observer_id: int | None = None
    scope: Literal["mine", "public", "all"] = "public"


def visible(viewer: Viewer, now: datetime) -> ColumnElement[bool]:
    """The condition, in SQL, that the viewer sees a stack in this scope.

    Parameters
    ----------
    viewer : Viewer
    now : datetime
    """
    own = false() if viewer.observer_id is None else StackRow.observer_id == viewer.observer_id
    public = and_(StackRow.public_utc.is_not(None), StackRow.public_utc <= now)
    if viewer.scope == "mine":
        return own
    if viewer.scope == "public":
        return public
    return or_(own, public)


def microseconds(time_utc: datetime) -> int:
    """A time as microseconds since 1970."""
    return (time_utc - _EPOCH) // _MICROSECOND
