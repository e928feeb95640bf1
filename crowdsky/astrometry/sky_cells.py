"""The cells in which the bundled catalogue is sorted: one-degree declination bands cut in RA.

A band ``b`` spans declinations ``b - 90`` to ``b - 89`` degrees and is cut into as many equal cells
in RA as keep a cell about one degree wide at its edge nearer the equator. A star is stored as its
position inside its cell, two 16-bit fractions, which is 0.055 arcsec a step at worst.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit

__all__ = ["BAND_FIRST_CELL", "CELLS_IN_BAND", "N_CELLS", "cell_of", "cells_in_cone"]

N_BANDS = 180


def _cells_in_band() -> NDArray[np.int64]:
    band = np.arange(N_BANDS)
    nearest_equator_deg = np.where(band >= 90, band - 90, 89 - band)
    return np.maximum(1, (360 * np.cos(np.radians(nearest_equator_deg))).astype(np.int64))


CELLS_IN_BAND = _cells_in_band()
BAND_FIRST_CELL = np.concatenate([[0], np.cumsum(CELLS_IN_BAND)]).astype(np.int64)
N_CELLS = int(BAND_FIRST_CELL[-1])


def cell_of(
    ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Cell number and position inside the cell.

    Parameters
    ----------
    ra_deg, dec_deg : ndarray, shape (n,)
        ICRS degrees.

    Returns
    -------
    cell : ndarray of int64, shape (n,)
    along_ra, along_dec : ndarray, shape (n,)
        Fractions of the cell's width and height, 0 <= fraction < 1.
    """
    band = np.clip(np.floor(dec_deg + 90), 0, N_BANDS - 1).astype(np.int64)
    n_ra = CELLS_IN_BAND[band]
    position = np.mod(ra_deg, 360.0) / 360.0 * n_ra
    column = np.minimum(position.astype(np.int64), n_ra - 1)
    below_one = np.nextafter(1.0, 0.0)
    along_ra = np.clip(position - column, 0, below_one)
    along_dec = np.clip(dec_deg + 90 - band, 0, below_one)
    return BAND_FIRST_CELL[band] + column, along_ra, along_dec


@njit()
def cells_in_cone(ra_deg, dec_deg, radius_deg, cells_in_band, band_first, cells, bands, columns):
    """Write the cells that a cone touches into the given arrays; return how many.

    Conservative: a cell that the cone only nearly touches may be listed too. ``cells`` must hold
    at least the cells of the bands crossed; the count stops at its size.
    """
    low = max(0, math.floor(dec_deg - radius_deg + 90.0))
    high = min(N_BANDS - 1, math.floor(dec_deg + radius_deg + 90.0))
    n = 0
    for band in range(low, high + 1):
        n_ra = cells_in_band[band]
        # The widest RA reach of the cone over its whole height (exact for a cone off the poles).
        sin_reach = math.sin(math.radians(radius_deg)) / max(
            1e-9, math.cos(math.radians(min(89.999999, abs(dec_deg))))
        )
        if abs(dec_deg) + radius_deg >= 90.0 or sin_reach >= 1.0:
            first, last = 0, n_ra - 1
        else:
            reach_deg = math.degrees(math.asin(sin_reach))
            first = math.floor((ra_deg - reach_deg) / 360.0 * n_ra)
            last = math.floor((ra_deg + reach_deg) / 360.0 * n_ra)
            if last - first >= n_ra:
                first, last = 0, n_ra - 1
        for column in range(first, last + 1):
            if n >= cells.shape[0]:
                return n
            wrapped = column % n_ra
            cells[n] = band_first[band] + wrapped
            bands[n] = band
            columns[n] = wrapped
            n += 1
    return n
