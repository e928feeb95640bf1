"""What the commands print: tables for people, strict JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from os import PathLike, fspath
from typing import Any

__all__ = ["format_dec", "format_ra", "format_table", "one_line", "strict_json"]


def strict_json(value: Any, *, indent: int | None = None) -> str:
    """JSON as RFC 8259 has it: NaN and infinities become ``null``, numpy scalars become numbers.

    Parameters
    ----------
    value : object
        Mappings, sequences, numbers, text, paths, datetimes and enums, nested as they may be.
    indent : int, optional
        Spaces a level; one line when omitted.

    Returns
    -------
    str

    Examples
    --------
    >>> strict_json({"rms": float("nan"), "n": 3})
    '{"rms": null, "n": 3}'
    """
    return json.dumps(_plain(value), allow_nan=False, indent=indent)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return _encodable(value) if isinstance(value, str) else value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, PathLike):
        return _encodable(fspath(value))
    if isinstance(value, Mapping):
        return {_encodable(str(key)): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return _plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [_plain(item) for item in value]
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def _encodable(text: str) -> str:
    # A file name may hold bytes that are not UTF-8; Python carries them as lone surrogates, which
    # no JSON reader accepts.
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str, limit: int = 200) -> str:
    """Text from a file, made safe for a terminal: control characters replaced, length bounded.

    Examples
    --------
    >>> one_line("M 94" + chr(27) + "[2J")
    'M 94�[2J'
    """
    safe = "".join(c if c.isprintable() else "�" for c in text)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Lay out an aligned table.

    Parameters
    ----------
    head : sequence of str
        Column titles.
    rows : sequence of sequences of str
        Cells, as many a row as there are titles.
    right : str
        One letter a column: ``r`` for flush right, anything else for flush left.

    Returns
    -------
    str
        Lines without trailing blanks.

    Examples
    --------
    >>> print(format_table(["name", "n"], [["M 94", "32"], ["M 31", "4"]], "lr"))
    name   n
    ----  --
    M 94  32
    M 31   4
    """
    cells = [[one_line(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    cells.insert(1, ["-" * width for width in widths])
    sides = right.ljust(len(head), "l")
    lines = (
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def format_ra(ra_deg: float) -> str:
    """Right ascension as ``hh mm ss.s``, rounded as a whole so that 60.0 s never shows.

    Examples
    --------
    >>> format_ra(192.721), format_ra(359.99999)
    ('12h50m53.0s', '00h00m00.0s')
    """
    tenths = round(ra_deg % 360.0 / 15.0 * 36000.0) % (24 * 36000)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}h{minutes:02d}m{tenths / 10:04.1f}s"


def format_dec(dec_deg: float) -> str:
    r"""Declination as ``±dd mm ss``, rounded as a whole so that 60 s never shows.

    Examples
    --------
    >>> format_dec(41.1202), format_dec(-0.0125)
    ('+41°07\'13"', '-00°00\'45"')
    """
    seconds = round(abs(dec_deg) * 3600.0)
    minutes, seconds = divmod(seconds, 60)
    degrees, minutes = divmod(minutes, 60)
    sign = "-" if dec_deg < 0 and (degrees or minutes or seconds) else "+"
    return f"{sign}{degrees:02d}°{minutes:02d}'{seconds:02d}\""
