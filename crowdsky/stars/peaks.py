"""Peaks of the detection image that stand out from their own surroundings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit
from crowdsky.stars.background import BackgroundMesh, interpolate, low_quantile
from crowdsky.stars.sharpness import find_sharp

__all__ = ["Peaks", "find_peaks"]

# A ring of five superpixels' radius: outside the core of a star, inside the scale of nebulosity.
_RING = np.array(
    [
        (0, 5), (2, 5), (4, 4), (5, 2), (5, 0), (5, -2), (4, -4), (2, -5),
        (0, -5), (-2, -5), (-4, -4), (-5, -2), (-5, 0), (-5, 2), (-4, 4), (-2, 5),
    ],
    dtype=np.int64,
)  # fmt: skip
_BORDER = 1
_CHUNK = 64
#: How far a bright star's halo is searched for noise peaks that ride on it, in superpixels.
_HALO = 16


class Peaks(NamedTuple):
    """Peaks by falling contrast, those that look like hot pixels behind the others.

    Attributes
    ----------
    x_px, y_px : ndarray of float64, shape (n,)
        Positions in full-resolution pixels, good to about half a pixel.
    contrast : ndarray of float32, shape (n,)
        Height above the ring around the peak, in units of the detection image.
    significance : ndarray of float32, shape (n,)
        Contrast over the local noise of the detection image.
    variance_px2 : float
        Typical variance of the profile along one axis in pixel^2, from the curvature of the peaks.
    """

    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    contrast: NDArray[np.float32]
    significance: NDArray[np.float32]
    variance_px2: float


@njit(fastmath=True)
def _any_above(values: NDArray[np.float32], limit: np.float32) -> np.bool_:
    count = np.float32(0.0)
    for k in range(len(values)):
        count += np.float32(1.0) if values[k] > limit else np.float32(0.0)
    return count > np.float32(0.0)


@njit()
def _lowest_limits(
    limits: NDArray[np.float32], ny: int, nx: int, chunk: int
) -> NDArray[np.float32]:
    """Lowest threshold that can hold anywhere in a block of ``chunk`` x ``chunk`` pixels."""
    rows, columns = limits.shape
    out = np.empty(((ny + chunk - 1) // chunk, (nx + chunk - 1) // chunk), np.float32)
    for i in range(out.shape[0]):
        # The nodes on either side of the block's first and last pixel bound its thresholds.
        top = max(int((i * chunk + 0.5) * rows / ny - 0.5), 0)
        bottom = min(int((min((i + 1) * chunk, ny) - 0.5) * rows / ny - 0.5) + 1, rows - 1)
        for j in range(out.shape[1]):
            left = max(int((j * chunk + 0.5) * columns / nx - 0.5), 0)
            right = min(int((min((j + 1) * chunk, nx) - 0.5) * columns / nx - 0.5) + 1, columns - 1)
            lowest = limits[top, left]
            for k in range(top, bottom + 1):
                for m in range(left, right + 1):
                    lowest = min(lowest, limits[k, m])
            out[i, j] = lowest
    return out


@njit(fastmath=True)
def _mark_maxima(
    here: NDArray[np.float32],
    left: NDArray[np.float32],
    right: NDArray[np.float32],
    above: NDArray[np.float32],
    below: NDArray[np.float32],
    limit: np.float32,
    marks: NDArray[np.uint8],
) -> None:
    """Mark the values above a limit and their four neighbours; branch-free, for vectors."""
    for k in range(len(here)):
        value = here[k]
        marks[k] = (
            (value > limit)
            & (value > left[k])
            & (value >= right[k])
            & (value > above[k])
            & (value >= below[k])
        )


@njit()
def _is_maximum(image: NDArray[np.float32], i: int, j: int) -> bool:
    """Whether a marked pixel tops its diagonal neighbours; of equals, the first counts."""
    value = image[i, j]
    return not (
        image[i - 1, j - 1] >= value
        or image[i - 1, j + 1] >= value
        or image[i + 1, j - 1] > value
        or image[i + 1, j + 1] > value
    )


@njit()
def _doubled(
    places: NDArray[np.int32], heights: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Copies with room for twice as many peaks."""
    n = len(places)
    more_places = np.empty((2 * n, 2), np.int32)
    more_heights = np.empty((2 * n, 2), np.float32)
    for k in range(n):
        for m in range(2):
            more_places[k, m] = places[k, m]
            more_heights[k, m] = heights[k, m]
    return more_places, more_heights


