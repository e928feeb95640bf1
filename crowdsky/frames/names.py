"""The names that published tools give a 15-minute block, and text made safe for a path.

Neither name is unique: telescope, filter, exposure and owner are not in it, and a small dither can
change it. They label a block; they do not identify it.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from crowdsky.frames.healpix import ring_index

__all__ = [
    "BLOCK_S",
    "HEALPIX_NSIDE",
    "block_start",
    "chunk_of_day",
    "healpix_index",
    "healpix_name",
    "safe_target",
    "tenth_degree_name",
]

BLOCK_S = 900
"""Length of a block in seconds; 96 make a UTC day."""
HEALPIX_NSIDE = 128
"""Resolution of the tile names (RING order), tiles of 0.46 degrees."""

_UNSAFE = re.compile(r"[^A-Za-z0-9.+-]+")
# Device names that Windows takes in any folder, with any extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def chunk_of_day(time_utc: datetime) -> int:
    """Number of the 15-minute block of a UTC day, 0 to 95.

    Raises
    ------
    ValueError
        A time without a time zone.
    """
    time = _utc(time_utc)
    return (time.hour * 3600 + time.minute * 60 + time.second) // BLOCK_S


def block_start(time_utc: datetime) -> datetime:
    """Start of the block that a time falls in, UTC."""
    time = _utc(time_utc)
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(seconds=BLOCK_S * chunk_of_day(time))


def tenth_degree_name(time_utc: datetime, ra_deg: float, dec_deg: float) -> str:
    """``YYYYMMDD.CC_RRR.R_sDD.D``.

    Parameters
    ----------
    time_utc : datetime
        Any time in the block, aware.
    ra_deg, dec_deg : float
        ICRS, degrees. 359.97 becomes ``000.0`` and -0.04 becomes ``+00.0``.

    Returns
    -------
    str
        Empty if the position is not known (not finite).

    Examples
    --------
    >>> from datetime import datetime, timezone
    >>> tenth_degree_name(datetime(2025, 3, 27, 1, 20, tzinfo=timezone.utc), 359.97, -0.04)
    '20250327.05_000.0_+00.0'
    """
    stem = _stem(time_utc)
    if not _is_position(ra_deg, dec_deg):
        return ""
    ra, dec = f"{ra_deg % 360.0:05.1f}", f"{dec_deg:+05.1f}"
    ra = "000.0" if ra == "360.0" else ra
    dec = "+00.0" if dec == "-00.0" else dec
    return f"{stem}_{ra}_{dec}"


def healpix_index(ra_deg: float, dec_deg: float) -> int:
    """Index of the HEALPix pixel (RING, NSIDE 128) that holds an ICRS position in degrees.

    Raises
    ------
    ValueError
        No position (not finite, or no declination).
    """
    if not _is_position(ra_deg, dec_deg):
        raise ValueError(f"no position: RA {ra_deg}, Dec {dec_deg}")
    return ring_index(HEALPIX_NSIDE, ra_deg, dec_deg)


def healpix_name(time_utc: datetime, ra_deg: float, dec_deg: float) -> str:
    """``YYYYMMDD.CC_HPnnnnnn``.

    Parameters
    ----------
    time_utc : datetime
        Any time in the block, aware.
    ra_deg, dec_deg : float
        ICRS, degrees.

    Returns
    -------
    str
        Empty if the position is not known. Other tools also write ``HP000000`` for 'unknown'; here
        it only ever means the pixel at the north pole.
    """
    stem = _stem(time_utc)
    if not _is_position(ra_deg, dec_deg):
        return ""
    return f"{stem}_HP{healpix_index(ra_deg, dec_deg):06d}"


def safe_target(text: str, limit: int = 40) -> str:
    """Make a target's name usable as one part of a path on every system.

    Parameters
    ----------
    text : str
        An OBJECT card; anything.
    limit : int
        Longest result in characters.

    Returns
    -------
    str
        Letters, digits and ``. + - _`` of ASCII; never empty, never starting with a dot or a dash,
        never a reserved device name.

    Examples
    --------
    >>> safe_target("M 94"), safe_target("../../etc/passwd"), safe_target("..")
    ('M_94', 'etc_passwd', 'unnamed')
    """
    name = _UNSAFE.sub("_", text).strip("._-+")[:limit].rstrip("._-+")
    # 'a..b' is harmless, yet programs that look for '..' need not stumble over it.
    name = re.sub(r"\.{2,}", ".", name)
    if _RESERVED.fullmatch(name):
        name = f"target_{name}"[:limit]
    return name or "unnamed"


def _is_position(ra_deg: float, dec_deg: float) -> bool:
    return math.isfinite(ra_deg) and math.isfinite(dec_deg) and abs(dec_deg) <= 90.0


def _stem(time_utc: datetime) -> str:
    return f"{_utc(time_utc):%Y%m%d}.{chunk_of_day(time_utc):02d}"


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a time without a time zone names no block")
    return time.astimezone(UTC)
