"""The star catalogue: a seam for any source, and the one that comes with the package.

The bundled catalogue holds the Tycho-2 stars (Høg et al. 2000, A&A 355, L27) of Debian's
astrometry-data-tycho2-07, and, for stars brighter than G = 10, the Gaia DR3 position and source
id (Gaia Collaboration 2023, A&A 674, A1). Their proper motion is the one that joins the Tycho-2
position at J2000.0 to the Gaia position at J2016.0. ``scripts/build_catalogue.py`` builds the
files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crowdsky.astrometry.sky_cells import BAND_FIRST_CELL, CELLS_IN_BAND, cells_in_cone
from crowdsky.astrometry.tangent_plane import ra_dec_of
from crowdsky.errors import CatalogueError
from crowdsky.kernels import njit

__all__ = ["Catalogue", "CatalogueSource", "CatalogueStars", "bundled_catalogue"]

DATA_DIR = Path(__file__).parent / "data"
GAIA_EPOCH_JYEAR = 2016.0
HAS_GAIA = 0x8000
MAG_STEP = 0.001


@dataclass(frozen=True, slots=True)
class CatalogueStars:
    """Catalogue stars of one region, brightest first.

    Attributes
    ----------
    ra_deg, dec_deg : ndarray of float64, shape (n,)
        ICRS degrees at the epoch asked for.
    mag : ndarray of float32, shape (n,)
        Magnitude by which they are sorted (Tycho-2 VT in the bundled catalogue).
    gaia_id : ndarray of int64, shape (n,)
        Gaia DR3 source id, 0 where none is known.
    gaia_gmag : ndarray of float32, shape (n,)
        Gaia G, NaN where unknown.
    """

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    mag: NDArray[np.float32]
    gaia_id: NDArray[np.int64]
    gaia_gmag: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ra_deg)


class CatalogueSource(Protocol):
    """Whatever lists the stars of a cone: the bundled catalogue, a cache of Gaia DR3, a test's."""

    def cone(
        self,
        ra_deg: float,
        dec_deg: float,
        radius_deg: float,
        *,
        epoch_jyear: float = GAIA_EPOCH_JYEAR,
        limit: int | None = None,
    ) -> CatalogueStars:
        """Stars within ``radius_deg`` of a position, brightest first, at most ``limit``."""
        ...


@njit()
def gather_cone(
    ra_deg, dec_deg, radius_deg, years, faintest, per_cell,
    cells_in_band, band_first, cell_start, gaia_start, offset, mag, pm_mas,
):  # fmt: skip
    """Unit vectors, magnitude, row and Gaia row of the stars in a cone, in no order.

    ``years`` since J2016.0; stars fainter than ``faintest`` magnitudes are left out, and after the
    brightest ``per_cell`` of a cell the rest of it is (rows of a cell are sorted by brightness).
    """
    # A cone of the width of a hemisphere is never asked for; the polar caps are few, wide cells.
    capacity = 64 + int(8.0 * (radius_deg + 1.0) ** 2 * 4)
    cells = np.empty(capacity + 720, np.int64)
    bands = np.empty(capacity + 720, np.int64)
    columns = np.empty(capacity + 720, np.int64)
    n_cells = cells_in_cone(
        ra_deg, dec_deg, radius_deg, cells_in_band, band_first, cells, bands, columns
    )
    size = 0
    for i in range(n_cells):
        size += min(per_cell, cell_start[cells[i] + 1] - cell_start[cells[i]])
    xyz = np.empty((size, 3))
    mags = np.empty(size, np.float32)
    rows = np.empty(size, np.int64)
    gaia_rows = np.empty(size, np.int64)
    deg = np.pi / 180.0
    cd = np.cos(dec_deg * deg)
    x0, y0, z0 = cd * np.cos(ra_deg * deg), cd * np.sin(ra_deg * deg), np.sin(dec_deg * deg)
    cos_radius = np.cos(radius_deg * deg)
    mas = deg / 3.6e6
    n = 0
    for i in range(n_cells):
        cell = cells[i]
        gaia_row = gaia_start[cell]
        width = 360.0 / cells_in_band[bands[i]]
        last = min(cell_start[cell + 1], cell_start[cell] + per_cell)
        for row in range(cell_start[cell], last):
            value = mag[row] & 0x7FFF
            magnitude = value * 0.001
            if magnitude > faintest:
                break
            ra = (columns[i] + (offset[row, 0] + 0.5) / 65536.0) * width * deg
            dec = (bands[i] - 90.0 + (offset[row, 1] + 0.5) / 65536.0) * deg
            this_gaia = -1
            cos_dec = np.cos(dec)
            if mag[row] & 0x8000:
                this_gaia = gaia_row
                gaia_row += 1
                if cos_dec > 1e-9:
                    ra += pm_mas[this_gaia, 0] * mas * years / cos_dec
                dec += pm_mas[this_gaia, 1] * mas * years
                cos_dec = np.cos(dec)
            x, y, z = cos_dec * np.cos(ra), cos_dec * np.sin(ra), np.sin(dec)
            if x * x0 + y * y0 + z * z0 < cos_radius:
                continue
            xyz[n, 0] = x
            xyz[n, 1] = y
            xyz[n, 2] = z
            mags[n] = magnitude
            rows[n] = row
            gaia_rows[n] = this_gaia
            n += 1
    return xyz[:n], mags[:n], rows[:n], gaia_rows[:n]


