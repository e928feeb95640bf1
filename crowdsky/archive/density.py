"""How many stacks there are in each cell of the sky."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from crowdsky.archive.models import CELL_ORDER
from crowdsky.archive.regions import BadQuery
from crowdsky.archive.search import By, searched
from crowdsky.archive.sky_select import selected_rows
from crowdsky.archive.stack_query import StackQuery, Viewer

__all__ = ["MAX_ORDER", "density"]

MAX_ORDER = 9


def density(
    session: Session,
    query: StackQuery,
    viewer: Viewer,
    *,
    order: int,
    now: datetime | None = None,
    by: By = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count stacks by HEALPix cell.

    Parameters
    ----------
    session : Session
    query : StackQuery
    viewer : Viewer
    order : int
        0 (12 cells) to 9 (cells of 7 arcminutes).
    now : datetime, optional
    by : {'index', 'sql'}, optional

    Returns
    -------
    cells, counts : ndarray of int64
        NESTED cells that hold any stack, ascending, and how many. Stacks without a position are in
        no cell.

    Raises
    ------
    BadQuery
        If there is no such order.
    ArchiveUnavailable
    """
    if not 0 <= order <= MAX_ORDER:
        raise BadQuery(f"orders are 0 to {MAX_ORDER}", value=order)
    now = now or datetime.now(UTC)
    with searched(session, query, viewer, now, by=by) as columns:
        rows = selected_rows(columns, query, viewer, now)
        placed = columns["cell"][rows]
    placed = placed[placed >= 0] >> (2 * (CELL_ORDER - order))
    if len(placed) > 10_000:
        counted = np.bincount(placed)
        filled = np.flatnonzero(counted)
        return filled.astype(np.int64), counted[filled].astype(np.int64)
    cells, counts = np.unique(placed, return_counts=True)
    return cells.astype(np.int64), counts.astype(np.int64)
