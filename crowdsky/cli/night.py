"""The report of a night of stacks, laid out for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crowdsky.cli.output import format_dec, format_ra, format_table, one_line

__all__ = ["night_table"]


def night_table(report: Mapping[str, Any]) -> str:
    """Lay out what ``NightReport.as_dict()`` says: one line a block, then the reasons.

    Parameters
    ----------
    report : mapping
        With ``blocks`` and ``skipped`` as in the JSON of ``crowdsky stack``.

    Returns
    -------
    str
    """
    blocks = report["blocks"]
    parts = []
    if blocks:
        parts.append(
            format_table(
                ["block", "target", "telescope", "filter", "exp s", "used", "RA", "Dec", "preview"],
                [_row(block) for block in blocks],
                "llllrrrrl",
            )
        )
    parts.extend(_rejections(blocks))
    parts.extend(_skips(report["skipped"]))
    stacked = sum(bool(block["output"]) for block in blocks)
    frames = sum(block["n_frames"] for block in blocks)
    used = sum(block["n_used"] for block in blocks)
    parts.append(
        f"{stacked} of {len(blocks)} blocks stacked, {used} of {frames} frames used, "
        f"{len(report['skipped'])} files skipped"
    )
    return "\n".join(parts)


def _row(block: Mapping[str, Any]) -> list[str]:
    solved = block["ra_deg"] is not None and block["dec_deg"] is not None
    return [
        str(block["name"]),
        str(block["target"]),
        str(block["telescope"]),
        str(block["filter"]),
        f"{block['exposure_s']:g}",
        f"{block['n_used']}/{block['n_frames']}",
        format_ra(block["ra_deg"]) if solved else "-",
        format_dec(block["dec_deg"]) if solved else "-",
        _shown_path(block["preview"]) if block["preview"] else "-",
    ]


def _rejections(blocks: list[Mapping[str, Any]]) -> list[str]:
    reasons = Counter(
        str(frame["reason"]) for block in blocks for frame in block["frames"] if not frame["used"]
    )
    return [f"rejected {count:>4}  {one_line(reason)}" for reason, count in reasons.most_common(8)]


def _skips(skipped: list[Any]) -> list[str]:
    reasons = Counter(str(entry["reason"]) for entry in skipped)
    return [f"skipped  {count:>4}  {one_line(reason)}" for reason, count in reasons.most_common(8)]


def _shown_path(path: str | Path) -> str:
    """A path as short as it can be and still be opened from here."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
