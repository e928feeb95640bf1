"""A 15-minute block: the frames that become one stack."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime

from crowdsky.frames.find import Skipped
from crowdsky.frames.frame_header import FrameHeader
from crowdsky.frames.names import safe_target
from crowdsky.frames.telescopes import TelescopeModel

__all__ = ["Block", "Grouping", "block_label"]


@dataclass(frozen=True, slots=True)
class Block:
    """Frames to be stacked together.

    Attributes
    ----------
    telescope_id : str
    telescope : TelescopeModel
    filter : str
    exposure_s, gain : float
        Gain is NaN where the headers give none.
    binning : int
    bayer : str
    geometry : tuple of int
        ``(nx, ny)`` in pixels.
    start_utc : datetime
        Start of the quarter hour, not of the first frame.
    chunk : int
        Number of the quarter hour in its UTC day, 0 to 95.
    target : str
        The most frequent OBJECT of the frames.
    ra_deg, dec_deg : float
        Mean pointing of the frames, ICRS; NaN if none has a position.
    headers : tuple of FrameHeader
        By time.
    name : str
        Tenth-degree name; empty if the position is not known.
    tile : str
        HEALPix name; empty if the position is not known.
    label : str
        Unique within one grouping, equal in every run on the same frames, safe as a file name.
    owner : str
        Whose frames these are, as the caller said.
    """

    telescope_id: str
    telescope: TelescopeModel
    filter: str
    exposure_s: float
    gain: float
    binning: int
    bayer: str
    geometry: tuple[int, int]
    start_utc: datetime
    chunk: int
    target: str
    ra_deg: float
    dec_deg: float
    headers: tuple[FrameHeader, ...]
    name: str
    tile: str
    label: str
    owner: str = ""

    @property
    def has_position(self) -> bool:
        """Whether the headers say where the telescope pointed."""
        return math.isfinite(self.ra_deg) and math.isfinite(self.dec_deg)


@dataclass(frozen=True, slots=True)
class Grouping:
    """The blocks of a pile of frames, and what is in none.

    Every header given is in exactly one block or in ``skipped`` once.

    Attributes
    ----------
    blocks : list of Block
        By time, then telescope, then position.
    skipped : list of Skipped
        Copies and on-board stacks.
    flagged : list of Skipped
        Frames that *are* in a block but deserve a look: another frame of the same telescope with
        other content began at the same time.
    """

    blocks: list[Block]
    skipped: list[Skipped]
    flagged: list[Skipped]


def block_label(block: Block) -> str:
    """A file name of everything that sets one block apart from the next.

    Files are shared, and a serial names somebody's device: it is represented by four digits of a
    hash, which keep two telescopes of one model apart.
    """
    where = block.name or f"{block.start_utc:%Y%m%d}.{block.chunk:02d}_{safe_target(block.target)}"
    parts = [
        where,
        _device(block),
        safe_target(block.filter) if block.filter else "",
    ]
    parts.append(f"{block.exposure_s:g}s")
    if math.isfinite(block.gain):
        parts.append(f"g{block.gain:g}")
    if block.binning != 1:
        parts.append(f"b{block.binning}")
    return "_".join(part for part in parts if part)


def _device(block: Block) -> str:
    model = safe_target(block.telescope.name)
    if block.telescope_id == block.telescope.name:
        return model
    return f"{model}-{hashlib.blake2b(block.telescope_id.encode(), digest_size=2).hexdigest()}"
