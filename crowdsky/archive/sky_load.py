"""Reading what a search looks at, of many stacks at once.

Both databases are asked for numbers that need no more than copying: NULL is replaced by them, and
what can be computed from the rest is computed. A million stacks as Python's objects would take
longer than all else, so PostgreSQL packs a column into an array, whose binary form is an array of
numpy's; SQLite cannot, and its rows are taken as the driver has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from crowdsky.archive.positions import unit_vectors
from crowdsky.archive.sky_columns import NEVER_US, Columns, SkyColumns

__all__ = ["ROW_SQL", "load_all", "put_rows"]

_AT_ONCE = 50_000

_NEVER = str(NEVER_US)
_EPOCH_2000_US = 946_684_800_000_000  # PostgreSQL counts from 2000

#: What a row tells, for each kind of database, ready for `put_rows`.
ROW_SQL = {
    "sqlite": (
        f"id, observer_id, start_utc, coalesce(public_utc, {_NEVER}), ra_deg, dec_deg, "
        "coalesce(cell, -1), coalesce(tile, -1), n_bytes, exposure_total_s, target, filter, model"
    ),
    "postgresql": (
        "id, observer_id, (extract(epoch from start_utc) * 1000000)::int8, "
        f"coalesce((extract(epoch from public_utc) * 1000000)::int8, {_NEVER}), ra_deg, dec_deg, "
        "coalesce(cell, -1), coalesce(tile, -1), n_bytes, exposure_total_s, target, filter, model"
    ),
}

# Name, SQL, and how PostgreSQL sends it. A text is sent as its hash.
_ARRAYS = (
    ("id", "id::int8", ">i8"),
    ("observer_id", "observer_id::int4", ">i4"),
    ("start_us", "start_utc", ">i8"),
    ("public_us", "coalesce(public_utc, 'infinity')", ">i8"),
    ("ra_deg", "coalesce(ra_deg, 'NaN')::float8", ">f8"),
    ("dec_deg", "coalesce(dec_deg, 'NaN')::float8", ">f8"),
    ("cell", "coalesce(cell, -1)::int4", ">i4"),
    ("tile", "coalesce(tile, -1)::int4", ">i4"),
    ("n_bytes", "n_bytes::int8", ">i8"),
    ("exposure_s", "exposure_total_s::float8", ">f8"),
    ("target", "hashtextextended(target, 0)", ">i8"),
    ("filter", "hashtextextended(filter, 0)", ">i8"),
    ("model", "hashtextextended(model, 0)", ">i8"),
)


def put_rows(columns: SkyColumns, rows: Sequence[Sequence[Any]]) -> None:
    """Put rows of `ROW_SQL` into columns.

    Parameters
    ----------
    columns : SkyColumns
    rows : sequence of sequences
        Ids ascending, each once.
    """
    if rows:
        names = [name for name, _, _ in _ARRAYS]
        values = dict(zip(names, zip(*rows, strict=True), strict=True))
        columns.put({name: _array(columns, name, column) for name, column in _placed(values)})


def load_all(connection: Connection) -> SkyColumns:
    """Read every stack.

    Parameters
    ----------
    connection : Connection
        Sees one state of the database all the time (in PostgreSQL: REPEATABLE READ).

    Returns
    -------
    SkyColumns
    """
    columns = SkyColumns()
    if connection.dialect.name == "sqlite":
        for rows in _sqlite_rows(connection):
            put_rows(columns, rows)
        return columns
    hashes = {name: _hashes(connection, columns, name) for name in columns.words}
    for arrays in _postgresql_arrays(connection):
        order = np.argsort(arrays["id"], kind="stable")
        for name, (known, numbers) in hashes.items():
            arrays[name] = numbers[np.searchsorted(known, arrays[name])]
        columns.put({name: column[order] for name, column in _placed(arrays)})
    return columns


def _placed(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The columns with the unit vectors."""
    ra_deg = np.array(values["ra_deg"], float)  # None becomes NaN
    dec_deg = np.array(values["dec_deg"], float)
    vectors = unit_vectors(ra_deg, dec_deg)
    yield from (values | {"ra_deg": ra_deg, "dec_deg": dec_deg}).items()
    yield from zip("xyz", vectors, strict=True)


def _array(columns: SkyColumns, name: str, values: Any) -> NDArray[Any]:
    if name in columns.words:
        numbers = {text: columns.words[name].number(text) for text in set(values)}
        return np.fromiter(map(numbers.__getitem__, values), np.int32, len(values))
    return np.array(values)


def _sqlite_rows(connection: Connection) -> Iterator[Sequence[Sequence[Any]]]:
    driver: Any = connection.connection.driver_connection
    cursor = driver.execute(f"SELECT {ROW_SQL['sqlite']} FROM stacks ORDER BY id")
    try:
        while rows := cursor.fetchmany(_AT_ONCE):
            yield rows
    finally:
        cursor.close()


def _hashes(
    connection: Connection, columns: SkyColumns, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Hashes of the different texts of a column, ascending, and the numbers of the texts."""
    found = connection.exec_driver_sql(
        f"SELECT {name}, hashtextextended({name}, 0) FROM (SELECT DISTINCT {name} FROM stacks) s"
    ).all()
    number = columns.words[name].number
    pairs = sorted((digest, number(text)) for text, digest in found)
    known = np.array([digest for digest, _ in pairs], np.int64)
    return known, np.array([n for _, n in pairs], np.int32)


def _postgresql_arrays(connection: Connection) -> Iterator[Columns]:
    wanted = ", ".join(f"array_agg({sql})" for _, sql, _ in _ARRAYS)
    last = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM stacks").scalar_one()
    driver: Any = connection.connection.driver_connection
    with driver.cursor(binary=True) as cursor:
        for start in range(0, last, _AT_ONCE):
            cursor.execute(
                f"SELECT {wanted} FROM stacks WHERE id > %s AND id <= %s",
                (start, start + _AT_ONCE),
            )
            answer = cursor.pgresult
            sent = [answer.get_value(0, index) for index in range(len(_ARRAYS))]
            if sent[0] is not None:
                yield {
                    name: _from_binary(value, kind)
                    for (name, _, kind), value in zip(_ARRAYS, sent, strict=True)
                } | _times(sent)


def _times(sent: list[bytes]) -> Columns:
    start_us, public_us = (_from_binary(sent[index], ">i8") for index in (2, 3))
    never = public_us == NEVER_US  # which is how infinity is sent
    return {
        "start_us": start_us + _EPOCH_2000_US,
        "public_us": np.where(never, NEVER_US, public_us + np.where(never, 0, _EPOCH_2000_US)),
    }


def _from_binary(sent: bytes, kind: str) -> NDArray[Any]:
    """An array of one dimension without NULL: five numbers, then length and value of each item."""
    items = np.frombuffer(sent, [("length", ">i4"), ("value", kind)], offset=20)
    value: NDArray[Any] = items["value"].astype(kind.replace(">", "<"))
    return value
