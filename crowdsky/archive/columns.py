"""Column types that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, types
from sqlalchemy.dialects.postgresql import JSONB

__all__ = ["BIG_KEY", "PLAIN_JSON", "UtcTime"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: Keys of rows; SQLite numbers rows by itself only in a column that is called INTEGER.
BIG_KEY = BigInteger().with_variant(Integer(), "sqlite")

#: Plain data; never asked for in a WHERE.
PLAIN_JSON = JSON().with_variant(JSONB(), "postgresql")


class UtcTime(types.TypeDecorator[datetime]):
    """An aware time, to the microsecond.

    PostgreSQL keeps it as ``timestamptz``. SQLite has no type for times, so there it is the number
    of microseconds since 1970, which compares and indexes as what it is.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        """Choose the type of the column."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Write a time; one without a zone is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        if dialect.name == "sqlite":
            return (value - _EPOCH) // _MICROSECOND
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read a time; it is UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return _EPOCH + int(value) * _MICROSECOND
        return value.astimezone(UTC)
