"""Where a stack is on the sky, in the forms that the index needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdsky.archive.models import CELL_ORDER
from crowdsky.frames.names import healpix_index

__all__ = ["SkyPlace", "cells", "place", "unit_vectors"]


@dataclass(frozen=True, slots=True)
class SkyPlace:
    """A position, ICRS.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Right ascension in [0, 360).
    x, y, z : float
        Unit vector.
    cell : int
        HEALPix, NESTED, of order `CELL_ORDER`.
    tile : int
        HEALPix, RING, NSIDE 128.
    """

    ra_deg: float
    dec_deg: float
    x: float
    y: float
    z: float
    cell: int
    tile: int


def place(ra_deg: float, dec_deg: float) -> SkyPlace:
    """All forms of one position.

    Parameters
    ----------
    ra_deg : float
        Any finite number of degrees; turned into [0, 360).
    dec_deg : float
        From -90 to 90.

    Returns
    -------
    SkyPlace

    Raises
    ------
    ValueError
        If the position is not finite or the declination is beyond a pole.
    """
    if not (np.isfinite(ra_deg) and -90.0 <= dec_deg <= 90.0):
        raise ValueError(f"not a position on the sky: {ra_deg}, {dec_deg}")
    ra = float(ra_deg) % 360.0
    if ra == 360.0:  # a negative number too small to matter
        ra = 0.0
    dec = float(dec_deg)
    x, y, z = (float(value) for value in unit_vectors(ra, dec))
    return SkyPlace(ra, dec, x, y, z, int(cells(ra, dec)), healpix_index(ra, dec))


def unit_vectors(ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.float64]:
    """Unit vectors, shape ``(3, ...)``, of positions in degrees."""
    ra, dec = np.radians(np.asarray(ra_deg, float)), np.radians(np.asarray(dec_deg, float))
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def cells(ra_deg: ArrayLike, dec_deg: ArrayLike, order: int = CELL_ORDER) -> NDArray[np.int64]:
    """HEALPix cells (NESTED) of positions.

    Parameters
    ----------
    ra_deg, dec_deg : array_like
        Degrees, any shape.
    order : int

    Returns
    -------
    ndarray of int64
        Of the same shape.
    """
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    found: Any = lonlat_to_healpix(
        np.asarray(ra_deg, float) * units.deg,
        np.asarray(dec_deg, float) * units.deg,
        2**order,
        order="nested",
    )
    return np.asarray(found, np.int64)
