"""What the cards of a Seestar frame mean.

Every dialect and every odd value has one rule:

=============  =================================================================================
card           rule
=============  =================================================================================
TELESCOP       model by prefix; else by INSTRUME, else by CREATOR; else 'unknown', with the scale
               that FOCALLEN and XPIXSZ give. The text behind ``'S50_'`` is the serial.
DATE-OBS       required (`MissingHeaderCard`). UTC start of the exposure; ``Z``, an offset,
               24:00:00 and 23:59:60 are understood; a date alone, other notations, and years
               outside 2020 to 2059 are refused (`BadHeaderCard`). A clock set to local time cannot
               be told from UTC.
TIMESYS        if present, UTC (or its alias UT, GMT); anything else is refused
EXPTIME        required, else EXPOSURE; seconds of one sub, 0 < t <= 3600, else refused
RA             degrees at the equinox of date, -360 to 720 wrapped to [0, 360); text with a number
               is degrees, sexagesimal text ('12:50:53') is hours
DEC            degrees, -90 to 90; sexagesimal text is degrees
RA, DEC        missing, not finite, out of range or unreadable: no pointing (the frame is solved
               blind), and a note says why
EQUINOX,       ignored: other software adds them together with its own WCS and leaves RA and DEC
RADESYS        as the telescope wrote them
FILTER         upper case, up to 20 characters; empty if absent
GAIN, CCD-TEMP NaN if absent or not a number
XBINNING       used (else CCDXBIN, else 1) where the size of the image does not settle the binning
BAYERPAT       one of GRBG, RGGB, GBRG, BGGR, else refused; if absent, the model's
ROWORDER       if present on a raw sub, TOP-DOWN; anything else is refused
IMAGETYP       refused if it says bias, dark or flat (`NotARawFrame`); never used to tell a stack
NAXIS, STACKCNT  a stack has three axes or STACKCNT > 1
STACKCNT       else, for three axes, TOTALEXP / EXPTIME, else 0 (unknown)
OBJECT         up to 80 characters, empty if absent; text for display, never a path
EQMODE         1 equatorial, 0 alt-azimuth, absent unknown
SITELAT,       degrees; NaN if absent, not a number or out of range
SITELONG
PROGRAM        the firmware
=============  =================================================================================
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from crowdsky.errors import BadHeaderCard, MissingHeaderCard, NotARawFrame
from crowdsky.frames.door import DoorReport, check_door
from crowdsky.frames.frame_header import FrameHeader, MountMode
from crowdsky.frames.limits import DoorLimits
from crowdsky.frames.position_cards import read_pointing
from crowdsky.frames.telescopes import (
    ARCSEC_MM_PER_UM_RADIAN,
    UNKNOWN_TELESCOPE,
    TelescopeModel,
    identify_telescope,
)
from crowdsky.frames.times import parse_start_utc
from crowdsky.frames.typed_cards import TypedCards

__all__ = ["BAYER_PATTERNS", "FrameHeader", "MountMode", "interpret", "read_frame_header"]

BAYER_PATTERNS = ("GRBG", "RGGB", "GBRG", "BGGR")
MAX_EXPOSURE_S = 3600.0
_CALIBRATION_TYPES = ("BIAS", "DARK", "FLAT", "OFFSET")
_SERIAL = re.compile(r"(?:S50|S30[ _-]?PRO|S30)_([A-Z0-9-]{1,40})", re.IGNORECASE)


def read_frame_header(
    path: str | os.PathLike[str], limits: DoorLimits | None = None
) -> FrameHeader:
    """Check a file at the door and interpret its header.

    Parameters
    ----------
    path : path-like
    limits : DoorLimits, optional

    Returns
    -------
    FrameHeader

    Raises
    ------
    UnreadableFrame, MissingHeaderCard, BadHeaderCard, NotARawFrame
        See the table at the head of this module.
    """
    return interpret(check_door(path, limits), Path(path))


def interpret(report: DoorReport, path: Path) -> FrameHeader:
    """Give the cards of an admitted file their meaning; `read_frame_header` without the file."""
    cards = TypedCards(report.cards, path)
    kind = cards.text("IMAGETYP").upper()
    if kind.startswith(_CALIBRATION_TYPES):
        raise NotARawFrame("a calibration frame, not a light frame", file=path, value=kind)
    telescope = identify_telescope(report.cards)
    binning = _binning(cards, telescope, report)
    if telescope is UNKNOWN_TELESCOPE:
        telescope = _telescope_by_optics(cards, binning)
    exposure_s = _exposure_s(cards)
    start_utc = _start_utc(cards)
    n_stacked = _n_stacked(cards, report.n_planes, exposure_s)
    notes: list[str] = []
    return FrameHeader(
        path=path,
        nx=report.nx,
        ny=report.ny,
        n_planes=report.n_planes,
        bitpix=report.bitpix,
        bzero=report.bzero,
        bscale=report.bscale,
        data_offset=report.data_offset,
        file_bytes=report.file_bytes,
        telescope=telescope,
        telescope_id=_telescope_id(cards, telescope),
        firmware=cards.text("PROGRAM")[:40],
        filter=cards.text("FILTER").upper()[:20],
        exposure_s=exposure_s,
        gain=cards.number("GAIN"),
        binning=binning,
        bayer=_bayer(cards, telescope, is_raw=report.n_planes == 1 and n_stacked == 1),
        start_utc=start_utc,
        target=cards.text("OBJECT")[:80].strip(),
        mount=_mount(cards),
        n_stacked=n_stacked,
        pointing=read_pointing(cards, start_utc, notes),
        site_lat_deg=cards.number("SITELAT", limit=90.0),
        site_lon_deg=cards.number("SITELONG", limit=360.0),
        ccd_temp_c=cards.number("CCD-TEMP"),
        notes=tuple(notes),
    )


def _telescope_id(cards: TypedCards, telescope: TelescopeModel) -> str:
    name = cards.text("TELESCOP")
    serial = _SERIAL.search(name)
    if serial:
        return f"{telescope.name}_{serial[1]}"
    if name and identify_telescope({"TELESCOP": name}) is UNKNOWN_TELESCOPE:
        return name[:60]  # the owner's own name for it
    return telescope.name


def _telescope_by_optics(cards: TypedCards, binning: int) -> TelescopeModel:
    """An unknown model with the scale of its cards, where they are sane."""
    focal_mm = cards.number("FOCALLEN")
    # XPIXSZ is written "with binning"; the model holds the unbinned pixel.
    pixel_um = cards.number("XPIXSZ") / binning
    if not (10.0 <= focal_mm <= 20_000.0 and 0.5 <= pixel_um <= 50.0):
        return UNKNOWN_TELESCOPE
    return replace(
        UNKNOWN_TELESCOPE,
        focal_length_mm=focal_mm,
        pixel_um=pixel_um,
        scale_arcsec_per_px=ARCSEC_MM_PER_UM_RADIAN * pixel_um / focal_mm,
    )


def _binning(cards: TypedCards, telescope: TelescopeModel, report: DoorReport) -> int:
    by_size = telescope.binning_of(report.nx, report.ny)
    if by_size is not None:
        return by_size
    for keyword in ("XBINNING", "CCDXBIN"):
        value = cards.number(keyword)
        if value in (1.0, 2.0, 3.0, 4.0):
            return int(value)
    return 1


def _exposure_s(cards: TypedCards) -> float:
    for keyword in ("EXPTIME", "EXPOSURE"):
        value = cards.cards.get(keyword)
        if value is None:
            continue
        if isinstance(value, (bool, str)) or not 0.0 < value <= MAX_EXPOSURE_S:
            raise BadHeaderCard(
                f"an exposure is longer than 0 s and at most {MAX_EXPOSURE_S:g} s",
                file=cards.path,
                value=f"{keyword}={value}",
            )
        return float(value)
    raise MissingHeaderCard("EXPTIME (or EXPOSURE) is needed", file=cards.path)


def _start_utc(cards: TypedCards) -> datetime:
    system = cards.text("TIMESYS").upper()
    if system not in ("", "UTC", "UT", "GMT"):
        raise BadHeaderCard("times are UTC", file=cards.path, value=f"TIMESYS={system}")
    value = cards.cards.get("DATE-OBS")
    if value is None or value == "":
        raise MissingHeaderCard("DATE-OBS is needed to place the frame in time", file=cards.path)
    try:
        return parse_start_utc(str(value))
    except ValueError as error:
        raise BadHeaderCard(str(error), file=cards.path, value=f"DATE-OBS={value}") from error


def _n_stacked(cards: TypedCards, n_planes: int, exposure_s: float) -> int:
    count = cards.number("STACKCNT", limit=1e6)
    if count >= 1.0:
        return int(count)
    if n_planes == 1:
        return 1
    ratio = cards.number("TOTALEXP") / exposure_s
    return round(ratio) if 1.0 <= ratio <= 1e6 else 0


def _bayer(cards: TypedCards, telescope: TelescopeModel, *, is_raw: bool) -> str:
    pattern = cards.text("BAYERPAT").upper() or telescope.bayer
    if not is_raw:
        return pattern if pattern in BAYER_PATTERNS else ""
    if not pattern:
        raise MissingHeaderCard(
            "BAYERPAT is needed for a telescope of unknown model", file=cards.path
        )
    if pattern not in BAYER_PATTERNS:
        raise BadHeaderCard(
            f"the colour pattern is one of {', '.join(BAYER_PATTERNS)}",
            file=cards.path,
            value=f"BAYERPAT={pattern}",
        )
    order = cards.text("ROWORDER").upper()
    if order not in ("", "TOP-DOWN"):
        raise BadHeaderCard("rows are stored top-down", file=cards.path, value=f"ROWORDER={order}")
    return pattern


def _mount(cards: TypedCards) -> MountMode:
    value = cards.lenient("EQMODE")
    if value in (1, True):
        return MountMode.EQUATORIAL
    if value in (0, False):
        return MountMode.ALTAZ
    return MountMode.UNKNOWN
