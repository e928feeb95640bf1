"""What lies beside the stacks in a download: manifest.csv, README.txt and CITATION.txt."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["COLUMNS", "ManifestRow", "citation", "file_name", "guarded", "manifest_csv", "readme"]

#: Columns of manifest.csv, in this order.
COLUMNS = (
    "file",
    "status",
    "sha256",
    "n_bytes",
    "stack_id",
    "target",
    "telescope",
    "filter",
    "exposure_s",
    "exposure_total_s",
    "n_used",
    "start_utc",
    "end_utc",
    "ra_deg",
    "dec_deg",
    "observer",
    "licence",
)

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A stack of a download, as far as it is known; see `crowdsky.archive.models.StackRow`.

    Attributes
    ----------
    file : str
        Its name in the archive; empty where it is not there.
    status : str
        ``ok``, or why the stack is missing.
    observer : str
        Whom to give credit.
    """

    stack_id: int
    file: str = ""
    status: str = "ok"
    sha256: str = ""
    n_bytes: int | None = None
    target: str = ""
    telescope: str = ""
    filter: str = ""
    exposure_s: float | None = None
    exposure_total_s: float | None = None
    n_used: int | None = None
    start_utc: datetime | None = None
    end_utc: datetime | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    observer: str = ""
    licence: str = ""


def file_name(label: str, stack_id: int) -> str:
    """A name in the archive that every system can write, and that no two stacks share.

    Examples
    --------
    >>> file_name("../M 94 — IRCUT", 7)
    'stacks/M_94_IRCUT_7.fits'
    """
    stem = _UNSAFE.sub("_", label).strip("._-")[:100] or "stack"
    return f"stacks/{stem}_{stack_id}.fits"


def guarded(text: str) -> str:
    """Text for a cell of a table that a spreadsheet will not take for a formula.

    Examples
    --------
    >>> guarded("=cmd()"), guarded("M 94")
    ("'=cmd()", 'M 94')
    """
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def manifest_csv(rows: Iterable[ManifestRow]) -> str:
    """The table of what was asked for: RFC 4180, UTF-8, a header line."""
    text = io.StringIO()
    writer = csv.writer(text)  # lines end in CRLF
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return guarded("".join(c if c.isprintable() else " " for c in value))
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return repr(value)


def readme(rows: Sequence[ManifestRow], title: str, created_utc: datetime) -> str:
    """What is in the archive, for a person who opens it years later."""
    there = [row for row in rows if row.file]
    missing = [row for row in rows if not row.file]
    lines = [
        "CrowdSky: stacks of Seestar telescopes",
        "",
        f"Selection: {_line(title) or 'a list of stacks'}",
        f"Made: {created_utc.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        f"Stacks: {len(there)}, {sum(row.n_bytes or 0 for row in there)} bytes",
        "",
        "stacks/*.fits   one stack each: extensions RED, GREEN, BLUE (float32, adu of a sub),",
        "                FOOTPRINT (frames that cover a pixel) and STAR-TAB (stars, Gaia matches)",
        "manifest.csv    every stack of the selection, with its SHA-256, position and time",
        "CITATION.txt    whom to give credit, and under which licence",
        "",
        "A text in manifest.csv that a spreadsheet would take for a formula begins with a ' that",
        "is not part of it. Sites are rounded to 0.1 degree, and serial numbers are left out.",
    ]
    if missing:
        lines += ["", f"MISSING: {len(missing)} stacks were asked for and are not here:"]
        lines += [f"  stack {row.stack_id}: {row.status}" for row in missing[:100]]
        if len(missing) > 100:
            lines.append("  ... all of them are in manifest.csv")
    return "\n".join(lines) + "\n"


def citation(rows: Iterable[ManifestRow]) -> str:
    """Whom to credit for what, a line for each observer and licence."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.file:
            who = (_line(row.observer), _line(row.licence))
            counts[who] = counts.get(who, 0) + 1
    lines = [
        "If you use these stacks, please name their observers and keep to their licences:",
        "",
    ]
    for (observer, licence), number in sorted(counts.items()):
        stacks = "1 stack" if number == 1 else f"{number} stacks"
        lines.append(f"{observer}: {stacks}, {licence}")
    lines += [
        "",
        "Stacked by CrowdSky. Positions and magnitudes come from Gaia DR3 (ESA/Gaia/DPAC) and",
        "Tycho-2.",
    ]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()
