"""DATE-OBS into UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["EARLIEST_START", "LATEST_START", "parse_start_utc"]

EARLIEST_START = datetime(2020, 1, 1, tzinfo=UTC)
"""Before the first Seestar; earlier dates come from a clock that was never set."""
LATEST_START = datetime(2060, 1, 1, tzinfo=UTC)
"""A fixed bound rather than 'now', so that the same file is always judged alike."""

_DATE_OBS = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{0,12}))?\s*(Z|[+-]\d\d:?\d\d)?"
)


def parse_start_utc(text: str) -> datetime:
    """Turn the value of a DATE-OBS card into an aware UTC time.

    Parameters
    ----------
    text : str
        ``YYYY-MM-DDThh:mm:ss[.ffffff]``, optionally with ``Z`` or an offset such as ``+02:00``.
        Without either it is UTC (FITS Standard 4.0, section 9). ``24:00:00`` is the next midnight.
        A leap second ``23:59:60.x`` is read as ``00:00:00.x`` of the next day, as the clock of a
        telescope that knows no leap seconds would show it.

    Raises
    ------
    ValueError
        With a plain reason: not such a time, no such day or hour, or outside 2020 to 2059.
    """
    match = _DATE_OBS.fullmatch(text.strip())
    if match is None:
        raise ValueError("DATE-OBS is a date and time, YYYY-MM-DDThh:mm:ss")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    microsecond = int((match[7] or "0").ljust(6, "0")[:6])
    extra = timedelta(0)
    if (hour, minute, second, microsecond) == (24, 0, 0, 0):
        hour, extra = 0, timedelta(days=1)
    leap = second == 60
    if leap:
        second, extra = 59, timedelta(seconds=1)
    try:
        start = datetime(year, month, day, hour, minute, second, microsecond, _zone(match[8]))
        start = (start + extra).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("DATE-OBS names no such day, hour or offset") from error
    if leap and (start.hour, start.minute, start.second) != (0, 0, 0):
        raise ValueError("a leap second ends a UTC day, 23:59:60")
    if not EARLIEST_START <= start < LATEST_START:
        raise ValueError(
            f"DATE-OBS lies between {EARLIEST_START.year} and {LATEST_START.year - 1}; "
            "the clock of the telescope was probably not set"
        )
    return start


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[2:]) > 59 or offset > timedelta(hours=14):
        raise ValueError("no such offset")
    return timezone(-offset if text[0] == "-" else offset)
