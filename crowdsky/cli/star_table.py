"""Read a bare star list: a CSV table with the columns x, y and flux."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np

from crowdsky.errors import UnreadableFrame
from crowdsky.stars.star_list import StarList

__all__ = ["parse_size", "read_star_table"]

COLUMNS = ("x", "y", "flux")
MAX_BYTES = 32 * 1024 * 1024
MAX_ROWS = 200_000
_SIZE = re.compile(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", re.IGNORECASE)


def parse_size(text: str) -> tuple[int, int]:
    """Read an image's size as people write it, width first.

    Parameters
    ----------
    text : str
        ``WIDTHxHEIGHT`` in pixels.

    Returns
    -------
    tuple of int
        ``(ny, nx)``, as arrays have it.

    Raises
    ------
    ValueError
        If the text is not of that form.

    Examples
    --------
    >>> parse_size("1080x1920")
    (1920, 1080)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write WIDTHxHEIGHT, as in 1080x1920")
    return int(match[2]), int(match[1])


def read_star_table(path: Path, shape: tuple[int, int]) -> StarList:
    """Read a star list.

    Parameters
    ----------
    path : Path
        A CSV file. Its first row names the columns, in any order and case; of them ``x`` and ``y``
        (0-based pixels) and ``flux`` (any linear unit) are read.
    shape : tuple of int
        ``(ny, nx)`` of the image.

    Returns
    -------
    StarList
        Sorted by falling flux.

    Raises
    ------
    UnreadableFrame
        Naming the file, the value and the rule it breaks.
    """
    rows = _rows(path)
    if not rows:
        raise UnreadableFrame("the star list is empty", file=path)
    where = _columns(path, rows[0])
    values = np.empty((len(rows) - 1, 3))
    for i, row in enumerate(rows[1:]):
        for j, column in enumerate(where):
            values[i, j] = _number(path, row, column, i + 2)
    order = np.argsort(-values[:, 2], kind="stable")
    x_px, y_px, flux_adu = np.ascontiguousarray(values[order].T)
    return StarList(x_px=x_px, y_px=y_px, flux_adu=flux_adu, shape=shape)


def _rows(path: Path) -> list[list[str]]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UnreadableFrame(
                f"a star list has at most {MAX_BYTES} bytes", file=path, value=size
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except OSError as error:
        raise UnreadableFrame(error.strerror or "cannot be read", file=path) from error
    except UnicodeDecodeError as error:
        raise UnreadableFrame("a star list is text in UTF-8", file=path) from error
    except csv.Error as error:
        raise UnreadableFrame(f"not a CSV table ({error})", file=path) from error
    if len(rows) > MAX_ROWS + 1:
        raise UnreadableFrame(
            f"a star list has at most {MAX_ROWS} rows", file=path, value=len(rows) - 1
        )
    return rows


def _columns(path: Path, head: list[str]) -> list[int]:
    names = [cell.strip().lower() for cell in head]
    absent = [name for name in COLUMNS if name not in names]
    if absent:
        raise UnreadableFrame(
            f"the first row must name the columns x, y and flux; {', '.join(absent)} not there",
            file=path,
            value=",".join(head),
        )
    return [names.index(name) for name in COLUMNS]


def _number(path: Path, row: list[str], column: int, line: int) -> float:
    text = row[column].strip() if column < len(row) else ""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UnreadableFrame(f"row {line} must hold finite numbers", file=path, value=repr(text))
    return number
