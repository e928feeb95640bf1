"""Raw subs as files: the cards of each firmware, the names, the bytes."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crowdsky.simulate.instrument import Instrument
from crowdsky.simulate.mount import Aim
from crowdsky.simulate.plan import Mount, SessionPlan

__all__ = ["file_name", "folder_name", "header_cards", "write_frame"]

BLOCK = 2880
CardValue = str | int | float | bool

_APERTURE_CM = {"S50": 5.0, "S30": 3.0, "S30 Pro": 3.0}
_CAMERA = {"S50": "Seestar S50", "S30": "Seestar S30", "S30 Pro": "imx585"}


def _safe(name: str) -> str:
    """A target's name as part of a path."""
    return re.sub(r"[^A-Za-z0-9 +._-]", "_", name).strip(". ") or "target"


def folder_name(plan: SessionPlan) -> str:
    """Folder that the telescope keeps the subs of a target in."""
    return f"{_safe(plan.target)}_sub"


def file_name(plan: SessionPlan, aim: Aim) -> str:
    """Name of a sub; its time is local and that of saving, three seconds after the exposure."""
    saved = aim.start_utc + timedelta(seconds=plan.exposure_s + 3.2, hours=plan.utc_offset_h)
    return (
        f"Light_{_safe(plan.target)}_{plan.exposure_s:.1f}s_{plan.filter_name}_"
        f"{saved:%Y%m%d-%H%M%S}.fit"
    )


def header_cards(
    plan: SessionPlan, instrument: Instrument, aim: Aim, index: int
) -> list[tuple[str, CardValue, str]]:
    """Cards ``(keyword, value, comment)`` of a sub, in the order that the firmware writes them."""
    telescope = instrument.telescope
    version = _version(plan.firmware)
    product = f"Seestar {plan.model}"
    pixel_um = float(np.float32(telescope.pixel_um))
    # The sensor warms up by a degree in the first minutes of a session.
    kelvin = 25.0 + 1.3 * (1 - np.exp(-index / 12.0))
    cards: list[tuple[str, CardValue, str]] = [
        ("SIMPLE", True, "file does conform to FITS standard"),
        ("BITPIX", 16, "number of bits per data pixel"),
        ("NAXIS", 2, "number of data axes"),
        ("NAXIS1", telescope.nx, "length of data axis 1"),
        ("NAXIS2", telescope.ny, "length of data axis 2"),
        ("EXTEND", True, "FITS dataset may contain extensions"),
        ("COMMENT", "  FITS (Flexible Image Transport System) format is defined in 'Astronomy", ""),
        ("COMMENT", "  and Astrophysics', volume 376, page 359; bibcode: 2001A&A...376..359H", ""),
        ("BZERO", 32768, "offset data range to that of unsigned short"),
        ("BSCALE", 1, "default scaling factor"),
        ("CREATOR", f"ZWO {product}", "Capture software"),
        ("PRODUCER", "ZWO", "Powered by ZWO"),
        ("XORGSUBF", 0, "Subframe X position in binned pixels"),
        ("YORGSUBF", 0, "Subframe Y position in binned pixels"),
        ("FOCALLEN", int(telescope.focal_length_mm), "Focal length of telescope in mm"),
        ("APERTURE", _APERTURE_CM[plan.model], "Name of field of view aperture"),
        ("PROGRAM", plan.firmware, "The name of the software task that created the"),
        ("XBINNING", 1, "Camera X Bin"),
        ("YBINNING", 1, "Camera Y Bin"),
        ("CCDXBIN", 1, "Camera X Bin"),
        ("CCDYBIN", 1, "Camera Y Bin"),
        ("XPIXSZ", pixel_um, "pixel size in microns (with binning)"),
        ("YPIXSZ", pixel_um, "pixel size in microns (with binning)"),
        ("IMAGETYP", "Light", "Type of image"),
        ("EXPOSURE", float(plan.exposure_s), "Exposure time in seconds"),
        ("EXPTIME", float(plan.exposure_s), "Exposure time in seconds"),
        ("CCD-TEMP", round(kelvin * 16) / 16, "sensor temperature in C"),
        ("RA", aim.ra_card_deg, "Object Right Ascension in degrees"),
        ("DEC", aim.dec_card_deg, "Object Declination in degrees"),
        ("SITELONG", float(plan.site_lon_deg), "longitude of the imaging site in degrees"),
        ("SITELAT", float(plan.site_lat_deg), "latitude of the imaging site in degrees"),
        ("DATE-OBS", f"{aim.start_utc:%Y-%m-%dT%H:%M:%S.%f}", "Image created time"),
        ("FILTER", plan.filter_name, "Filter used when taking image"),
        ("INSTRUME", _CAMERA[plan.model], "Camera model"),
        ("BAYERPAT", telescope.bayer, "Bayer pattern"),
        ("GAIN", int(plan.gain), "Gain Value"),
        ("FOCUSPOS", 1555, "Focuser position in steps"),
        ("TELESCOP", product if version < 3 else f"{plan.model}_{plan.serial}", "Telescope name"),
        ("OBJECT", plan.target, "name or catalog number of object being imaged"),
        ("TOTALEXP", float(plan.exposure_s), "Total Exposure Time in seconds"),
    ]
    if version >= 4.5:
        equatorial = int(plan.mount is Mount.EQUATORIAL)
        cards.append(("EQMODE", equatorial, "Equatorial mode"))
        cards.append(("STACKCNT", 1, "Stack frames"))
    return cards


def _version(firmware: str) -> float:
    match = re.match(r"\d+(\.\d+)?", firmware)
    return float(match.group()) if match else 4.0


def _card_image(keyword: str, value: CardValue, comment: str) -> bytes:
    """One 80-byte card in the style of CFITSIO, which is the telescope's own."""
    if keyword == "COMMENT":
        return f"COMMENT {value}"[:80].ljust(80).encode("ascii")
    if isinstance(value, bool):
        text = "T" if value else "F"
    elif isinstance(value, int):
        text = str(value)
    elif isinstance(value, float):
        text = f"{value:.15G}"
        text += "" if ("." in text or "E" in text) else "."
    else:
        doubled = value.replace("'", "''")
        quoted = f"'{doubled:<8}'"
        return f"{keyword:<8}= {quoted:<20} / {comment}"[:80].ljust(80).encode("ascii")
    return f"{keyword:<8}= {text:>20} / {comment}"[:80].ljust(80).encode("ascii")


def write_frame(
    path: Path, mosaic: NDArray[np.uint16], cards: list[tuple[str, CardValue, str]]
) -> None:
    """Write a sub: one header, 16-bit data with BZERO 32768, padding to 2880 bytes.

    The file appears under its name only when it is whole.

    Parameters
    ----------
    path : Path
        Where to.
    mosaic : ndarray of uint16, shape (ny, nx)
        Rows in the order of the file.
    cards : list of (keyword, value, comment)
        As from `header_cards`.
    """
    header = b"".join(_card_image(*card) for card in cards) + b"END".ljust(80)
    # The telescope reserves two blocks whatever the header needs.
    header = header.ljust(max(2 * BLOCK, -(-len(header) // BLOCK) * BLOCK))
    # Subtracting 32768 from an unsigned number is flipping its highest bit.
    data = (mosaic ^ np.uint16(0x8000)).astype(">u2").tobytes()
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(header)
        file.write(data)
        file.write(bytes(-len(data) % BLOCK))
    partial.replace(path)
