"""Cones of a deep catalogue, kept as files, and the catalogue that is made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from crowdsky.aside import written_aside
from crowdsky.astrometry.catalogue import CatalogueStars
from crowdsky.errors import CatalogueError

__all__ = ["CachedCatalogue", "ConeRows", "write_cone"]

GAIA_EPOCH_JYEAR = 2016.0
# Centre and radius are read back from the file's name, which holds eight decimals.
_NAME_ROUNDING_DEG = 2e-8
_FIELDS = ("ra_deg", "dec_deg", "pm_ra_mas_yr", "pm_dec_mas_yr", "gmag", "source_id")


@dataclass(frozen=True, slots=True)
class ConeRows:
    """Rows of a catalogue at its own epoch, in any order.

    Attributes
    ----------
    ra_deg, dec_deg : ndarray of float64, shape (n,)
        ICRS degrees at J2016.0.
    pm_ra_mas_yr, pm_dec_mas_yr : ndarray of float64, shape (n,)
        Proper motion, the first times cos(dec); 0 where unknown.
    gmag : ndarray of float32, shape (n,)
        Gaia G.
    source_id : ndarray of int64, shape (n,)
        Gaia DR3 source id.
    """

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    pm_ra_mas_yr: NDArray[np.float64]
    pm_dec_mas_yr: NDArray[np.float64]
    gmag: NDArray[np.float32]
    source_id: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ra_deg)


@dataclass(frozen=True, slots=True)
class _Cone:
    """One file of the cache: the circle that it covers completely."""

    path: Path
    ra_deg: float
    dec_deg: float
    radius_deg: float

    def covers(self, ra_deg: float, dec_deg: float, radius_deg: float) -> bool:
        apart = _separation_deg(self.ra_deg, self.dec_deg, ra_deg, dec_deg)
        return apart + radius_deg <= self.radius_deg + _NAME_ROUNDING_DEG


def write_cone(
    folder: Path, ra_deg: float, dec_deg: float, radius_deg: float, rows: ConeRows
) -> Path:
    """Keep the rows of one cone; the file appears whole or not at all.

    Returns
    -------
    Path
        ``<folder>/cone_<ra>_<dec>_<radius>.npz``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"cone_{ra_deg:012.8f}_{dec_deg:+012.8f}_{radius_deg:.8f}.npz"
    columns = {name: getattr(rows, name) for name in _FIELDS}
    with written_aside(path) as file:
        np.savez(file, centre=np.array([ra_deg, dec_deg, radius_deg]), **columns)
    return path


class CachedCatalogue:
    """The cones of a cache folder as one catalogue; offline.

    Parameters
    ----------
    folder : Path
        A folder that `write_cone` fills. It may be empty or absent: then it covers nothing.

    Examples
    --------
    >>> CachedCatalogue(Path("nowhere")).covers(10.0, 20.0, 1.0)
    False
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def covers(self, ra_deg: float, dec_deg: float, radius_deg: float) -> bool:
        """Whether one cached cone holds the whole of a circle."""
        return self._find(ra_deg, dec_deg, radius_deg) is not None

    def cone(
        self,
        ra_deg: float,
        dec_deg: float,
        radius_deg: float,
        *,
        epoch_jyear: float = GAIA_EPOCH_JYEAR,
        limit: int | None = None,
    ) -> CatalogueStars:
        """Stars within ``radius_deg`` of a position, brightest first, at most ``limit``.

        Raises
        ------
        CatalogueError
            If no cached cone holds the whole circle, or its file is damaged.
        """
        cone = self._find(ra_deg, dec_deg, radius_deg)
        if cone is None:
            raise CatalogueError(
                "no cached cone covers this circle; `crowdsky catalogue fetch` fills the cache",
                value=f"ra {ra_deg:.4f} dec {dec_deg:+.4f} radius {radius_deg:.4f}",
            )
        rows = _read_rows(cone.path)
        ra, dec = _moved(rows, epoch_jyear - GAIA_EPOCH_JYEAR)
        inside = _separations_deg(ra, dec, ra_deg, dec_deg) <= radius_deg
        order = np.flatnonzero(inside)
        order = order[np.argsort(rows.gmag[order], kind="stable")][:limit]
        return CatalogueStars(
            ra_deg=ra[order],
            dec_deg=dec[order],
            mag=rows.gmag[order],
            gaia_id=rows.source_id[order],
            gaia_gmag=rows.gmag[order],
        )

    def cones(self) -> list[tuple[float, float, float]]:
        """What the cache covers: ``(ra_deg, dec_deg, radius_deg)`` of each cone."""
        return [(cone.ra_deg, cone.dec_deg, cone.radius_deg) for cone in self._cones()]

    def _cones(self) -> list[_Cone]:
        found = []
        for path in sorted(self.folder.glob("cone_*.npz")):
            try:
                ra_deg, dec_deg, radius_deg = map(float, path.stem.split("_")[1:])
            except ValueError:
                continue  # not a file of ours
            found.append(_Cone(path, ra_deg, dec_deg, radius_deg))
        return found

    def _find(self, ra_deg: float, dec_deg: float, radius_deg: float) -> _Cone | None:
        fitting = [c for c in self._cones() if c.covers(ra_deg, dec_deg, radius_deg)]
        return min(fitting, key=lambda c: c.radius_deg, default=None)


def _read_rows(path: Path) -> ConeRows:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            columns = {name: stored[name] for name in _FIELDS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise CatalogueError(f"the cached cone cannot be read ({error})", file=path) from error
    if len({len(column) for column in columns.values()}) != 1:
        raise CatalogueError("the columns of the cached cone differ in length", file=path)
    return ConeRows(**columns)


def _moved(rows: ConeRows, years: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions after so many years, by moving each star along its tangent: right at the poles."""
    ra, dec = np.radians(rows.ra_deg), np.radians(rows.dec_deg)
    east = np.radians(rows.pm_ra_mas_yr * years / 3.6e6)
    north = np.radians(rows.pm_dec_mas_yr * years / 3.6e6)
    x = np.cos(dec) * np.cos(ra) - east * np.sin(ra) - north * np.sin(dec) * np.cos(ra)
    y = np.cos(dec) * np.sin(ra) + east * np.cos(ra) - north * np.sin(dec) * np.sin(ra)
    z = np.sin(dec) + north * np.cos(dec)
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))


def _separations_deg(
    ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], ra0_deg: float, dec0_deg: float
) -> NDArray[np.float64]:
    """Angles from one point, by the haversine: exact for small ones."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    ra0, dec0 = math.radians(ra0_deg), math.radians(dec0_deg)
    half = (
        np.sin((dec - dec0) / 2) ** 2 + np.cos(dec) * math.cos(dec0) * np.sin((ra - ra0) / 2) ** 2
    )
    return np.degrees(2.0 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))


def _separation_deg(ra_deg: float, dec_deg: float, ra0_deg: float, dec0_deg: float) -> float:
    return float(_separations_deg(np.array([ra_deg]), np.array([dec_deg]), ra0_deg, dec0_deg)[0])
