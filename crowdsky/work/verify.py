"""A product is read again before anybody is told that it exists.

What is looked at are the bytes on the disk: every HDU's CHECKSUM (FITS standard 4.0, appendix J:
the ones' complement sum of an HDU that bears a right one is minus zero), the extensions there must
be, and the numbers of frames. Astropy could do that, at ten times the cost of the sums alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import StackError
from crowdsky.pipeline import BlockReport
from crowdsky.stacking.fits_bytes import ones_complement_sum

__all__ = ["EXTENSIONS", "Made", "verify_products", "verify_stack"]

EXTENSIONS = ("PRIMARY", "RED", "GREEN", "BLUE", "FOOTPRINT", "STAR-TAB")
BLOCK = 2880
CARD = 80
MINUS_ZERO = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was made and verified."""

    path: Path
    sha256: str
    n_bytes: int


def verify_products(report: BlockReport) -> tuple[Made, ...]:
    """Read a block's stack, preview and thumbnail again.

    Raises
    ------
    StackError
        If one cannot be read, or is not what it should be.
    """
    assert report.output is not None
    assert report.preview is not None
    assert report.thumbnail is not None
    stack = verify_stack(Path(report.output), n_frames=len(report.frames), n_used=report.n_used)
    pictures = (_verified_picture(Path(name)) for name in (report.preview, report.thumbnail))
    return (stack, *pictures)


def verify_stack(path: Path, *, n_frames: int, n_used: int) -> Made:
    """Check a stack's structure, checksums and counts.

    Parameters
    ----------
    path : Path
    n_frames, n_used : int
        What NFRAMES and NIMAGES must say.

    Raises
    ------
    StackError
    """
    octets = _read(path)
    names, offset = [], 0
    first: dict[str, str] = {}
    while offset < len(octets):
        cards, data_at = _cards(octets, offset, path)
        end = data_at + _data_bytes(cards)
        if end > len(octets):
            raise StackError("the product is cut short", file=path.name, n_bytes=len(octets))
        name = cards.get("EXTNAME", "'PRIMARY'").strip("' ")
        if ones_complement_sum(octets[offset:end]) != MINUS_ZERO:
            raise StackError("the product's CHECKSUM is wrong", file=path.name, value=name)
        names.append(name)
        first = first or cards
        offset = end
    if tuple(names) != EXTENSIONS:
        raise StackError(
            f"the product's extensions are {', '.join(EXTENSIONS)}", file=path.name, value=names
        )
    for keyword, number in (("NFRAMES", n_frames), ("NIMAGES", n_used)):
        if first.get(keyword) != str(number):
            raise StackError(
                f"the product's {keyword} is {number}", file=path.name, value=first.get(keyword)
            )
    return Made(path, hashlib.sha256(octets.data).hexdigest(), len(octets))


def _verified_picture(path: Path) -> Made:
    from PIL import Image, UnidentifiedImageError

    octets = _read(path)
    try:
        with Image.open(path) as picture:
            picture.verify()
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise StackError(f"the picture cannot be read ({error})", file=path.name) from error
    return Made(path, hashlib.sha256(octets.data).hexdigest(), len(octets))


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        reason = error.strerror or error
        raise StackError(f"the product cannot be read ({reason})", file=path.name) from error


def _cards(octets: NDArray[np.uint8], offset: int, path: Path) -> tuple[dict[str, str], int]:
    """Cards of the header at an offset, as text, and where its data begin."""
    cards: dict[str, str] = {}
    for at in range(offset, len(octets), CARD):
        text = octets[at : at + CARD].tobytes().decode("ascii", "replace")
        keyword = text[:8].rstrip()
        if keyword == "END":
            return cards, at + CARD + (-(at + CARD) % BLOCK)
        if text[8:10] == "= ":
            cards[keyword] = text[10:].split("/")[0].strip()
    raise StackError("the product has a header without an end", file=path.name)


def _data_bytes(cards: dict[str, str]) -> int:
    n_axes = int(cards.get("NAXIS", "0"))
    if n_axes == 0:
        return 0
    size = abs(int(cards["BITPIX"])) // 8
    for axis in range(1, n_axes + 1):
        size *= int(cards[f"NAXIS{axis}"])
    return size + (-size % BLOCK)
