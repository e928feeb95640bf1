"""Which stars and triangles go on file for blind solving, and where the file is kept.

A star is filed when few brighter ones lie about it: its rank is the number of brighter stars
within ``RANK_RADIUS_DEG``, a disc of the size of a Seestar S50 field. Ranks, unlike quotas of a
cell, do not jump at cell edges, and follow the density of the sky. The fainter a triangle's
stars, the shorter its sides must be: the brightest stars of a field are few and far apart, the
fainter ones many.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crowdsky.astrometry.catalogue import GAIA_EPOCH_JYEAR, Catalogue, bundled_catalogue
from crowdsky.astrometry.sky_cells import (
    BAND_FIRST_CELL,
    CELLS_IN_BAND,
    N_CELLS,
    cells_in_cone,
)
from crowdsky.kernels import njit
from crowdsky.settings import load_settings
from crowdsky.triangles.index import (
    BIN_ARCSEC,
    N_BINS,
    OFFSET_LIMIT,
    TriangleIndex,
    build_index,
    load_index,
    save_index,
)

__all__ = ["blind_index", "blind_index_path", "build_blind_index"]

RANK_RADIUS_DEG = 0.54
# Longest side of a triangle (arcsec) by the highest rank among its stars.
REACH_ARCSEC = np.array([1900.0] * 9 + [1750.0] * 4 + [1680.0] * 4)
EPOCH_JYEAR = 2025.0
FORMAT = 1


@njit()
def _all_stars(cell_start, gaia_start, offset, mag, pm_mas, cells_in_band, years, per_cell):
    """Unit vectors of the brightest ``per_cell`` stars of every cell, in cell order."""
    n_cells = cell_start.shape[0] - 1
    start = np.zeros(n_cells + 1, np.int64)
    for cell in range(n_cells):
        start[cell + 1] = start[cell] + min(per_cell, cell_start[cell + 1] - cell_start[cell])
    xyz = np.empty((start[n_cells], 3), np.float32)
    deg = np.pi / 180.0
    cell = 0
    for band in range(cells_in_band.shape[0]):
        for column in range(cells_in_band[band]):
            gaia_row = gaia_start[cell]
            for n in range(start[cell + 1] - start[cell]):
                row = cell_start[cell] + n
                width = 360.0 / cells_in_band[band]
                ra = (column + (offset[row, 0] + 0.5) / 65536.0) * width * deg
                dec = (band - 90.0 + (offset[row, 1] + 0.5) / 65536.0) * deg
                if mag[row] & 0x8000:
                    ra += pm_mas[gaia_row, 0] * years * deg / 3.6e6 / max(1e-9, np.cos(dec))
                    dec += pm_mas[gaia_row, 1] * years * deg / 3.6e6
                    gaia_row += 1
                out = start[cell] + n
                xyz[out, 0] = np.cos(dec) * np.cos(ra)
                xyz[out, 1] = np.cos(dec) * np.sin(ra)
                xyz[out, 2] = np.sin(dec)
            cell += 1
    return start, xyz


@njit()
def _ranks(start, xyz, mags, highest, radius_deg, cells_in_band, band_first):
    """Number of brighter stars within ``radius_deg`` of each star, at most ``highest``."""
    rank = np.empty(xyz.shape[0], np.int64)
    cells = np.empty(4096, np.int64)
    bands = np.empty(4096, np.int64)
    columns = np.empty(4096, np.int64)
    cos_radius = np.cos(radius_deg * np.pi / 180.0)
    cell = 0
    for band in range(cells_in_band.shape[0]):
        for column in range(cells_in_band[band]):
            # One list of cells serves every star of a cell: its own centre and half diagonal.
            ra = (column + 0.5) * 360.0 / cells_in_band[band]
            dec = band - 89.5
            reach = radius_deg + 0.75
            if band == 0 or band == cells_in_band.shape[0] - 1:
                ra, dec, reach = 0.0, 90.0 if band > 0 else -90.0, radius_deg + 1.0
            n_cells = cells_in_cone(
                ra, dec, reach, cells_in_band, band_first, cells, bands, columns
            )
            for row in range(start[cell], start[cell + 1]):
                brighter = 0
                for i in range(n_cells):
                    other = cells[i]
                    for near in range(start[other], start[other + 1]):
                        if mags[near] > mags[row]:
                            break
                        if near == row:
                            continue
                        dot = (
                            xyz[near, 0] * xyz[row, 0]
                            + xyz[near, 1] * xyz[row, 1]
                            + xyz[near, 2] * xyz[row, 2]
                        )
                        if dot > cos_radius and (mags[near] < mags[row] or near < row):
                            brighter += 1
                            if brighter >= highest:
                                break
                    if brighter >= highest:
                        break
                rank[row] = brighter
            cell += 1
    return rank


@njit()
def _later_neighbours(
    xyz, rank, cell_start, reach_arcsec, furthest, cells_in_band, band_first, neighbours, start
):
    """List the later stars within reach of each star; only count if ``neighbours`` is empty."""
    counting = neighbours.shape[0] == 0
    cells = np.empty(4096, np.int64)
    bands = np.empty(4096, np.int64)
    columns = np.empty(4096, np.int64)
    longest = reach_arcsec.max() / 206264.80624709636
    reach2 = (reach_arcsec / 206264.80624709636) ** 2
    n = 0
    for row in range(xyz.shape[0]):
        start[row] = n
        x, y, z = xyz[row, 0], xyz[row, 1], xyz[row, 2]
        ra = np.arctan2(y, x) * 180.0 / np.pi
        dec = np.arctan2(z, np.sqrt(x * x + y * y)) * 180.0 / np.pi
        n_cells = cells_in_cone(
            ra % 360.0, dec, longest * 180.0 / np.pi, cells_in_band, band_first,
            cells, bands, columns,
        )  # fmt: skip
        for i in range(n_cells):
            last = min(cell_start[cells[i] + 1], row + furthest)
            for other in range(max(row + 1, cell_start[cells[i]]), last):
                d0, d1, d2 = xyz[other, 0] - x, xyz[other, 1] - y, xyz[other, 2] - z
                if d0 * d0 + d1 * d1 + d2 * d2 < reach2[max(rank[row], rank[other])]:
                    if not counting:
                        neighbours[n] = other
                    n += 1
    start[xyz.shape[0]] = n
    return n


def build_blind_index(
    catalogue: Catalogue, reach_arcsec: NDArray[np.float64] = REACH_ARCSEC
) -> TriangleIndex:
    """Build the index of the whole sky from a catalogue (a few seconds, no disk)."""
    highest = len(reach_arcsec)
    start, xyz = _all_stars(
        catalogue.cell_start, catalogue.gaia_start, catalogue.offset, catalogue.mag,
        catalogue.pm_mas, CELLS_IN_BAND, EPOCH_JYEAR - GAIA_EPOCH_JYEAR, 3 * highest,
    )  # fmt: skip
    counts = np.diff(start)
    rows = np.repeat(catalogue.cell_start[:-1] - start[:-1], counts) + np.arange(start[-1])
    mags = (catalogue.mag[rows] & 0x7FFF).astype(np.int64)
    rank = _ranks(start, xyz, mags, highest, RANK_RADIUS_DEG, CELLS_IN_BAND, BAND_FIRST_CELL)
    kept = rank < highest
    cell = np.repeat(np.arange(N_CELLS), counts)[kept]
    cell_start = np.searchsorted(cell, np.arange(N_CELLS + 1)).astype(np.int32)
    xyz, rank, reach = xyz[kept], rank[kept], np.asarray(reach_arcsec, dtype=np.float64)
    ends = np.empty(len(xyz) + 1, dtype=np.int64)
    arguments = (
        xyz, rank, cell_start, reach, OFFSET_LIMIT, CELLS_IN_BAND, BAND_FIRST_CELL
    )  # fmt: skip
    neighbours = np.empty(0, dtype=np.int64)
    neighbours = np.empty(_later_neighbours(*arguments, neighbours, ends), dtype=np.int64)
    _later_neighbours(*arguments, neighbours, ends)
    return build_index(xyz, cell_start, rank, reach, neighbours, ends)


def blind_index_path(catalogue: Catalogue) -> Path:
    """Where the index of this catalogue is kept: one folder a catalogue and a format."""
    key = hashlib.blake2b(digest_size=8)
    for part in (FORMAT, EPOCH_JYEAR, BIN_ARCSEC, N_BINS, RANK_RADIUS_DEG, REACH_ARCSEC.tolist()):
        key.update(repr(part).encode())
    key.update(np.ascontiguousarray(catalogue.cell_start).tobytes())
    for column in (catalogue.offset, catalogue.mag, catalogue.pm_mas):
        key.update(np.ascontiguousarray(column[::997]).tobytes())  # a sample tells one from another
    return load_settings().cache_dir / f"triangles-{key.hexdigest()}"


@lru_cache(maxsize=1)
def blind_index() -> TriangleIndex:
    """The index of the bundled catalogue: mapped from the cache, built there at the first call."""
    catalogue = bundled_catalogue()
    path = blind_index_path(catalogue)
    if not path.is_dir():
        save_index(build_blind_index(catalogue), path)
    return load_index(path)
