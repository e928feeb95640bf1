"""Synthetic star fields with known truth, for the tests of detection."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import erf

import numpy as np
from numpy.typing import NDArray

GRBG = np.array([[1, 0], [2, 1]])
#: Sky, in ADU, of R, G, B in a dark-sky Seestar frame.
SKY_RGB = (840.0, 995.0, 795.0)
NOISE = 80.0


@dataclass
class Field:
    """An image under construction and the truth that goes with it."""

    shape: tuple[int, int] = (480, 320)
    fwhm_px: float = 2.9
    lattice: NDArray[np.int64] = field(default_factory=lambda: GRBG)
    sky_rgb: tuple[float, float, float] = SKY_RGB

    def __post_init__(self) -> None:
        ny, nx = self.shape
        self.colour = np.tile(self.lattice, (ny // 2 + 1, nx // 2 + 1))[:ny, :nx]
        self.image = np.asarray(self.sky_rgb)[self.colour].astype(float)

    def add_star(
        self,
        x: float,
        y: float,
        flux: float,
        rgb: tuple[float, float, float] = (0.7, 1.0, 0.7),
        elongation: float = 1.0,
        angle_deg: float = 0.0,
        fwhm_px: float | None = None,
    ) -> None:
        """Add a Gaussian star, integrated over the pixels where it is round."""
        sigma = (fwhm_px or self.fwhm_px) / 2.3548200450309493
        reach = int(np.ceil(8 * sigma * elongation)) + 1
        ny, nx = self.shape
        y0, y1 = max(0, int(y) - reach), min(ny, int(y) + reach + 2)
        x0, x1 = max(0, int(x) - reach), min(nx, int(x) + reach + 2)
        if y0 >= y1 or x0 >= x1:
            return
        if elongation == 1.0:
            across = _share(np.arange(x0, x1) - x, sigma)
            along = _share(np.arange(y0, y1) - y, sigma)
            stamp = along[:, None] * across[None, :]
        else:
            v, u = np.mgrid[y0:y1, x0:x1] - np.array([y, x])[:, None, None]
            c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
            major, minor = sigma * np.sqrt(elongation), sigma / np.sqrt(elongation)
            q = ((c * u + s * v) / major) ** 2 + ((c * v - s * u) / minor) ** 2
            stamp = np.exp(-0.5 * q) / (2 * np.pi * sigma**2)
        gains = np.asarray(rgb)[self.colour[y0:y1, x0:x1]]
        self.image[y0:y1, x0:x1] += flux * gains * stamp

    def mosaic(self, seed: int | None = 1, noise: float = NOISE) -> NDArray[np.uint16]:
        """The field with noise, as a raw frame."""
        image = self.image
        if seed is not None:
            image = image + np.random.default_rng(seed).normal(0.0, noise, self.shape)
        return np.clip(np.rint(image), 0, 65535).astype(np.uint16)


def _share(offset: NDArray[np.floating], sigma: float) -> NDArray[np.float64]:
    scale = sigma * np.sqrt(2.0)
    edges = np.append(offset - 0.5, offset[-1] + 0.5) / scale
    return 0.5 * np.diff([erf(edge) for edge in edges])


def scattered(
    n: int, shape: tuple[int, int], seed: int, apart_px: float = 30.0, margin_px: float = 12.0
) -> NDArray[np.float64]:
    """Up to ``n`` random positions (x, y), not closer to each other than ``apart_px``."""
    rng = np.random.default_rng(seed)
    places: list[NDArray[np.float64]] = []
    for _ in range(60 * n):
        if len(places) == n:
            break
        place = rng.uniform(margin_px, np.array(shape[::-1]) - margin_px)
        if all(np.hypot(*(place - other)) >= apart_px for other in places):
            places.append(place)
    return np.array(places)


def matches(
    truth: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], reach: float = 1.5
) -> NDArray[np.int64]:
    """Index of the nearest detection to each true position, -1 where there is none in reach."""
    if len(x) == 0:
        return np.full(len(truth), -1)
    distance = np.hypot(truth[:, :1] - x[None, :], truth[:, 1:] - y[None, :])
    nearest = distance.argmin(axis=1)
    return np.where(distance[np.arange(len(truth)), nearest] <= reach, nearest, -1)
