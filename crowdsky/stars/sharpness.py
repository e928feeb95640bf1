"""Hot pixels and cosmic rays: light that the optics could not have put into so few pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit
from crowdsky.stars.luminance import SMOOTHED_NOISE_GAIN, SMOOTHED_WEIGHT

__all__ = ["find_sharp", "is_sharp"]


@njit()
def _looks_sharp(pixels: NDArray[np.generic], i: int, j: int, level: float, noise: float) -> bool:
    """Whether nearly all the light of superpixel (i, j) and its neighbours is in one pixel."""
    ny, nx = pixels.shape
    best = -1e30
    bi = 0
    bj = 0
    for y in range(max(2 * i - 1, 0), min(2 * i + 3, ny)):
        for x in range(max(2 * j - 1, 0), min(2 * j + 3, nx)):
            value = float(pixels[y, x])
            if value > best:
                best = value
                bi = y
                bj = x
    best -= level
    if best < 8.0 * noise:
        return False
    around = 0.0
    for y in range(max(bi - 2, 0), min(bi + 3, ny)):
        for x in range(max(bj - 2, 0), min(bj + 3, nx)):
            around += float(pixels[y, x]) - level
    return around - best < 0.5 * best


@njit()
def find_sharp(
    pixels: NDArray[np.generic],
    image: NDArray[np.float32],
    places: NDArray[np.int32],
    measured: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Mark the peaks that look like hot pixels, judged by the level of the ring around each.

    Parameters
    ----------
    pixels : ndarray of uint16 or float32
        The frame.
    image : ndarray of float32
        Its detection image.
    places : ndarray of int32, shape (n, 2)
        Row and column of each peak in the detection image.
    measured : ndarray of float32, shape (n, 2)
        Contrast and local noise of each peak.
    """
    sharp = np.zeros(len(places), np.bool_)
    for k in range(len(places)):
        i = places[k, 0]
        j = places[k, 1]
        level = (image[i, j] - measured[k, 0]) / SMOOTHED_WEIGHT
        sharp[k] = _looks_sharp(pixels, i, j, level, measured[k, 1] / SMOOTHED_NOISE_GAIN)
    return sharp


@njit()
def is_sharp(
    image: NDArray[np.generic],
    cfa: NDArray[np.int64],
    cx: int,
    cy: int,
    background: NDArray[np.float64],
    noise: float,
) -> bool:
    """Tell a hot pixel (or a pair) from a star by the light around the brightest pixel."""
    ny, nx = image.shape
    best = -1e30
    bi = cy
    bj = cx
    for i in range(max(cy - 2, 0), min(cy + 3, ny)):
        for j in range(max(cx - 2, 0), min(cx + 3, nx)):
            value = image[i, j] - background[cfa[i & 1, j & 1]]
            if value > best:
                best = value
                bi = i
                bj = j
    if best < 6.0 * noise:
        return False
    around = 0.0
    largest = 0.0
    for i in range(max(bi - 2, 0), min(bi + 3, ny)):
        for j in range(max(bj - 2, 0), min(bj + 3, nx)):
            if i == bi and j == bj:
                continue
            value = image[i, j] - background[cfa[i & 1, j & 1]]
            around += value
            largest = max(largest, value)
    # A white star of FWHM 1.5 px leaves 1.2 of its highest pixel here, one of 2.9 px some 6.
    return around - largest < 0.5 * best
