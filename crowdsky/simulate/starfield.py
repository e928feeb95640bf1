"""The stars of a field: those of the catalogue, and the fainter ones below its limit."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from astropy import units
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from crowdsky.astrometry.catalogue import CatalogueSource, bundled_catalogue
from crowdsky.astrometry.tangent_plane import unit_vectors
from crowdsky.simulate.hashing import generator, hashed_normals, keys_of

__all__ = ["SkyStars", "field_stars"]

FloatArray = NDArray[np.float64]

CELLS = HEALPix(nside=64, order="nested")
CELL_AREA_DEG2 = 41252.96125 / CELLS.npix
COMPLETE_TO_MAG = 11.0
"""Down to here the catalogue holds every star; its counts are continued from here."""
FAINTEST_MAG = 16.0
NORTH_GALACTIC_POLE = unit_vectors(192.85948, 27.12825)
AROUND_DEG = 2.5
"""Radius within which stars are counted to know how many there are about a cell."""
_BINS = np.arange(COMPLETE_TO_MAG, FAINTEST_MAG + 0.01, 0.25)

# Mean colours of stars in the Seestar's own bands, and how far they spread from the blue to the red
# end, as seen in flux ratios of some sixty stars on real subs.
MEAN_RED, SPREAD_RED = 0.76, 0.22
MEAN_BLUE, SPREAD_BLUE = 0.53, 0.20


@dataclass(frozen=True, slots=True)
class SkyStars:
    """Stars of a piece of sky as they truly are.

    Attributes
    ----------
    ra_deg, dec_deg : ndarray of float64, shape (n,)
        True ICRS positions at the epoch of the session.
    mag : ndarray of float64, shape (n,)
        True magnitude in the instrument's green band.
    red, blue : ndarray of float64, shape (n,)
        Flux in the red and blue bands over that in the green one.
    catalogue_mag : ndarray of float64, shape (n,)
        What the catalogue says; NaN for stars that are not in it.
    """

    ra_deg: FloatArray
    dec_deg: FloatArray
    mag: FloatArray
    red: FloatArray
    blue: FloatArray
    catalogue_mag: FloatArray

    def __len__(self) -> int:
        return len(self.ra_deg)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> SkyStars:
        """Some of the stars, by index or mask."""
        return SkyStars(*(getattr(self, f.name)[which] for f in fields(self)))

    def __add__(self, other: SkyStars) -> SkyStars:
        return SkyStars(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )


def field_stars(
    ra_deg: float,
    dec_deg: float,
    radius_deg: float,
    *,
    epoch_jyear: float,
    faintest_mag: float = FAINTEST_MAG,
    position_scatter_arcsec: float = 0.2,
    catalogue: CatalogueSource | None = None,
) -> SkyStars:
    """All stars of a cone, brightest first.

    Two calls for overlapping cones agree on the stars they share.

    Parameters
    ----------
    ra_deg, dec_deg, radius_deg : float
        The cone, ICRS degrees.
    epoch_jyear : float
        Epoch of the positions.
    faintest_mag : float
        Stars fainter than this are left out (at most 16).
    position_scatter_arcsec : float
        One-axis standard deviation of the true position about the catalogued one: positions of
        Tycho-2 without proper motion are off by about this much by now.
    catalogue : CatalogueSource, optional
        Where the bright stars come from; the bundled one by default.
    """
    catalogue = catalogue or bundled_catalogue()
    listed = _catalogue_stars(
        ra_deg, dec_deg, radius_deg, epoch_jyear, position_scatter_arcsec, catalogue
    )
    cells = CELLS.cone_search_lonlat(
        ra_deg * units.deg, dec_deg * units.deg, radius=radius_deg * units.deg
    )
    stars = listed
    for cell in np.sort(cells):
        stars = stars + _faint_stars(int(cell), catalogue)
    distance_cos = unit_vectors(stars.ra_deg, stars.dec_deg) @ unit_vectors(ra_deg, dec_deg)
    keep = (distance_cos >= np.cos(np.radians(radius_deg))) & (stars.mag <= faintest_mag)
    stars = stars.take(keep)
    return stars.take(np.argsort(stars.mag, kind="stable"))


def _catalogue_stars(
    ra_deg: float,
    dec_deg: float,
    radius_deg: float,
    epoch_jyear: float,
    scatter_arcsec: float,
    catalogue: CatalogueSource,
) -> SkyStars:
    found = catalogue.cone(ra_deg, dec_deg, radius_deg + 0.01, epoch_jyear=epoch_jyear)
    mag = found.mag.astype(np.float64)
    # The millimagnitude with the rough position tells stars apart and survives proper motion.
    keys = keys_of(
        np.rint(mag * 1000), np.floor(found.ra_deg * 50), np.floor(found.dec_deg * 50),
        found.gaia_id,
    )  # fmt: skip
    scatter = scatter_arcsec / 3600.0
    dec = found.dec_deg + scatter * hashed_normals(keys, 1)
    dec = np.where(np.abs(dec) > 90.0, found.dec_deg, dec)
    cos_dec = np.maximum(np.cos(np.radians(found.dec_deg)), 1e-6)
    ra = (found.ra_deg + scatter * hashed_normals(keys, 2) / cos_dec) % 360.0
    # Photometric errors of Tycho-2 grow from 0.02 to above 0.1 mag towards its limit; the rest of
    # the scatter is the step from its V to the instrument's green.
    error = 0.06 + 0.1 * 10 ** (0.4 * (np.minimum(mag, 12.5) - 12.5))
    red, blue = _colours(keys)
    return SkyStars(ra, dec, mag + error * hashed_normals(keys, 3), red, blue, mag)


def _colours(keys: NDArray[np.uint64]) -> tuple[FloatArray, FloatArray]:
    """Flux ratios red/green and blue/green: cool stars are red and lack blue."""
    coolness = np.clip(hashed_normals(keys, 4), -2.2, 2.2)
    red = MEAN_RED * np.exp(SPREAD_RED * coolness)
    blue = MEAN_BLUE * np.exp(-SPREAD_BLUE * coolness)
    return red, blue


def _faint_stars(cell: int, catalogue: CatalogueSource) -> SkyStars:
    """Stars of one sky cell that the catalogue lacks, so many that the counts go on smoothly."""
    cell_ra, cell_dec = (float(a.deg) for a in CELLS.healpix_to_lonlat(cell))
    around = catalogue.cone(cell_ra, cell_dec, AROUND_DEG, epoch_jyear=2016.0)
    area = 2 * np.pi * (1 - np.cos(np.radians(AROUND_DEG))) * (180 / np.pi) ** 2
    sin_b = float(unit_vectors(cell_ra, cell_dec) @ NORTH_GALACTIC_POLE)
    latitude = np.degrees(np.arcsin(np.clip(sin_b, -1, 1)))
    slope = 0.26 + 0.10 * np.exp(-abs(latitude) / 25.0)
    # In the Milky Way the catalogue is thinned beyond its complete part, elsewhere the fainter
    # count is the less noisy one; neither can be too high.
    bright = max(
        np.count_nonzero(around.mag < limit) / area * 10 ** (-slope * (limit - COMPLETE_TO_MAG))
        for limit in (COMPLETE_TO_MAG, COMPLETE_TO_MAG + 0.8)
    )
    model = np.diff(bright * 10 ** (slope * (_BINS - COMPLETE_TO_MAG)))
    listed = np.histogram(around.mag, bins=_BINS)[0] / area
    missing = np.clip(model - listed, 0.0, None) * CELL_AREA_DEG2

    rng = generator("faint stars", cell)
    counts = rng.poisson(missing)
    n = int(counts.sum())
    mag = np.repeat(_BINS[:-1], counts) + 0.25 * rng.random(n)
    # HEALPix is an equal-area projection, so uniform offsets in a cell are uniform on the sky.
    lon, lat = CELLS.healpix_to_lonlat(np.full(n, cell), dx=rng.random(n), dy=rng.random(n))
    keys = keys_of(np.full(n, cell), np.arange(n))
    red, blue = _colours(keys)
    return SkyStars(
        np.asarray(lon.deg, dtype=np.float64) % 360.0,
        np.asarray(lat.deg, dtype=np.float64),
        mag, red, blue, np.full(n, np.nan),
    )  # fmt: skip
