"""Which rows of the columns a query selects, and in which order they are handed out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crowdsky.archive.regions import BadQuery, Region
from crowdsky.archive.sky_columns import SkyColumns
from crowdsky.archive.stack_query import StackQuery, Viewer, microseconds

__all__ = ["MAX_ID", "Order", "page_rows", "selected_rows"]

MAX_ID = 2**63 - 1

# What single precision does to the cosine of an angle between two unit vectors, and more.
_FLOAT32_COS = 1e-6

Order = Literal["time", "id"]


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
        ids = [number for number in query.ids if 0 < number <= MAX_ID]
        rows = columns.rows_of(np.unique(np.array(ids, np.int64)))
    mask = _seen(columns, rows, viewer, now)
    if query.from_utc is not None:
        mask &= columns["start_us"][rows] >= microseconds(query.from_utc)
    if query.to_utc is not None:
        mask &= columns["start_us"][rows] < microseconds(query.to_utc)
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
    public: NDArray[np.bool_] = columns["public_us"][rows] <= microseconds(now)
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


def page_rows(
    columns: SkyColumns, found: NDArray[np.int64], n: int, after: int | None, order: Order
) -> NDArray[np.int64]:
    """The first `n` rows after a stack, in order."""
    if order == "id":  # rows are in the order of ids
        if after is not None:
            after = max(0, min(after, MAX_ID))
            found = found[np.searchsorted(columns["id"][found], after, side="right") :]
        return found[:n]
    starts = columns["start_us"][found]
    if after is not None:
        place = columns.rows_of(np.array([after] if 0 < after <= MAX_ID else [], np.int64))
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
