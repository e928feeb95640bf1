"""From what the pipeline reports to what the archive keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crowdsky.archive.commit import NewStack
from crowdsky.archive.ledger_rows import FrameResult, FrameToStack
from crowdsky.archive.models import BlockRow
from crowdsky.archive.plain_header import header_from_plain
from crowdsky.frames import Block
from crowdsky.frames.names import chunk_of_day, tenth_degree_name
from crowdsky.pipeline import BlockReport, FrameOutcome
from crowdsky.work.verify import Made

__all__ = ["block_of", "frame_results", "licence_cards", "new_stack", "without_paths"]

_NO_FIGURES = ("file", "used", "reason", "weight", "start_utc")
_UTC_NONE = "a stack has a first and a last exposure"


def block_of(row: BlockRow, frames: Sequence[FrameToStack], paths: Mapping[int, Path]) -> Block:
    """The block of a row, its frames being files of this machine.

    Parameters
    ----------
    row : BlockRow
    frames : sequence of FrameToStack
        One or more.
    paths : mapping of int to Path
        Each frame's file, by the frame's id.
    """
    headers = tuple(header_from_plain(frame.header, paths[frame.frame_id]) for frame in frames)
    return Block(
        telescope_id=headers[0].telescope_id,
        telescope=headers[0].telescope,
        filter=row.filter,
        exposure_s=row.exposure_s,
        gain=math.nan if row.gain is None else row.gain,
        binning=row.binning,
        bayer=row.bayer,
        geometry=(row.nx, row.ny),
        start_utc=row.start_utc,
        chunk=chunk_of_day(row.start_utc),
        target=row.target,
        ra_deg=math.nan if row.ra_deg is None else row.ra_deg,
        dec_deg=math.nan if row.dec_deg is None else row.dec_deg,
        headers=headers,
        name=row.name,
        tile=row.tile,
        label=row.label,
    )


def licence_cards(licence: str, credit: str) -> tuple[tuple[str, Any, str], ...]:
    """Cards that carry the observer's terms into each product."""
    cards = [("LICENSE", licence, "terms of use"), ("CREDIT", credit, "whom to name")]
    return tuple(card for card in cards if card[1])


def frame_results(
    report: BlockReport, frames: Sequence[FrameToStack], folder: Path
) -> tuple[FrameResult, ...]:
    """The ledger of a block by the ids of its frames, which are in the order of the report."""
    return tuple(
        FrameResult(
            frame_id=frame.frame_id,
            used=outcome.used,
            reason=without_paths(outcome.reason, folder, {outcome.file: frame.name}),
            weight=float(outcome.weight) if outcome.used else 0.0,
            figures=_figures(outcome),
        )
        for frame, outcome in zip(frames, report.frames, strict=True)
    )


def without_paths(text: str, folder: Path, names: Mapping[str, str] | None = None) -> str:
    """A reason as its reader knows the files: by the names they were sent with, without folders."""
    for path, name in (names or {}).items():
        text = text.replace(path, name)
    return text.replace(f"{folder}/", "").replace(str(folder), "the work folder")


def new_stack(
    report: BlockReport,
    block: Block,
    made: Sequence[Made],
    results: Sequence[FrameResult],
) -> NewStack:
    """What the archive is told of a stack.

    Parameters
    ----------
    report : BlockReport
        Of a block that gave a stack.
    block : Block
    made : sequence of Made
        The stack, its preview, its thumbnail.
    results : sequence of FrameResult
    """
    stack, preview, thumbnail = made
    solution, quality = report.solution, report.quality
    if report.first_utc is None or report.end_utc is None:
        raise ValueError(_UTC_NONE)
    ra_deg, dec_deg = _number(solution.get("ra_deg")), _number(solution.get("dec_deg"))
    if ra_deg is None and block.has_position:
        ra_deg, dec_deg = block.ra_deg, block.dec_deg
    name = report.name
    if not name and ra_deg is not None and dec_deg is not None:
        name = tenth_degree_name(block.start_utc, ra_deg, dec_deg)
    return NewStack(
        sha256=stack.sha256,
        preview_sha256=preview.sha256,
        thumbnail_sha256=thumbnail.sha256,
        n_bytes=stack.n_bytes,
        label=report.label,
        name=name,
        target=report.target,
        model=block.telescope.name,
        filter=report.filter,
        exposure_s=report.exposure_s,
        exposure_total_s=float(quality["exposure_total_s"]),
        start_utc=report.first_utc,
        end_utc=report.end_utc,
        solved=bool(solution),
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        scale_arcsec_per_px=_number(solution.get("scale_arcsec_per_px")),
        rotation_deg=_number(solution.get("rotation_deg")),
        corners=_plain(solution.get("corners")),
        fwhm_px=_number(quality["fwhm_px"][1]),
        n_stars=int(quality["n_stars"]),
        zero_point_mag=_number(quality["zero_point_mag"]),
        sky_adu=_number(quality["sky_level_adu"][1]),
        equatorial=report.equatorial,
        quality=_plain({**quality, "solution": solution, "seconds": report.seconds}),
        frames=tuple(results),
    )


def _figures(outcome: FrameOutcome) -> dict[str, Any]:
    figures: dict[str, Any] = asdict(outcome)
    return _plain({key: value for key, value in figures.items() if key not in _NO_FIGURES})


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _plain(value: Any) -> Any:
    """As JSON can hold it: unknown numbers are None, and none of them is numpy's."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
