"""Plain data as JSON: times with a Z, and null for what no number is."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from fastapi.responses import JSONResponse

__all__ = ["MAX_ID", "json_answer", "plain", "plain_time"]

#: The largest key of a row.
MAX_ID = 2**63 - 1


def plain_time(moment: datetime | None) -> str | None:
    """A time in ISO 8601 with a Z.

    Examples
    --------
    >>> plain_time(datetime(2026, 5, 1, 22, 30, tzinfo=UTC))
    '2026-05-01T22:30:00Z'
    """
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Data that JSON can hold.

    Examples
    --------
    >>> plain({"fwhm_px": float("nan"), "n": 3})
    {'fwhm_px': None, 'n': 3}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return plain_time(value)
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    return value


def json_answer(
    data: Any, status: int = 200, headers: dict[str, str] | None = None
) -> JSONResponse:
    """An answer of plain data."""
    return JSONResponse(plain(data), status, headers)
