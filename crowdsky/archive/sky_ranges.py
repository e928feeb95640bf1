"""Regions as ranges of HEALPix cells: what an index of the database can be asked for.

The cells of a region are refined until more ranges would be needed than a statement should have.
They enclose the region and are not told to be exact: whoever asks tests the positions that he gets.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crowdsky.archive.models import CELL_ORDER
from crowdsky.archive.regions import Rectangle, Region

__all__ = ["MAX_RANGES", "cell_ranges"]

MAX_RANGES = 64

# Where a region has so many, finer ones would tell little more of it.
_MAX_CELLS = 2_000

# Against rounding; a thousandth of the smallest cell.
_SLACK_RAD = 1e-7


def cell_ranges(region: Region, *, max_ranges: int = MAX_RANGES) -> NDArray[np.int64]:
    """Ranges of cells that enclose a region.

    Parameters
    ----------
    region : Region
    max_ranges : int
        At least 12.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        First and last cell (both belong to it), NESTED, of order `CELL_ORDER`; ascending, apart.
    """
    cells: NDArray[np.int64] = np.arange(12)
    ranges = np.array([[0, 12 * 4**CELL_ORDER - 1]])
    for order in range(CELL_ORDER + 1):
        if order:
            cells = (4 * cells[:, None] + np.arange(4)).ravel()
        cells = cells[_touched(region, cells, order)]
        finer = _merged(cells, order)
        if len(finer) > max_ranges:
            break
        ranges = finer
        if len(cells) > _MAX_CELLS:  # large regions: few ranges, of many cells each
            break
    return ranges


def _merged(cells: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    shift = 2 * (CELL_ORDER - order)
    breaks = np.flatnonzero(np.diff(cells) > 1)
    first = cells[np.r_[0, breaks + 1]] if len(cells) else cells
    last = cells[np.r_[breaks, len(cells) - 1]] if len(cells) else cells
    return np.stack([first << shift, ((last + 1) << shift) - 1], axis=1)


def _touched(region: Region, cells: NDArray[np.int64], order: int) -> NDArray[np.bool_]:
    """Which cells may hold a part of a region, by the circles around them."""
    from astropy_healpix import healpix_to_lonlat

    found: Any = healpix_to_lonlat(cells, 2**order, order="nested")
    ra, dec = (np.asarray(angle.to_value("rad"), float) for angle in found)
    reach = _circle_rad(order) + _SLACK_RAD
    bounds = region.bounds
    touched: NDArray[np.bool_] = dec >= np.radians(bounds.dec_from_deg) - reach
    touched &= dec <= np.radians(bounds.dec_to_deg) + reach
    if bounds.centre is not None:
        x, y, z = bounds.centre
        cosine = np.cos(dec) * (np.cos(ra) * x + np.sin(ra) * y) + np.sin(dec) * z
        radius = np.arccos(np.clip(bounds.cos_radius, -1.0, 1.0))
        touched &= np.arccos(np.clip(cosine, -1.0, 1.0)) <= radius + reach
    if isinstance(region, Rectangle) and region.ra_to_deg - region.ra_from_deg < 360.0:
        low = np.radians(region.ra_from_deg % 360.0)
        width = np.radians((region.ra_to_deg % 360.0) - (region.ra_from_deg % 360.0)) % (2 * np.pi)
        polar = np.abs(dec) + reach >= np.pi / 2  # the circle holds every right ascension
        with np.errstate(invalid="ignore"):
            side = np.where(polar, np.pi, np.arcsin(np.sin(reach) / np.cos(dec)))
        touched &= polar | ((ra - low + side) % (2 * np.pi) <= width + 2 * side)
    return touched


@cache
def _circle_rad(order: int) -> float:
    """The largest distance of a corner from its cell's centre (Górski et al. 2005, fig. 4)."""
    n_side = 2**order
    if n_side == 1:
        return float(np.arccos(2 / 3)) + 1e-9
    ring, corner = 2 / 3, 1 - (1 - 1 / n_side) ** 2 / 3
    cosine = ring * corner
    cosine += np.sqrt((1 - ring**2) * (1 - corner**2)) * np.cos(np.pi / (4 * n_side))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))
