"""The detection image: superpixels smoothed by the kernel of a small star, in one pass."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit

__all__ = ["SATURATION_ADU", "SMOOTHED_NOISE_GAIN", "SMOOTHED_WEIGHT", "smoothed_superpixels"]

#: From here on the 16-bit pixels of a raw frame count as saturated: a little below the last code,
#: for a dark frame has been subtracted.
SATURATION_ADU = 62000.0
#: Sum of the weights with which one smoothed superpixel adds up pixels: 4 pixels x 16.
SMOOTHED_WEIGHT = 64.0
#: Noise of one smoothed superpixel in units of the noise of one pixel: sqrt(4 x 36).
SMOOTHED_NOISE_GAIN = 12.0


@njit(fastmath={"contract", "reassoc", "nsz", "arcp"})
def _smooth_into(image: NDArray[np.generic], out: NDArray[np.float32]) -> None:
    ny, nx = out.shape
    # Three rows are smoothed across and kept, so that the mosaic is read once, in order.
    across = np.empty((3, nx), np.float32)
    sums = np.empty(nx + 2, np.float32)
    for i in range(ny + 1):
        if i < ny:
            upper = image[2 * i]
            lower = image[2 * i + 1]
            for j in range(nx):
                sums[j + 1] = (
                    np.float32(upper[2 * j])
                    + np.float32(upper[2 * j + 1])
                    + np.float32(lower[2 * j])
                    + np.float32(lower[2 * j + 1])
                )
            sums[0] = sums[1]
            sums[nx + 1] = sums[nx]
            row = across[i % 3]
            for j in range(nx):
                row[j] = sums[j] + sums[j + 1] + sums[j + 1] + sums[j + 2]
        if i >= 1:
            here = across[(i - 1) % 3]
            above = across[(i - 2) % 3] if i >= 2 else here
            below = across[i % 3] if i < ny else here
            target = out[i - 1]
            for j in range(nx):
                target[j] = above[j] + here[j] + here[j] + below[j]


_scratch = threading.local()


def smoothed_superpixels(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """Add up 2 x 2 pixels and smooth the sums by [1 2 1] x [1 2 1], unnormalised.

    Each superpixel of a Bayer mosaic holds one red, one blue and two green pixels wherever it lies,
    so that the sum has no colour lattice left, and the smoothing is close to the matched filter of
    a star of three pixels' width. Edges are repeated.

    Parameters
    ----------
    image : ndarray of uint16 or float32, shape (ny, nx)
        Mosaic or luminance without NaN; an odd last row or column is left out.

    Returns
    -------
    ndarray of float32, shape (ny // 2, nx // 2)
        A constant image of value v gives ``SMOOTHED_WEIGHT * v``. The array is used again by the
        next call in the same thread.
    """
    shape = (image.shape[0] // 2, image.shape[1] // 2)
    # Fresh megabytes cost as much in page faults as the whole pass: each thread keeps its own.
    out: NDArray[np.float32] | None = getattr(_scratch, "smooth", None)
    if out is None or out.shape != shape:
        out = np.empty(shape, np.float32)
        _scratch.smooth = out
    _smooth_into(image, out)
    return out