@njit()
def _scan(
    image: NDArray[np.float32],
    level: NDArray[np.float32],
    sigma: NDArray[np.float32],
    n_sigma: float,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Rows and columns of the peaks, and for each its contrast and the local noise."""
    ny, nx = image.shape
    places = np.empty((512, 2), np.int32)
    heights = np.empty((512, 2), np.float32)
    ring = np.empty(16, np.float32)
    marks = np.empty(_CHUNK, np.uint8)
    limits = level + np.float32(n_sigma) * sigma
    lowest = _lowest_limits(limits, ny, nx, _CHUNK)
    n = 0
    for i in range(_BORDER, ny - _BORDER):
        row = image[i]
        for c in range(lowest.shape[1]):
            start = max(c * _CHUNK, _BORDER)
            stop = min((c + 1) * _CHUNK, nx - _BORDER)
            least = lowest[i // _CHUNK, c]
            if stop <= start or not _any_above(row[start:stop], least):
                continue
            _mark_maxima(
                row[start:stop], row[start - 1 : stop - 1], row[start + 1 : stop + 1],
                image[i - 1, start:stop], image[i + 1, start:stop], least, marks,
            )  # fmt: skip
            for m in range(stop - start):
                if marks[m] == 0:
                    continue
                j = start + m
                value = row[j]
                if value <= interpolate(limits, i, j, ny, nx) or not _is_maximum(image, i, j):
                    continue
                for k in range(16):
                    y = min(max(i + _RING[k, 0], 0), ny - 1)
                    x = min(max(j + _RING[k, 1], 0), nx - 1)
                    ring[k] = image[y, x]
                height = value - low_quantile(ring, 8)
                spread = interpolate(sigma, i, j, ny, nx)
                if height <= np.float32(n_sigma) * spread:
                    continue
                if n == len(places):
                    places, heights = _doubled(places, heights)
                places[n, 0] = i
                places[n, 1] = j
                heights[n, 0] = height
                heights[n, 1] = spread
                n += 1
    return places[:n], heights[:n]


@njit()
def _lowest_between(image: NDArray[np.float32], i0: int, j0: int, i1: int, j1: int) -> np.float32:
    steps = max(abs(i1 - i0), abs(j1 - j0))
    lowest: np.float32 = min(image[i0, j0], image[i1, j1])
    for k in range(1, steps):
        i = i0 + (2 * k * (i1 - i0) + steps) // (2 * steps)
        j = j0 + (2 * k * (j1 - j0) + steps) // (2 * steps)
        lowest = min(lowest, image[i, j])
    return lowest


@njit()
def _select(
    image: NDArray[np.float32],
    places: NDArray[np.int32],
    measured: NDArray[np.float32],
    sharp: NDArray[np.bool_],
    order: NDArray[np.int64],
    n_wanted: int,
    min_dip: float,
) -> tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float32], NDArray[np.float32], float
]:
    contrast = measured[:, 0]
    noise = measured[:, 1]
    kept = np.empty(min(n_wanted, len(order)), np.int64)
    variances = np.empty(64, np.float32)
    n_variances = 0
    n = 0
    for k in order:
        if n == len(kept):
            break
        i = places[k, 0]
        j = places[k, 1]
        real = True
        for m in range(0 if sharp[k] else n):
            i1 = places[kept[m], 0]
            j1 = places[kept[m], 1]
            if abs(i1 - i) > _HALO or abs(j1 - j) > _HALO:
                continue
            # A companion is parted from its bright neighbour by a dip; a noise peak in the
            # neighbour's halo, or the second peak of a flat top, is not.
            dip = image[i, j] - _lowest_between(image, i, j, i1, j1)
            if dip < 3.0 * noise[k] or dip < min_dip * contrast[k]:
                real = False
                break
        if not real:
            continue
        kept[n] = k
        n += 1
    x = np.empty(n)
    y = np.empty(n)
    heights = np.empty(n, np.float32)
    significance = np.empty(n, np.float32)
    for m in range(n):
        k = kept[m]
        i = places[k, 0]
        j = places[k, 1]
        pedestal = image[i, j] - contrast[k]
        sides_x = image[i, j - 1] + image[i, j + 1] - 2 * pedestal
        sides_y = image[i - 1, j] + image[i + 1, j] - 2 * pedestal
        curve_x = 2 * contrast[k] - sides_x
        curve_y = 2 * contrast[k] - sides_y
        shift_x = 0.5 * (image[i, j + 1] - image[i, j - 1]) / curve_x if curve_x > 0 else 0.0
        shift_y = 0.5 * (image[i + 1, j] - image[i - 1, j]) / curve_y if curve_y > 0 else 0.0
        # The centre of superpixel j lies between its two pixels.
        x[m] = 2.0 * (j + shift_x) + 0.5
        y[m] = 2.0 * (i + shift_y) + 0.5
        heights[m] = contrast[k]
        significance[m] = contrast[k] / max(noise[k], np.float32(1e-6))
        sides = 0.25 * (sides_x + sides_y)
        if n_variances < 64 and not sharp[k] and 0 < sides < contrast[k]:
            # ln(centre / side) of a Gaussian sampled 2 px apart, less what the superpixel (1/3) and
            # the smoothing (2 px^2) have added to its variance.
            variance = 2.0 / np.log(contrast[k] / sides) - 2.0 - 1.0 / 3.0
            if variance > 0.7:
                variances[n_variances] = variance
                n_variances += 1
    typical = np.float32(1.5)
    if n_variances > 0:
        # The lower quartile: knots of a nebula are wider than stars, nothing is narrower.
        typical = low_quantile(variances[:n_variances], n_variances // 4)
    return x, y, heights, significance, float(typical)


def find_peaks(
    pixels: NDArray[np.uint16] | NDArray[np.float32],
    image: NDArray[np.float32],
    mesh: BackgroundMesh,
    *,
    n_sigma: float = 5.0,
    max_peaks: int = 500,
    min_dip: float = 0.15,
) -> Peaks:
    """Find local maxima above the background *and* above the ring around them.

    The second condition is what makes bright nebulosity, the disc of a galaxy or a gradient fall
    away: there the ring is as bright as the peak. Noise peaks in the halo of a bright star are told
    from companions by the dip between the two.

    Parameters
    ----------
    pixels : ndarray of uint16 or float32, shape (2 * ny, 2 * nx) or one more
        The frame itself, to tell hot pixels from stars.
    image : ndarray of float32, shape (ny, nx)
        Detection image (see `crowdsky.stars.luminance`).
    mesh : BackgroundMesh
        Its background and noise.
    n_sigma : float
        Threshold in standard deviations of the detection image.
    max_peaks : int
        Most peaks to return.
    min_dip : float
        Least dip towards a brighter neighbour, as a fraction of the peak's contrast.

    Returns
    -------
    Peaks
        By falling contrast, those that look like hot pixels last; without entries where nothing
        stands out.
    """
    if min(image.shape) <= 2 * _BORDER:
        nothing = np.empty(0, np.float32)
        return Peaks(np.empty(0), np.empty(0), nothing, nothing, 1.5)
    places, measured = _scan(image, mesh.level, mesh.sigma, n_sigma)
    sharp = find_sharp(pixels, image, places, measured)
    # Hot pixels may outnumber the stars by far: they must not use up the places.
    order = np.lexsort((-measured[:, 0], sharp))
    return Peaks(*_select(image, places, measured, sharp, order, max_peaks, min_dip))
