"""What all tables share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Float, MetaData
from sqlalchemy.orm import DeclarativeBase

from crowdsky.archive.columns import PLAIN_JSON, UtcTime

__all__ = ["NUMBERS_ONCE", "Base", "one_of"]

#: No row gets the number of one that is gone, which SQLite else does with the highest: a late
#: second click on "delete" must not reach a newer row. PostgreSQL's sequences never go back.
NUMBERS_ONCE = {"sqlite_autoincrement": True}


class Base(DeclarativeBase):
    """What all tables share: constraints have names, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's form
        datetime: UtcTime,
        dict[str, Any]: PLAIN_JSON,
        list[Any]: PLAIN_JSON,
        float: Float(53),
    }


def one_of(column: str, *states: str) -> CheckConstraint:
    """A constraint: the column holds one of these texts."""
    listing = ", ".join(f"'{state}'" for state in states)
    return CheckConstraint(f"{column} IN ({listing})", name=column)
