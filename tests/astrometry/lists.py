"""Star lists and plate solutions for the solver's tests, and how far off an answer is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdsky.astrometry import PlateSolution
from crowdsky.astrometry.plate_solution import Sip
from crowdsky.astrometry.tangent_plane import unit_vectors
from crowdsky.frames import TELESCOPES
from crowdsky.simulate import TanWcs, simulate_star_list
from crowdsky.stars import StarList

FloatArray = NDArray[np.float64]

S50_SCALE = TELESCOPES["S50"].scale_arcsec_per_px
S50_SHAPE = (1920, 1080)
M94 = (192.78, 41.12)


def s50_list(
    ra_deg: float = M94[0], dec_deg: float = M94[1], seed: int = 1, **how: Any
) -> tuple[StarList, TanWcs]:
    """A list of an S50 frame turned by 33 degrees, and its truth."""
    rng = np.random.default_rng(seed)
    return simulate_star_list("S50", ra_deg, dec_deg, 33.0, rng, **how)


def separation_arcsec(
    ra_deg: ArrayLike, dec_deg: ArrayLike, other_ra_deg: ArrayLike, other_dec_deg: ArrayLike
) -> FloatArray:
    """Angle between directions, exact for small ones and at the poles."""
    chord = unit_vectors(ra_deg, dec_deg) - unit_vectors(other_ra_deg, other_dec_deg)
    half = np.clip(np.linalg.norm(chord, axis=-1) / 2, 0, 1)
    return np.asarray(np.degrees(2 * np.arcsin(half)) * 3600.0)


def corners(shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Pixels of the four corners and the centre."""
    ny, nx = shape
    x = np.array([0, nx - 1, 0, nx - 1, (nx - 1) / 2], dtype=np.float64)
    y = np.array([0, 0, ny - 1, ny - 1, (ny - 1) / 2], dtype=np.float64)
    return x, y


def error_arcsec(solution: PlateSolution, truth: TanWcs) -> float:
    """Largest distance between solution and truth at the corners and the centre of the frame."""
    x, y = corners((truth.ny, truth.nx))
    return float(separation_arcsec(*solution.pixel_to_sky(x, y), *truth.pixel_to_sky(x, y)).max())


def is_right(solution: PlateSolution, truth: TanWcs, within_arcsec: float = 10.0) -> bool:
    """Whether the whole frame lies where it is; a wrong answer misses by degrees."""
    return error_arcsec(solution, truth) < within_arcsec


def chosen(stars: StarList, index: ArrayLike) -> StarList:
    """Some stars of a list, in the order of ``index``."""
    at = np.asarray(index)
    return StarList(stars.x_px[at], stars.y_px[at], stars.flux_adu[at], shape=stars.shape)


def moved(stars: StarList, x_px: FloatArray, y_px: FloatArray) -> StarList:
    """The same stars at other pixels."""
    return StarList(x_px, y_px, stars.flux_adu, shape=stars.shape)


def random_list(rng: np.random.Generator, n: int, shape: tuple[int, int] = S50_SHAPE) -> StarList:
    """Detections without any sky behind them."""
    ny, nx = shape
    flux = np.sort(rng.lognormal(8.0, 1.0, n))[::-1]
    return StarList(rng.uniform(0, nx, n), rng.uniform(0, ny, n), flux, shape=shape)


def scrambled(stars: StarList, rng: np.random.Generator) -> StarList:
    """The x of one star with the y of another: nothing in it is true."""
    return moved(stars, stars.x_px, rng.permutation(stars.y_px))


def plate(
    ra_deg: float,
    dec_deg: float,
    rotation_deg: float = 0.0,
    *,
    scale_arcsec_per_px: float = S50_SCALE,
    parity: int = 1,
    shape: tuple[int, int] = S50_SHAPE,
    sip: Sip | None = None,
) -> PlateSolution:
    """A plate solution of given attitude, with no stars."""
    angle = np.radians(rotation_deg)
    cd = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    cd = cd * scale_arcsec_per_px / 3600.0
    cd[:, 0] *= parity
    none = np.empty(0, dtype=np.int64)
    return PlateSolution(
        shape=shape, ra_deg=ra_deg, dec_deg=dec_deg, cd=cd, mode="blind", n_stars=0,
        star_index=none, catalogue_row=none, residual_arcsec=np.empty((0, 2)), log_odds=20.0,
        n_tried=1, sip=sip,
    )  # fmt: skip
