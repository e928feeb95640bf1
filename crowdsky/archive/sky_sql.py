"""What a query may select, by the database's own indexes: of a small field, or a short time.

The database is asked for the stacks of the cells that enclose the region (`cell_ranges`), of the
time and of the viewer. These rows are few, so they become columns like those of the index in
memory, and are selected from in the same way: a search needs nothing else, not even that index.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from crowdsky.archive.sky_columns import SkyColumns
from crowdsky.archive.sky_load import ROW_SQL, put_rows
from crowdsky.archive.sky_ranges import cell_ranges
from crowdsky.archive.sky_select import MAX_ID
from crowdsky.archive.stack_query import StackQuery, Viewer, microseconds

__all__ = ["MAX_CANDIDATES", "candidates"]

#: Rows that are still read in less time than it takes to load the index in memory.
MAX_CANDIDATES = 100_000

_FEW = 1_000  # not worth while to look for a shorter way


class _Way(NamedTuple):
    """One way to the rows: where from, and on what conditions."""

    source: str
    conditions: list[str]


def candidates(
    session: Session,
    query: StackQuery,
    viewer: Viewer,
    now: datetime,
    *,
    after: int | None = None,
    most: int | None,
) -> SkyColumns | None:
    """The stacks among which those are that a query selects.

    Parameters
    ----------
    session : Session
    query : StackQuery
    viewer : Viewer
    now : datetime
    after : int, optional
        A stack that is told, too, whether it is selected or not.
    most : int or None
        Rows that are worth while; None: however many.

    Returns
    -------
    SkyColumns or None
        None if there are more.
    """
    dialect = session.get_bind().dialect.name
    told = _conditions(query, viewer, now, dialect)
    ways = _sqlite_ways(told, viewer) if dialect == "sqlite" else [_all_at_once(told)]
    way = _shortest(session, ways, most)
    if way is None:
        return None
    rest = [sql for sql in told.values() if isinstance(sql, str) and sql not in way.conditions]
    if dialect != "sqlite":
        rest = []
    statements = [_select(f"{ROW_SQL[dialect]} FROM {way.source}", [*way.conditions, *rest])]
    if after is not None and 0 < after <= MAX_ID:
        statements.append(_select(f"{ROW_SQL[dialect]} FROM stacks", [f"id = {after}"]))
    found = {
        row[0]: row
        for statement in statements
        for row in session.connection().exec_driver_sql(statement)
    }
    columns = SkyColumns()
    put_rows(columns, [found[number] for number in sorted(found)])
    return columns


def _conditions(query: StackQuery, viewer: Viewer, now: datetime, dialect: str) -> dict[str, Any]:
    """Conditions in SQL by what they are about; numbers and times only, so written out.

    Those of names are left to the selection, which knows what does not count in them. ``sky`` is
    a list of ranges.
    """

    def time(moment: datetime) -> str:
        if dialect == "sqlite":
            return str(microseconds(moment))
        return f"timestamptz '{moment.astimezone(UTC).isoformat()}'"

    told: dict[str, Any] = {}
    own = "1 = 0" if viewer.observer_id is None else f"observer_id = {int(viewer.observer_id)}"
    public = f"public_utc <= {time(now)}"
    told["seen"] = {"mine": own, "public": public, "all": f"({own} OR {public})"}[viewer.scope]
    if query.ids is not None:
        ids = ", ".join(str(int(n)) for n in query.ids if 0 < n <= MAX_ID)
        told["ids"] = f"id IN ({ids or 0})"
    if query.tile is not None:
        told["tile"] = f"tile = {int(query.tile)}" if abs(query.tile) < 2**31 else "1 = 0"
    span = []
    if query.from_utc is not None:
        span.append(f"start_utc >= {time(query.from_utc)}")
    if query.to_utc is not None:
        span.append(f"start_utc < {time(query.to_utc)}")
    if span:
        told["time"] = " AND ".join(span)
    if query.min_exposure_s is not None and isfinite(query.min_exposure_s):
        told["exposure"] = f"exposure_total_s >= {float(query.min_exposure_s)!r}"
    if query.region is not None:
        told["sky"] = cell_ranges(query.region).tolist()
    return told


def _all_at_once(told: dict[str, Any]) -> _Way:
    """PostgreSQL finds its way by its statistics."""
    conditions = [sql for sql in told.values() if isinstance(sql, str)]
    if "sky" in told:
        between = [f"cell BETWEEN {first} AND {last}" for first, last in told["sky"]]
        conditions.append(f"({' OR '.join(between) or '1 = 0'})")
    return _Way("stacks", conditions)


def _sqlite_ways(told: dict[str, Any], viewer: Viewer) -> list[_Way]:
    """SQLite has no statistics unless they are collected, so each way is tried."""
    ways = []
    if "ids" in told:
        ways.append(_Way("stacks NOT INDEXED", [told["ids"]]))  # by the key
    if "tile" in told:
        ways.append(_Way("stacks INDEXED BY ix_stacks_tile", [told["tile"]]))
    mine = viewer.scope == "mine" and viewer.observer_id is not None
    if "sky" in told:
        pairs = ", ".join(f"({first}, {last})" for first, last in told["sky"])
        index = "ix_stacks_observer_id_cell_start_utc" if mine else "ix_stacks_cell_start_utc"
        within = ["cell BETWEEN ranges.column1 AND ranges.column2"]
        # CROSS: the ranges are the outer loop.
        source = f"(VALUES {pairs}) AS ranges CROSS JOIN stacks INDEXED BY {index}"
        ways.append(_Way(source, [told["seen"], *within] if mine else within))
    if "time" in told:
        ways.append(_Way("stacks INDEXED BY ix_stacks_start_utc", [told["time"]]))
    if mine:
        ways.append(_Way("stacks INDEXED BY ix_stacks_observer_id_n_bytes", [told["seen"]]))
    return ways or [_Way("stacks", [])]


def _shortest(session: Session, ways: list[_Way], most: int | None) -> _Way | None:
    best, least = None, most
    for way in ways:
        if least is None and len(ways) == 1:
            return way
        limit = -1 if least is None else least + 1
        part = _select(f"1 FROM {way.source}", way.conditions)
        if limit >= 0:
            part += f" LIMIT {limit}"
        n = session.connection().exec_driver_sql(f"SELECT count(*) FROM ({part}) AS part").scalar()
        n = int(n or 0)
        if least is None or n <= least:
            best, least = way, n
            if n <= _FEW:
                break
    return best


def _select(what: str, conditions: list[str]) -> str:
    return f"SELECT {what}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
