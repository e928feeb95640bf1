"""Nights of frames for the upload agent: of real size, as a telescope's folders hold them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np

from tests.frames.fits_files import START, sub_bytes

SIZE = (1920, 1080)


@cache
def _pixels(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 60_000, shape, dtype=np.uint16)


def frame(seed: int, shape: tuple[int, int] = SIZE, **cards: object) -> bytes:
    """A frame of its own content, 10 s after the one before."""
    pixels = np.roll(_pixels(shape), seed, axis=0)
    start = (START + timedelta(seconds=10 * seed)).isoformat().removesuffix("+00:00")
    return sub_bytes(pixels=pixels, DATE_OBS=start, **cards)


def write_night(folder: Path, count: int, *, first: int = 0, shape: tuple[int, int] = SIZE) -> None:
    """`count` frames below `folder`, with the pictures that a telescope puts beside them."""
    subs = folder / "M 94_sub"
    subs.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        stem = f"Light_M 94_10.0s_IRCUT_20250327-{number:06d}"
        (subs / f"{stem}.fit").write_bytes(frame(number, shape))
        if number < first + 3:
            (subs / f"{stem}.jpg").write_bytes(b"\xff\xd8\xff picture")
            (subs / f"{stem}_thn.jpg").write_bytes(b"\xff\xd8\xff thumbnail")


def hashes(folder: Path) -> list[str]:
    """SHA-256 of every frame below a folder, sorted."""
    found = [hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.fit")]
    return sorted(found)
