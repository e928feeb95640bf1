"""Bare star lists with known truth, to test a solver over the whole sky without pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.astrometry.catalogue import CatalogueSource, bundled_catalogue
from crowdsky.errors import SimulationError
from crowdsky.frames.telescopes import TELESCOPES
from crowdsky.simulate.tan_wcs import TanWcs
from crowdsky.stars.star_list import StarList

__all__ = ["random_pointings", "simulate_star_list"]

ZERO_POINT_ADU = 23.05
"""Magnitude of a star that gives an S50 one ADU of green in ten seconds."""


def simulate_star_list(
    model: str,
    ra_deg: float,
    dec_deg: float,
    rotation_deg: float,
    rng: np.random.Generator,
    *,
    noise_arcsec: float = 0.5,
    mag_noise: float = 0.2,
    drop: float = 0.1,
    n_false: int = 3,
    max_stars: int = 60,
    epoch_jyear: float = 2025.0,
    scale_error: float = 0.0,
    catalogue: CatalogueSource | None = None,
) -> tuple[StarList, TanWcs]:
    """The star list that a frame of some place would give.

    Parameters
    ----------
    model : str
        ``'S50'``, ``'S30'`` or ``'S30 Pro'``.
    ra_deg, dec_deg, rotation_deg : float
        Centre of the frame (ICRS) and position angle of the direction of growing y.
    rng : numpy.random.Generator
        All the chance in it.
    noise_arcsec : float
        One-axis standard deviation of positions.
    mag_noise : float
        Standard deviation of magnitudes, which mixes up the order and which stars are in the list.
    drop : float
        Share of stars that were not detected.
    n_false : int
        Detections that are no stars: anywhere, as bright as any true one.
    max_stars : int
        Length of the list, false ones included.
    epoch_jyear : float
        Epoch of the star positions.
    scale_error : float
        Relative error of the true plate scale against the model's.
    catalogue : CatalogueSource, optional
        Where the stars come from; the bundled catalogue by default.

    Returns
    -------
    StarList
        Brightest first; it may hold false stars only, where the sky is empty.
    TanWcs
        The truth.

    Raises
    ------
    SimulationError
        If the model is not known.
    """
    if model not in TELESCOPES:
        raise SimulationError(f"the model must be one of {', '.join(TELESCOPES)}", value=model)
    telescope = TELESCOPES[model]
    wcs = TanWcs(
        ra_deg % 360.0, dec_deg, rotation_deg,
        telescope.scale_arcsec_per_px * (1.0 + scale_error), telescope.nx, telescope.ny,
    )  # fmt: skip
    catalogue = catalogue or bundled_catalogue()
    found = catalogue.cone(wcs.ra_deg, dec_deg, wcs.radius_deg + 0.01, epoch_jyear=epoch_jyear)
    x, y = wcs.sky_to_pixel(found.ra_deg, found.dec_deg)
    n = len(x)
    noise_px = noise_arcsec / wcs.scale_arcsec_per_px
    x = x + noise_px * rng.standard_normal(n)
    y = y + noise_px * rng.standard_normal(n)
    mag = found.mag + mag_noise * rng.standard_normal(n)
    kept = _inside(x, y, wcs) & (rng.random(n) >= drop)
    x, y, mag = x[kept], y[kept], mag[kept]
    brightest = np.argsort(mag, kind="stable")[: max(max_stars - n_false, 0)]
    x, y, mag = x[brightest], y[brightest], mag[brightest]

    false_mag = rng.choice(mag, n_false) if len(mag) else rng.uniform(9.0, 12.0, n_false)
    x = np.concatenate([x, rng.uniform(-0.5, wcs.nx - 0.5, n_false)])
    y = np.concatenate([y, rng.uniform(-0.5, wcs.ny - 0.5, n_false)])
    mag = np.concatenate([mag, false_mag + 0.01 * rng.standard_normal(n_false)])
    order = np.argsort(mag, kind="stable")
    stars = StarList(
        x_px=x[order],
        y_px=y[order],
        flux_adu=10 ** (-0.4 * (mag[order] - ZERO_POINT_ADU)),
        shape=(wcs.ny, wcs.nx),
    )
    return stars, wcs


def _inside(x: NDArray[np.float64], y: NDArray[np.float64], wcs: TanWcs) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (x >= -0.5) & (x < wcs.nx - 0.5) & (y >= -0.5) & (y < wcs.ny - 0.5)
    return inside


def random_pointings(n: int, seed: int = 0) -> NDArray[np.float64]:
    """Pointings all over the sky, shape (n, 3): RA, Dec, rotation in degrees.

    Evenly spread on the sphere but for the first ones, which are the places where solvers trip:
    both celestial poles, the galactic poles and centre, RA 0 on several declinations.
    """
    rng = np.random.default_rng(seed)
    ra = rng.uniform(0.0, 360.0, n)
    dec = np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, n)))
    special = np.array(
        [
            (0.0, 90.0), (0.0, -90.0), (123.0, 89.8), (301.0, -89.8),
            (192.859, 27.128), (12.859, -27.128), (266.405, -28.936), (86.405, 28.936),
            (0.0, 0.0), (359.999, 45.0), (0.001, -45.0), (0.0, 80.0), (180.0, 0.0),
        ]
    )[:n]  # fmt: skip
    ra[: len(special)], dec[: len(special)] = special[:, 0], special[:, 1]
    return np.column_stack([ra, dec, rng.uniform(-180.0, 180.0, n)])
