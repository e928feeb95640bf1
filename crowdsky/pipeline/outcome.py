"""What came of every frame, every block and a whole night, as plain facts.

The law that holds for each: every file found is in exactly one place, a block's ledger or the
skipped list, and a frame in a ledger is either used or rejected with a reason.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from crowdsky.frames import Block, Skipped

__all__ = ["BlockReport", "FrameOutcome", "NightReport"]


@dataclass(frozen=True, slots=True)
class FrameOutcome:
    """One line of a block's ledger.

    Attributes
    ----------
    file : str
    used : bool
    reason : str
        Why it was rejected; empty when used.
    start_utc : datetime or None
    n_stars : int
        Detections that look like stars.
    fwhm_px, elongation : float
        Of the median star.
    background_adu, noise_adu : float
        Of the green pixels.
    scale : float
        Factor on its fluxes.
    weight : float
        Share in the mean, one being the average frame's.
    rejected_fraction : float
        Share of its pixels rejected as outliers.
    shift_px, rotation_deg : float
        Of its centre, and of the frame, against the reference.
    """

    file: str
    used: bool
    reason: str = ""
    start_utc: datetime | None = None
    n_stars: int = 0
    fwhm_px: float = math.nan
    elongation: float = math.nan
    background_adu: float = math.nan
    noise_adu: float = math.nan
    scale: float = math.nan
    weight: float = 0.0
    rejected_fraction: float = math.nan
    shift_px: float = math.nan
    rotation_deg: float = math.nan


@dataclass(frozen=True, slots=True)
class BlockReport:
    """What came of one block.

    Attributes
    ----------
    label : str
        Stem of the block's files.
    name, tile, target, telescope, filter : str
        ``name`` to a tenth of a degree, ``tile`` by HEALPix, ``telescope`` with its serial.
    exposure_s, gain : float
    start_utc : datetime
        Start of the quarter hour.
    frames : tuple of FrameOutcome
    reason : str
        Why there is no stack; empty when there is.
    output, preview, thumbnail : str or None
        Files written.
    solution : dict
        Position, corners and evidence; empty when unsolved.
    quality : dict
        Figures of merit of the stack.
    fingerprint : str
        Of the frames and the recipe; a stack with the same one need not be made again.
    unchanged : bool
        The stack was there already.
    seconds : float
        Wall time it took.
    first_utc, end_utc : datetime or None
        Start of the first exposure in the stack and end of the last one; None without a stack.
    equatorial : bool or None
        Whether the mount was, None if the headers do not say.
    failure : str
        Class of the error behind `reason`: tells a block that cannot be stacked from a disk that
        is full.
    """

    label: str
    name: str
    tile: str
    target: str
    telescope: str
    filter: str
    exposure_s: float
    gain: float
    start_utc: datetime
    frames: tuple[FrameOutcome, ...]
    reason: str = ""
    output: str | None = None
    preview: str | None = None
    thumbnail: str | None = None
    solution: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    unchanged: bool = False
    seconds: float = 0.0
    first_utc: datetime | None = None
    end_utc: datetime | None = None
    equatorial: bool | None = None
    failure: str = ""

    @classmethod
    def of(cls, block: Block, frames: tuple[FrameOutcome, ...], **facts: Any) -> BlockReport:
        """Begin a report with what the block says of itself."""
        return cls(
            label=block.label,
            name=block.name,
            tile=block.tile,
            target=block.target,
            telescope=block.telescope_id,
            filter=block.filter,
            exposure_s=block.exposure_s,
            gain=block.gain,
            start_utc=block.start_utc,
            frames=frames,
            **facts,
        )

    @property
    def n_used(self) -> int:
        """Frames in the stack."""
        return sum(frame.used for frame in self.frames)

    def as_dict(self) -> dict[str, Any]:
        """Plain data; unknown numbers are None."""
        plain = asdict(self)
        frames, solution = plain.pop("frames"), plain.pop("solution")
        plain |= {
            "n_frames": len(frames),
            "n_used": self.n_used,
            "solved": bool(solution),
            "ra_deg": solution.get("ra_deg"),
            "dec_deg": solution.get("dec_deg"),
            "solution": solution or None,
            "frames": frames,
        }
        return _plain(plain)


@dataclass(frozen=True, slots=True)
class NightReport:
    """What came of a pile of files."""

    blocks: tuple[BlockReport, ...]
    skipped: tuple[Skipped, ...]
    flagged: tuple[Skipped, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data: ``blocks``, ``skipped`` and ``flagged``."""
        return {
            "blocks": [block.as_dict() for block in self.blocks],
            "skipped": [_skip(entry) for entry in self.skipped],
            "flagged": [_skip(entry) for entry in self.flagged],
        }


def _skip(entry: Skipped) -> dict[str, str]:
    return {"file": str(entry.file), "reason": entry.reason}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
