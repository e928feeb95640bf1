"""Stacks by sky, time and name, as far as the viewer may see them.

What is selected is told by the index in memory (`crowdsky.archive.sky_index`); the rows that are
handed out come from the database, which is asked for their visibility again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Session

from crowdsky.archive.models import StackRow
from crowdsky.archive.regions import BadQuery, Region
from crowdsky.archive.sky_columns import SkyColumns
from crowdsky.archive.sky_index import sky_index

__all__ = [
    "StackPage",
    "StackQuery",
    "Viewer",
    "count_stacks",
    "search_stacks",
    "selected_rows",
    "visible",
]

MAX_LIMIT = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_ID = 2**63 - 1
# What single precision does to the cosine of an angle between two unit vectors, and more.
_FLOAT32_COS = 1e-6

Order = Literal["time", "id"]


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


@dataclass(frozen=True, slots=True)
class StackPage:
    """A page of what was found.

    Attributes
    ----------
    rows : list of StackRow
    total, n_bytes : int
        Of all that was found, not of the page.
    next_after : int or None
        Id to go on after; None at the end.
    """

    rows: list[StackRow]
    total: int
    n_bytes: int
    next_after: int | None


def search_stacks(
    session: Session,
    query: StackQuery,
    viewer: Viewer,
    *,
    limit: int = 1000,
    after: int | None = None,
    order: Order = "time",
    now: datetime | None = None,
) -> StackPage:
    """Find stacks.

    Parameters
    ----------
    session : Session
    query : StackQuery
    viewer : Viewer
    limit : int
        Rows of a page, 1 to 10 000.
    after : int, optional
        Id of the last stack of the page before.
    order : {'time', 'id'}
        Newest exposure first, or lowest id first.
    now : datetime, optional
        What has become public by then is public.

    Returns
    -------
    StackPage

    Raises
    ------
    BadQuery
        If a limit is beyond its range, or `after` is no stack (any more).
    ArchiveUnavailable
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise BadQuery(f"a page has 1 to {MAX_LIMIT} stacks", value=limit)
    now = now or datetime.now(UTC)
    with sky_index(session).looking() as columns:
        found = selected_rows(columns, query, viewer, now)
        total, n_bytes = len(found), int(columns["n_bytes"][found].sum())
        page = _page(columns, found, limit + 1, after, order)
        ids = columns["id"][page].tolist()
    more = len(ids) > limit
    ids = ids[:limit]
    rows = _rows_of(session, ids, viewer, now)
    return StackPage(rows, total, n_bytes, ids[-1] if more else None)


def count_stacks(
    session: Session, query: StackQuery, viewer: Viewer, *, now: datetime | None = None
) -> tuple[int, int]:
    """How many stacks there are, and the bytes of their files.

    Parameters
    ----------
    session : Session
    query : StackQuery
    viewer : Viewer
    now : datetime, optional

    Returns
    -------
    n, n_bytes : int
    """
    with sky_index(session).looking() as columns:
        found = selected_rows(columns, query, viewer, now or datetime.now(UTC))
        return len(found), int(columns["n_bytes"][found].sum())


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


def selected_rows(
    columns: SkyColumns, query: StackQuery, viewer: Viewer, now: datetime
) -> NDArray[np.int64]:
    """Which rows of the index a query selects, ascending.

    Parameters
    ----------
    columns : SkyColumns
    query : StackQuery
    viewer : Viewer
    now : datetime

    Returns
    -------
    ndarray of int64
    """
    rows = _roughly_selected(columns, query, viewer, now)
    for name in ("target", "filter", "model"):
        wanted = getattr(query, name)
        if wanted is not None:
            numbers = columns.words[name].like(wanted, anywhere=name == "target")
            rows = rows[np.isin(columns[name][rows], numbers)]
    if query.tile is not None:
        rows = rows[columns["tile"][rows] == query.tile]
    if query.min_exposure_s is not None:
        rows = rows[columns["exposure_s"][rows] >= query.min_exposure_s]
    if query.region is not None:
        rows = _in_region(columns, rows, query.region)
    return rows


