"""FITS files for tests, byte by byte: what a test wants to break, it can."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from crowdsky.frames import TELESCOPES, FrameHeader, MountMode, Pointing

BLOCK = 2880
START = datetime(2025, 3, 27, 1, 20, 32, 955368, tzinfo=UTC)

# The cards of a raw sub of an S50 at firmware 4.27; small, for speed.
SUB_CARDS: dict[str, object] = {
    "SIMPLE": True,
    "BITPIX": 16,
    "NAXIS": 2,
    "NAXIS1": 32,
    "NAXIS2": 48,
    "EXTEND": True,
    "BZERO": 32768,
    "BSCALE": 1,
    "CREATOR": "ZWO Seestar S50",
    "FOCALLEN": 250,
    "PROGRAM": "4.27",
    "XBINNING": 1,
    "XPIXSZ": 2.90000009536743,
    "IMAGETYP": "Light",
    "EXPOSURE": 10.0,
    "EXPTIME": 10.0,
    "CCD-TEMP": 25.125,
    "RA": 193.04166,
    "DEC": 40.970556,
    "SITELONG": -79.7625,
    "SITELAT": 32.8965,
    "DATE-OBS": "2025-03-27T01:20:32.955368",
    "FILTER": "IRCUT",
    "INSTRUME": "Seestar S50",
    "BAYERPAT": "GRBG",
    "GAIN": 80,
    "TELESCOP": "S50_1d3fe189",
    "OBJECT": "M 94",
    "TOTALEXP": 10.0,
}


def card(keyword: str, value: object) -> bytes:
    """One card; bytes are taken as the raw value field."""
    if isinstance(value, bytes):
        field = value.decode("latin-1")
    elif isinstance(value, bool):
        field = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        field = "'" + value.replace("'", "''").ljust(8) + "'"
    else:
        field = f"{value!r:>20}".upper()
    text = f"{keyword:<8}= {field}".ljust(80)
    assert len(text) == 80, text
    return text.encode("latin-1")


def long_card(keyword: str, text: str, width: int = 30) -> bytes:
    """Text of any length by way of CONTINUE cards."""
    parts = [text[i : i + width] for i in range(0, len(text), width)] or [""]
    fields = ["'" + part.replace("'", "''") + "&'" for part in parts[:-1]]
    fields.append("'" + parts[-1].replace("'", "''") + "'")
    lines = [f"{keyword:<8}= {fields[0]}", *(f"CONTINUE  {field}" for field in fields[1:])]
    return "".join(line.ljust(80) for line in lines).encode("ascii")


def header_bytes(cards: Mapping[str, object], *extra: bytes, end: bytes | None = None) -> bytes:
    """A header block; a value of ``None`` leaves the card out."""
    end = b"END".ljust(80) if end is None else end
    parts = [card(key, value) for key, value in cards.items() if value is not None]
    raw = b"".join([*parts, *extra, end])
    return raw.ljust(-(-len(raw) // BLOCK) * BLOCK)


def sub_bytes(
    *extra: bytes, pixels: np.ndarray | None = None, end: bytes | None = None, **changed: object
) -> bytes:
    """A whole raw sub. Keywords with a dash are spelled with an underscore."""
    cards = {**SUB_CARDS, **{key.replace("_", "-"): value for key, value in changed.items()}}
    if pixels is not None:
        cards["NAXIS2"], cards["NAXIS1"] = pixels.shape
    else:
        shape = (48, 32)
        pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape) * 16
    stored = (pixels.astype(np.int32) - 32768).astype(">i2").tobytes()
    return header_bytes(cards, *extra, end=end) + stored.ljust(
        -(-len(stored) // BLOCK) * BLOCK, b"\0"
    )


def write_sub(path: Path, *extra: bytes, **changed: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sub_bytes(*extra, **changed))
    return path


def make_header(
    name: str = "a.fit",
    *,
    after_s: float = 0.0,
    ra_deg: float | None = 193.0,
    dec_deg: float = 41.0,
    model: str = "S50",
    start: datetime = START,
    **changed: object,
) -> FrameHeader:
    """A header that no file stands behind."""
    telescope = TELESCOPES[model]
    start = start + timedelta(seconds=after_s)
    facts: dict[str, object] = {
        "path": Path(name),
        "nx": telescope.nx,
        "ny": telescope.ny,
        "n_planes": 1,
        "bitpix": 16,
        "bzero": 32768.0,
        "bscale": 1.0,
        "data_offset": 5760,
        "file_bytes": 4152960,
        "telescope": telescope,
        "telescope_id": f"{model}_1d3fe189",
        "firmware": "4.27",
        "filter": "IRCUT",
        "exposure_s": 10.0,
        "gain": 80.0,
        "binning": 1,
        "bayer": "GRBG",
        "start_utc": start,
        "target": "M 94",
        "mount": MountMode.UNKNOWN,
        "n_stacked": 1,
        "pointing": None if ra_deg is None else Pointing(ra_deg, dec_deg, start),
        "site_lat_deg": 32.9,
        "site_lon_deg": -79.8,
        "ccd_temp_c": 25.0,
    }
    return FrameHeader(**{**facts, **changed})  # type: ignore[arg-type]