class Catalogue:
    """A star catalogue in this package's file format, read by memory map.

    Parameters
    ----------
    folder : Path
        Folder with the ``.npy`` files that ``scripts/build_catalogue.py`` writes.

    Raises
    ------
    CatalogueError
        If a file is absent or has another length than its fellows.
    """

    def __init__(self, folder: Path = DATA_DIR) -> None:
        def load(name: str) -> NDArray[np.generic]:
            try:
                return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise CatalogueError(
                    f"the star catalogue cannot be read ({error})", file=folder / f"{name}.npy"
                ) from error

        self.folder = folder
        self.cell_start = load("cell_start").view(np.ndarray)
        self.gaia_start = load("gaia_start").view(np.ndarray)
        self.offset = load("star_offset").view(np.ndarray)
        self.mag = load("star_mag").view(np.ndarray)
        self.pm_mas = load("gaia_pm").view(np.ndarray)
        self.gaia_id = load("gaia_id").view(np.ndarray)
        self.gaia_gmag = load("gaia_gmag").view(np.ndarray)
        if not (
            len(self.offset) == len(self.mag) == self.cell_start[-1]
            and len(self.pm_mas) == len(self.gaia_id) == len(self.gaia_gmag) == self.gaia_start[-1]
        ):
            raise CatalogueError("the files of the star catalogue do not fit together", file=folder)

    def __len__(self) -> int:
        return len(self.mag)

    def gather(
        self,
        ra_deg: float,
        dec_deg: float,
        radius_deg: float,
        *,
        epoch_jyear: float = GAIA_EPOCH_JYEAR,
        faintest: float = 99.0,
        per_cell: int = 1 << 30,
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Stars of a cone as ICRS unit vectors, unsorted: what the solver works on.

        Returns
        -------
        xyz : ndarray, shape (n, 3)
        mag : ndarray of float32, shape (n,)
        row, gaia_row : ndarray of int64, shape (n,)
            Row in the catalogue and in its Gaia part (-1 where none).
        """
        return gather_cone(
            float(ra_deg), float(dec_deg), float(radius_deg),
            float(epoch_jyear - GAIA_EPOCH_JYEAR), float(faintest), per_cell,
            CELLS_IN_BAND, BAND_FIRST_CELL, self.cell_start, self.gaia_start,
            self.offset, self.mag, self.pm_mas,
        )  # fmt: skip

    def cone(
        self,
        ra_deg: float,
        dec_deg: float,
        radius_deg: float,
        *,
        epoch_jyear: float = GAIA_EPOCH_JYEAR,
        limit: int | None = None,
    ) -> CatalogueStars:
        """Stars within ``radius_deg`` of a position, brightest first, at most ``limit``."""
        xyz, mag, _, gaia_row = self.gather(ra_deg, dec_deg, radius_deg, epoch_jyear=epoch_jyear)
        order = np.argsort(mag, kind="stable")[:limit]
        xyz, mag, gaia_row = xyz[order], mag[order], gaia_row[order]
        known = gaia_row >= 0
        gaia_id = np.zeros(len(order), dtype=np.int64)
        gaia_gmag = np.full(len(order), np.nan, dtype=np.float32)
        gaia_id[known] = self.gaia_id[gaia_row[known]]
        gaia_gmag[known] = self.gaia_gmag[gaia_row[known]] * np.float32(MAG_STEP)
        ra, dec = ra_dec_of(xyz)
        return CatalogueStars(
            ra_deg=ra,
            dec_deg=dec,
            mag=mag,
            gaia_id=gaia_id,
            gaia_gmag=gaia_gmag,
        )


@lru_cache(maxsize=1)
def bundled_catalogue() -> Catalogue:
    """The catalogue that comes with the package (memory-mapped, opened once a process)."""
    return Catalogue()
