"""The star list: what detection hands to matching, registration and photometry."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["StarList"]


def _empty() -> NDArray[np.float64]:
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class StarList:
    """Stars of one image, most trustworthy first.

    The order is the order in which a matcher should try them: by falling flux, with detections that
    do not look like stars (extended, too sharp, saturated blobs) moved behind those that do.

    Attributes
    ----------
    x_px, y_px : ndarray of float64, shape (n,)
        Centroids; pixel (0, 0) is the centre of the first pixel.
    flux_adu : ndarray of float64, shape (n,)
        Background-subtracted instrumental flux (any linear unit for lists read from a table).
    shape : tuple of int
        ``(ny, nx)`` of the image in full-resolution pixels.
    fwhm_px, elongation, peak_adu, snr : ndarray of float64, shape (n,) or (0,)
        Full width at half maximum, axis ratio a/b (1 = round), peak above background, flux over its
        error. Empty where the list did not come from an image.
    saturated, starlike : ndarray of bool, shape (n,) or (0,)
        Whether a pixel of the star is at the limit of the sensor; whether it looks like a star.
    background_adu, noise_adu : float
        Median background and its pixel-to-pixel standard deviation (NaN where unknown).
    """

    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    flux_adu: NDArray[np.float64]
    shape: tuple[int, int]
    fwhm_px: NDArray[np.float64] = field(default_factory=_empty)
    elongation: NDArray[np.float64] = field(default_factory=_empty)
    peak_adu: NDArray[np.float64] = field(default_factory=_empty)
    snr: NDArray[np.float64] = field(default_factory=_empty)
    saturated: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    starlike: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    background_adu: float = float("nan")
    noise_adu: float = float("nan")

    def __len__(self) -> int:
        return len(self.x_px)
