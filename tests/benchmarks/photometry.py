"""Figures of merit of an image of stars, measured the same way on every stacker's result.

Signal to noise is the summed flux of the brightest unsaturated stars over the scatter of empty
apertures of the same size: unlike the noise of pixels, it is not flattered by the smoothing that
any interpolation does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray

RADIUS_PX = 5.0
N_STARS = 20
N_EMPTY = 3000
EDGE_PX = 60
SATURATED_ADU = 45_000.0

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """Stars of one image.

    Attributes
    ----------
    x, y, flux : ndarray
        Of the chosen stars, brightest first.
    empty_scatter : float
        Robust standard deviation of the flux of empty apertures.
    fwhm_px : float
        Median over the chosen stars.
    n_detected : int
        Stars at 5 sigma.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    empty_scatter: float
    fwhm_px: float
    n_detected: int

    @property
    def snr(self) -> float:
        """Summed flux over the scatter of empty apertures."""
        return float(self.flux.sum() / self.empty_scatter)


def flattened(image: Image) -> tuple[Image, float]:
    """The image without its background, and its pixel noise."""
    image = np.ascontiguousarray(image, dtype=np.float32)
    background = sep.Background(image, bw=64, bh=64)
    return np.ascontiguousarray(image - background.back()), float(background.globalrms)


def measure(image: Image, places: tuple[NDArray, NDArray] | None = None) -> Measured:
    """Measure an image at its own brightest stars, or at given places."""
    flat, noise = flattened(image)
    found, segments = sep.extract(flat, 5.0, err=noise, minarea=5, segmentation_map=True)
    if places is None:
        ny, nx = flat.shape
        inside = (
            (found["x"] > EDGE_PX) & (found["x"] < nx - EDGE_PX)
            & (found["y"] > EDGE_PX) & (found["y"] < ny - EDGE_PX)
        )  # fmt: skip
        peak = found["peak"] * (1.0 if flat.max() > 100 else 65535.0)
        good = inside & (found["flag"] == 0) & (peak < SATURATED_ADU)
        good &= (found["a"] < 1.5 * found["b"]) & (found["a"] < 3.0)
        best = np.flatnonzero(good)[np.argsort(-found["flux"][good])][:N_STARS]
        places = found["x"][best], found["y"][best]
    x, y, _ = sep.winpos(flat, places[0], places[1], 1.25)
    lost = np.hypot(x - places[0], y - places[1]) > 1.5
    x, y = np.where(lost, places[0], x), np.where(lost, places[1], y)
    flux, _, _ = sep.sum_circle(flat, x, y, RADIUS_PX)
    order = np.argsort(-flux) if places is None else np.arange(len(flux))
    return Measured(
        x[order], y[order], flux[order], _empty_scatter(flat, segments > 0),
        _fwhm(flat, x, y), len(found),
    )  # fmt: skip


def _empty_scatter(flat: Image, occupied: NDArray[np.bool_]) -> float:
    rng = np.random.default_rng(1)
    ny, nx = flat.shape
    x, y = rng.uniform(EDGE_PX, nx - EDGE_PX, 20_000), rng.uniform(EDGE_PX, ny - EDGE_PX, 20_000)
    met, _, _ = sep.sum_circle(occupied.astype(np.float32), x, y, RADIUS_PX + 4)
    free = np.flatnonzero(met == 0)[:N_EMPTY]
    flux, _, _ = sep.sum_circle(flat, x[free], y[free], RADIUS_PX)
    return float(1.4826 * np.median(np.abs(flux - np.median(flux))))


def _fwhm(flat: Image, x: NDArray, y: NDArray) -> float:
    """From the flux in two circles of a Gaussian profile, median over the stars."""
    inner, _, _ = sep.sum_circle(flat, x, y, 1.5)
    outer, _, _ = sep.sum_circle(flat, x, y, RADIUS_PX)
    share = np.clip(inner / outer, 0.05, 0.95)
    sigma = 1.5 / np.sqrt(-2.0 * np.log(1.0 - share))
    return float(np.median(sigma) * 2.3548)
