"""The Seestar models: sensor, optics, plate scale, and how to recognise one by its cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "ARCSEC_MM_PER_UM_RADIAN",
    "TELESCOPES",
    "UNKNOWN_TELESCOPE",
    "TelescopeModel",
    "identify_telescope",
]

ARCSEC_MM_PER_UM_RADIAN = 206.264806
"""Arcseconds per pixel of a 1 um pixel behind 1 mm of focal length."""


@dataclass(frozen=True, slots=True)
class TelescopeModel:
    """What is fixed by the hardware of one model.

    Attributes
    ----------
    name : str
        ``'S50'``, ``'S30'``, ``'S30 Pro'`` or ``'unknown'``.
    nx, ny : int
        Unbinned sensor size in pixels as a raw sub stores it (portrait); 0 where unknown.
    focal_length_mm, pixel_um : float
        Nominal values; NaN where unknown.
    scale_arcsec_per_px : float
        Best known plate scale of an unbinned frame: measured where solved frames were at hand,
        otherwise nominal with the correction that its siblings share; NaN where unknown.
    scale_tolerance : float
        Relative half-width within which the true scale of a unit is expected.
    bayer : str
        Colour pattern of the first two pixels of the first two rows, rows as stored; empty where
        unknown.
    """

    name: str
    nx: int
    ny: int
    focal_length_mm: float
    pixel_um: float
    scale_arcsec_per_px: float
    scale_tolerance: float
    bayer: str

    def binning_of(self, nx: int, ny: int) -> int | None:
        """Binning that gives an ``nx`` by ``ny`` frame (either way up) of this sensor.

        ``None`` says that the size is no whole binning of the sensor: a crop, or a mosaic.
        """
        for binning in (1, 2, 3, 4):
            size = (self.nx // binning, self.ny // binning)
            if self.nx and (nx, ny) in (size, size[::-1]):
                return binning
        return None


_NAN = float("nan")

UNKNOWN_TELESCOPE = TelescopeModel("unknown", 0, 0, _NAN, _NAN, _NAN, 0.03, "")

TELESCOPES: dict[str, TelescopeModel] = {
    # Measured on three units: 2.372 to 2.376, 0.8 % below nominal (206.265 x 2.9 / 250 = 2.3927).
    "S50": TelescopeModel("S50", 1080, 1920, 250.0, 2.9, 2.3742, 0.005, "GRBG"),
    # Nominal 3.9878 with the correction of the S50; no solved frame was at hand.
    "S30": TelescopeModel("S30", 1080, 1920, 150.0, 2.9, 3.9559, 0.02, "GRBG"),
    # As reported by other projects, 1.6 % below nominal (3.7386).
    "S30 Pro": TelescopeModel("S30 Pro", 2160, 3840, 160.0, 2.9, 3.678, 0.02, "GRBG"),
}

# Order matters: every 'S30 Pro' also reads as 'S30'.
_NAME_PATTERNS = (
    (re.compile(r"(?<![A-Z0-9])S30[ _-]?PRO(?![A-Z])"), "S30 Pro"),
    (re.compile(r"(?<![A-Z0-9])S30(?![A-Z0-9])"), "S30"),
    (re.compile(r"(?<![A-Z0-9])S50(?![A-Z0-9])"), "S50"),
    (re.compile(r"IMX585"), "S30 Pro"),
    (re.compile(r"IMX662"), "S30"),
    (re.compile(r"IMX462"), "S50"),
)


def identify_telescope(cards: Mapping[str, object]) -> TelescopeModel:
    """Recognise the model by TELESCOP, else INSTRUME, else CREATOR.

    Parameters
    ----------
    cards : mapping of str to object
        Header cards; values that are not text are ignored.

    Returns
    -------
    TelescopeModel
        `UNKNOWN_TELESCOPE` where no card names a model, never ``None``.

    Notes
    -----
    Telescopes write ``'S50_<serial>'`` or ``'S30 Pro_<serial>'`` in TELESCOP, old firmware plain
    ``'Seestar S50'``. An owner may rename the telescope, and the S30 Pro gives its sensor
    (``'imx585'``) in INSTRUME, hence the other cards.
    """
    for keyword in ("TELESCOP", "INSTRUME", "CREATOR"):
        text = cards.get(keyword)
        if not isinstance(text, str):
            continue
        # An underscore joins model and serial but is no word boundary to the patterns.
        name = text.upper()
        for pattern, model in _NAME_PATTERNS:
            if pattern.search(name):
                return TELESCOPES[model]
    return UNKNOWN_TELESCOPE
