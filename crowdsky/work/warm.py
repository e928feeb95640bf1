"""Everything that a first block would wait for, done before it comes.

Three frames of a few made-up stars go through the whole pipeline: that maps the catalogue and the
blind index and loads every compiled kernel, which no list of modules to import would do.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from crowdsky.frames import group_blocks, read_frame_header
from crowdsky.pipeline import stack_block
from crowdsky.stacking.fits_bytes import card_image

__all__ = ["small_frame", "warm_up"]

SIZE_PX = 320
N_STARS = 24


def warm_up() -> None:
    """Stack three small frames and forget them."""
    with tempfile.TemporaryDirectory(prefix="crowdsky-warm-") as name:
        folder = Path(name)
        begin = datetime(2025, 1, 1, tzinfo=UTC)
        paths = [
            small_frame(folder / f"{i}.fit", begin + timedelta(seconds=11 * i)) for i in range(3)
        ]
        headers = [read_frame_header(path) for path in paths]
        # The files differ in their times; there is no need to read them in order to tell.
        for block in group_blocks(headers, digest=str).blocks:
            stack_block(block, folder)


def small_frame(path: Path, start_utc: datetime, *, target: str = "warm-up") -> Path:
    """Write a frame of a few stars that drift with time.

    Parameters
    ----------
    path : Path
    start_utc : datetime
    target : str
        For OBJECT.

    Returns
    -------
    Path
        `path`.
    """
    shift_px = start_utc.timestamp() % 60 / 40
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    image = np.full((SIZE_PX, SIZE_PX), 1200.0)
    for x0, y0, peak in zip(
        rng.uniform(12, SIZE_PX - 12, N_STARS),
        rng.uniform(12, SIZE_PX - 12, N_STARS),
        rng.uniform(2e3, 3e4, N_STARS),
        strict=True,
    ):
        image += peak * np.exp(-((x - x0 - shift_px) ** 2 + (y - y0) ** 2) / (2 * 1.3**2))
    image += np.random.default_rng(int(start_utc.timestamp())).normal(0.0, 30.0, image.shape)
    cards = [
        ("SIMPLE", True),
        ("BITPIX", 16),
        ("NAXIS", 2),
        ("NAXIS1", SIZE_PX),
        ("NAXIS2", SIZE_PX),
        ("BZERO", 32768),
        ("BSCALE", 1),
        ("TELESCOP", "S50_00000000"),
        ("FILTER", "IRCUT"),
        ("EXPTIME", 10.0),
        ("GAIN", 80),
        ("BAYERPAT", "GRBG"),
        ("OBJECT", target),
        ("DATE-OBS", f"{start_utc:%Y-%m-%dT%H:%M:%S}"),
        ("RA", 83.8),
        ("DEC", -5.4),
    ]
    text = "".join(card_image(keyword, value, "") for keyword, value in cards) + f"{'END':<80}"
    header = (text + " " * (-len(text) % 2880)).encode("ascii")
    pixels = (np.clip(image, 0, 65535) - 32768).astype(">i2").tobytes()
    path.write_bytes(header + pixels + b"\0" * (-len(pixels) % 2880))
    return path