def _roughly_selected(
    columns: SkyColumns, query: StackQuery, viewer: Viewer, now: datetime
) -> NDArray[np.int64]:
    """Rows by what is compared at once over a whole column: viewer, time, declination."""
    rows: Any = slice(None)
    if query.ids is not None:
        ids = [number for number in query.ids if 0 < number <= _MAX_ID]
        rows = columns.rows_of(np.unique(np.array(ids, np.int64)))
    mask = _seen(columns, rows, viewer, now)
    if query.from_utc is not None:
        mask &= columns["start_us"][rows] >= _microseconds(query.from_utc)
    if query.to_utc is not None:
        mask &= columns["start_us"][rows] < _microseconds(query.to_utc)
    if query.region is not None:
        bounds = query.region.bounds
        dec_deg = columns["dec_deg"][rows]
        mask &= dec_deg >= bounds.dec_from_deg
        mask &= dec_deg <= bounds.dec_to_deg
    found: NDArray[np.int64] = np.flatnonzero(mask)
    return found if query.ids is None else rows[found]


def _seen(columns: SkyColumns, rows: Any, viewer: Viewer, now: datetime) -> NDArray[np.bool_]:
    observers = columns["observer_id"][rows]
    if viewer.observer_id is None:
        own = np.zeros(len(observers), bool)
    else:
        own = observers == viewer.observer_id
    if viewer.scope == "mine":
        return own
    public: NDArray[np.bool_] = columns["public_us"][rows] <= _microseconds(now)
    if viewer.scope == "all":
        public |= own
    return public


def _in_region(columns: SkyColumns, rows: NDArray[np.int64], region: Region) -> NDArray[np.int64]:
    bounds = region.bounds
    sure = np.zeros(len(rows), bool)
    if bounds.centre is not None and bounds.cos_radius > -1.0:
        x, y, z = (np.float32(value) for value in bounds.centre)
        cosine = columns["x"][rows] * x
        cosine += columns["y"][rows] * y
        cosine += columns["z"][rows] * z
        rough = cosine >= bounds.cos_radius - _FLOAT32_COS
        rows = rows[rough]
        sure = cosine[rough] >= bounds.cos_inner + _FLOAT32_COS
    unsure = np.flatnonzero(~sure)
    asked = rows[unsure]
    sure[unsure] = region.contains(columns["ra_deg"][asked], columns["dec_deg"][asked])
    return rows[sure]


def _page(
    columns: SkyColumns, found: NDArray[np.int64], n: int, after: int | None, order: Order
) -> NDArray[np.int64]:
    """The first `n` rows after a stack, in order."""
    if order == "id":  # rows are in the order of ids
        if after is not None:
            after = max(0, min(after, _MAX_ID))
            found = found[np.searchsorted(columns["id"][found], after, side="right") :]
        return found[:n]
    starts = columns["start_us"][found]
    if after is not None:
        place = columns.rows_of(np.array([after] if 0 < after <= _MAX_ID else [], np.int64))
        if not len(place):
            raise BadQuery("the stack to go on after is gone: begin anew", value=after)
        last = place[0]
        start = columns["start_us"][last]
        left = (starts < start) | ((starts == start) & (found < last))
        found, starts = found[left], starts[left]
    if len(found) > n:
        least = np.partition(starts, len(starts) - n)[len(starts) - n]
        found = found[starts >= least]
    newest_first = np.lexsort((found, columns["start_us"][found]))[::-1]
    return found[newest_first][:n]


def _rows_of(session: Session, ids: list[int], viewer: Viewer, now: datetime) -> list[StackRow]:
    found = {
        row.id: row
        for row in session.scalars(
            select(StackRow).where(StackRow.id.in_(ids), visible(viewer, now))
        )
    }
    return [found[number] for number in ids if number in found]


def _microseconds(time_utc: datetime) -> int:
    return (time_utc - _EPOCH) // _MICROSECOND
