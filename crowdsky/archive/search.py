"""Stacks by sky, time and name, as far as the viewer may see them.

What is selected is told by the index in memory (`crowdsky.archive.sky_index`), or, as long as that
is being loaded, by the database's indexes (`crowdsky.archive.sky_sql`): both give columns, and one
selection goes over them. The rows that are handed out come from the database, which is asked for
their visibility again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from crowdsky.archive.models import StackRow
from crowdsky.archive.regions import BadQuery
from crowdsky.archive.sky_columns import SkyColumns
from crowdsky.archive.sky_index import index_of, sky_index
from crowdsky.archive.sky_select import Order, page_rows, selected_rows
from crowdsky.archive.sky_sql import MAX_CANDIDATES, candidates
from crowdsky.archive.stack_query import StackQuery, Viewer, visible

__all__ = [
    "By",
    "StackPage",
    "StackQuery",
    "Viewer",
    "count_stacks",
    "search_stacks",
    "searched",
    "visible",
]

MAX_LIMIT = 10_000

#: By what stacks are found; None: by the index in memory, once it is there.
By = Literal["index", "sql"] | None

# What is handed out of a row: all but what only its making needs.
_HANDED_OUT = [
    column
    for column in StackRow.__table__.columns
    if column.name not in ("x", "y", "z", "cell", "quality")
]


@dataclass(frozen=True, slots=True)
class StackPage:
    """A page of what was found.

    Attributes
    ----------
    rows : list of named rows
        What `StackRow` has under the same names, but for ``quality`` and the forms of the
        position. Not objects of the session: nothing is loaded later, nothing can be changed.
    total, n_bytes : int
        Of all that was found, not of the page.
    next_after : int or None
        Id to go on after; None at the end.
    """

    rows: list[Any]
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
    by: By = None,
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
    by : {'index', 'sql'}, optional

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
    with searched(session, query, viewer, now, after=after, by=by) as columns:
        found = selected_rows(columns, query, viewer, now)
        total, n_bytes = len(found), int(columns["n_bytes"][found].sum())
        page = page_rows(columns, found, limit + 1, after, order)
        ids = columns["id"][page].tolist()
    more = len(ids) > limit
    ids = ids[:limit]
    rows = _rows_of(session, ids, viewer, now)
    return StackPage(rows, total, n_bytes, ids[-1] if more else None)


def count_stacks(
    session: Session,
    query: StackQuery,
    viewer: Viewer,
    *,
    now: datetime | None = None,
    by: By = None,
) -> tuple[int, int]:
    """How many stacks there are, and the bytes of their files.

    Parameters
    ----------
    session : Session
    query : StackQuery
    viewer : Viewer
    now : datetime, optional
    by : {'index', 'sql'}, optional

    Returns
    -------
    n, n_bytes : int
    """
    now = now or datetime.now(UTC)
    with searched(session, query, viewer, now, by=by) as columns:
        found = selected_rows(columns, query, viewer, now)
        return len(found), int(columns["n_bytes"][found].sum())


@contextmanager
def searched(
    session: Session,
    query: StackQuery,
    viewer: Viewer,
    now: datetime,
    *,
    after: int | None = None,
    by: By = None,
) -> Iterator[SkyColumns]:
    """Columns that hold whatever a query selects.

    All stacks, if the index in memory is there. If not, it is being loaded by now, and the
    database's own indexes tell the few stacks that come into question; only if these are not few,
    the load is waited for.

    Parameters
    ----------
    session : Session
    query : StackQuery
    viewer : Viewer
    now : datetime
    after : int, optional
        A stack that is among them in any case, if there is such.
    by : {'index', 'sql'}, optional
    """
    if by == "sql" or (by is None and not index_of(session).is_ready(session)):
        most = MAX_CANDIDATES if by is None else None
        few = candidates(session, query, viewer, now, after=after, most=most)
        if few is not None:
            yield few
            return
    with sky_index(session).looking() as columns:
        yield columns


def _rows_of(session: Session, ids: list[int], viewer: Viewer, now: datetime) -> list[Any]:
    wanted = select(*_HANDED_OUT).where(StackRow.id.in_(ids), visible(viewer, now))
    found = {row.id: row for row in session.execute(wanted)}
    return [found[number] for number in ids if number in found]
