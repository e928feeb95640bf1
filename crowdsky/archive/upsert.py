"""Rows that two sides may make at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crowdsky.archive.models import Base

__all__ = ["insert_all_new", "insert_if_new"]


def insert_if_new(
    session: Session,
    model: type[Base],
    unique: tuple[str, ...],
    values: dict[str, Any],
    *,
    where: str | None = None,
) -> int | None:
    """Insert a row unless one with the same unique columns is there.

    Where another transaction is just inserting it, its end is waited for.

    Parameters
    ----------
    session : Session
    model : type
        A table with the key ``id``.
    unique : tuple of str
        The columns of a unique constraint.
    values : dict
        By column; defaults of the model are filled in.
    where : str, optional
        The condition of the unique index, if it is one of some rows only.

    Returns
    -------
    int or None
        The key of the new row, ``None`` if there was one.
    """
    table: Any = model.__table__
    statement = (
        _insert(session, table)
        .values(**values)
        .on_conflict_do_nothing(
            index_elements=list(unique), index_where=None if where is None else text(where)
        )
        .returning(table.c.id)
    )
    key: int | None = session.execute(statement).scalar_one_or_none()
    return key


def insert_all_new(
    session: Session, model: type[Base], unique: tuple[str, ...], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert those rows that are not there yet; `insert_if_new` for many, without their keys."""
    if rows:
        table: Any = model.__table__
        statement = _insert(session, table).on_conflict_do_nothing(index_elements=list(unique))
        session.execute(statement, list(rows))


def _insert(session: Session, table: Any) -> Any:
    """An INSERT that knows ON CONFLICT; the two dialects share its syntax, not its class."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
