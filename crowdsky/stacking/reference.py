"""The reference image: the median of a few frames, and how far a frame may stray from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit
from crowdsky.stacking.accumulate import EXTRA_UNIT_ADU, PEDESTAL_ADU
from crowdsky.stacking.mosaic import sort_rows
from crowdsky.stacking.options import StackSettings
from crowdsky.stacking.sky import SkyGrid, match_sky

__all__ = [
    "Reference",
    "allowance",
    "local_range",
    "make_reference",
    "median_reference",
    "stored_samples",
]

#: How far the local range of red, green and blue looks. The spacing of a colour's samples on the
#: sensor: a star's debayered profile depends on where it fell among them, for red and blue a lot.
_RANGE_PX = (2, 1, 2)


@dataclass(frozen=True)
class Reference:
    """What frames are matched to and outliers are told from.

    Attributes
    ----------
    image : ndarray of uint16, shape (3, ny, nx)
        Median of a few frames, with pedestal.
    extra : ndarray of uint16, shape (3, ny, nx)
        Addition to the rejection limit of each pixel (`allowance`).
    samples : ndarray of float32, shape (3, n_rows, n_columns)
        The image on the comb of `SkyGrid`, without pedestal; NaN where there is none.
    k_sigma : float
        Sigmas of noise to the rejection limit; negative where nothing can be rejected.
    """

    image: NDArray[np.uint16]
    extra: NDArray[np.uint16]
    samples: NDArray[np.float32]
    k_sigma: float


def stored_samples(image: NDArray[np.uint16], grid: SkyGrid) -> NDArray[np.float32]:
    """The comb's values of a resampled frame that carries the pedestal; NaN where it has none."""
    raw = grid.of(image)
    level = raw.astype(np.float32) - np.float32(PEDESTAL_ADU)
    level[raw == 0] = np.nan
    return level


def make_reference(
    stored: NDArray[np.uint16],
    scales: NDArray[np.float64],
    grid: SkyGrid,
    settings: StackSettings,
    n_frames: int,
) -> Reference:
    """Match a few resampled frames to each other and take their median.

    Parameters
    ----------
    stored : ndarray of uint16, shape (n, 3, ny, nx)
        With pedestal; 0 where a frame does not reach.
    scales : ndarray of float64, shape (n,)
    grid : SkyGrid
    settings : StackSettings
    n_frames : int
        Frames of the whole stack.
    """
    n, _, ny, nx = stored.shape
    # all are matched to the one in the middle, so that none is far from it in rotation
    middle = n // 2
    base = stored_samples(stored[middle], grid) * np.float32(scales[middle])
    skies = np.zeros((n, 3, 6))
    spreads = []
    for i in range(n):
        if i == middle:
            continue
        match = match_sky(
            stored_samples(stored[i], grid), base, grid, scale=scales[i], order=settings.sky_order
        )
        skies[i] = match.coefficients
        spreads.append(match.sigma_adu)
    image = np.empty((3, ny, nx), np.uint16)
    depth = np.empty((ny, nx), np.uint8)
    # Frames are matched to the middle of the values, outliers told from it; but of two frames the
    # lower is the one without the satellite, and the middle moves with it.
    median_reference(stored, scales, skies, False, image, depth)
    samples = grid.of(image).astype(np.float32) - np.float32(PEDESTAL_ADU)
    samples[:, grid.of(depth) == 0] = np.nan
    if n == 2:
        median_reference(stored, scales, skies, True, image, depth)
    extra = np.zeros((3, ny, nx), np.uint16)
    if n == 1 or settings.reject_sigma == 0:
        return Reference(image, extra, samples, -1.0)
    k_sigma = settings.reject_sigma_few if n_frames <= 3 else settings.reject_sigma
    if n == 2:
        k_sigma *= 2.0  # frames differ twice as much from each other as from their mean
    # a frame against the median: its own noise, half the variance of two frames' difference, and
    # the median's, pi / 2 n of that
    sigma = np.median(np.array(spreads), axis=0) * np.sqrt(0.5 * (1.0 + 0.5 * np.pi / n))
    level = np.array([_median(s) for s in samples])
    # all of the sky's variance taken for shot noise: an upper bound of its growth with the signal
    slope = sigma**2 / np.maximum(level, np.maximum(sigma, 1.0))
    allowance(
        image,
        depth,
        min(3, n),
        sigma,
        level + PEDESTAL_ADU,
        slope,
        k_sigma,
        settings.gradient_allowance,
        _ranges(image, extra),
        extra,
    )
    return Reference(image, extra, samples, k_sigma)


def _ranges(image: NDArray[np.uint16], out: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Fill `out` with the local range of each colour; what it is on empty sky (75th percentile)."""
    noise = np.zeros(3)
    for c, reach in enumerate(_RANGE_PX):
        local_range(image[c], reach, out[c])
        noise[c] = np.percentile(out[c, 4:-4:31, 4:-4], 75)
    return noise


def _median(values: NDArray[np.float32]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0


@njit(fastmath=True)
def _match_row(stored, xn, scale, s0, s1, s2, pedestal, out):
    low = np.float32(0.0)
    high = np.float32(65534.0)
    half = np.float32(0.5)
    for x in range(out.size):
        raw = np.float32(stored[x])
        v = scale * (raw - pedestal) - (s0 + xn[x] * (s1 + xn[x] * s2)) + pedestal + half
        v = v if v > low else low
        v = v if v < high else high
        out[x] = np.uint16(np.int32(v)) if stored[x] > 0 else np.uint16(65535)


@njit()
def median_reference(stored, scales, skies, lower_of_two, reference, depth):
    """Median of resampled frames, pixel by pixel, after matching their sky and flux scale.

    Parameters
    ----------
    stored : ndarray of uint16, shape (n, 3, ny, nx)
        With pedestal; 0 where a frame does not reach.
    scales : ndarray of float64, shape (n,)
    skies : ndarray of float64, shape (n, 3, 6)
    lower_of_two : bool
        Where two frames reach, take the lower instead of their mean.
    reference : ndarray of uint16, shape (3, ny, nx)
        Receives the median with pedestal. Of two values the lower is taken: what spoils one
        frame of two is nearly always light.
    depth : ndarray of uint8, shape (ny, nx)
        Receives the number of frames behind each pixel.
    """
    n = len(stored)
    ny, nx = depth.shape
    rows = np.empty((n, nx), np.uint16)
    xn = (2.0 * np.arange(nx) / max(nx - 1, 1) - 1.0).astype(np.float32)
    pedestal = np.float32(PEDESTAL_ADU)
    for y in range(ny):
        yn = 2.0 * y / max(ny - 1, 1) - 1.0
        for x in range(nx):
            count = 0
            for i in range(n):
                if stored[i, 0, y, x] > 0:
                    count += 1
            depth[y, x] = count
        for c in range(3):
            for i in range(n):
                sky = skies[i, c]
                _match_row(
                    stored[i, c, y],
                    xn,
                    np.float32(scales[i]),
                    np.float32(sky[0] + yn * (sky[2] + yn * sky[5])),
                    np.float32(sky[1] + yn * sky[4]),
                    np.float32(sky[3]),
                    pedestal,
                    rows[i],
                )
            sort_rows(rows)
            for x in range(nx):
                count = depth[y, x]
                if count == 0:
                    reference[c, y, x] = np.uint16(pedestal)
                    continue
                v = np.int32(rows[(count - 1) // 2, x])
                if count % 2 == 0 and not (count == 2 and lower_of_two):
                    v = (v + np.int32(rows[count // 2, x]) + 1) // 2
                reference[c, y, x] = np.uint16(v)


@njit()
def local_range(plane, reach, out):
    """Largest minus smallest value within `reach` pixels along x and y, of a uint16 image."""
    ny, nx = plane.shape
    high = np.empty(nx, np.uint16)
    low = np.empty(nx, np.uint16)
    for y in range(ny):
        first = max(y - reach, 0)
        high[:] = plane[first]
        low[:] = plane[first]
        for row in range(first + 1, min(y + reach + 1, ny)):
            source = plane[row]
            for x in range(nx):
                v = source[x]
                high[x] = v if v > high[x] else high[x]
                low[x] = v if v < low[x] else low[x]
        target = out[y]
        for x in range(nx):
            top = high[x]
            bottom = low[x]
            for i in range(max(x - reach, 0), min(x + reach + 1, nx)):
                top = high[i] if high[i] > top else top
                bottom = low[i] if low[i] < bottom else bottom
            target[x] = top - bottom


@njit()
def allowance(image, depth, least_depth, sigma, sky, slope, k, gradient, noise, extra):
    """Turn local ranges into additions to the rejection limit, in units of `EXTRA_UNIT_ADU`.

    Parameters
    ----------
    image : ndarray of uint16, shape (3, ny, nx)
        The reference, with pedestal.
    depth : ndarray of uint8, shape (ny, nx)
    least_depth : int
        Where fewer frames than this made the reference nothing is rejected.
    sigma, sky, slope : ndarray of float64, shape (3,)
        Noise on empty sky (ADU), level of that sky (pedestal included), and growth of the variance
        with the signal (ADU squared per ADU).
    k : float
        The rejection's sigma.
    gradient : float
        Multiple of the local range.
    noise : ndarray of float64, shape (3,)
        What the range shows on empty sky, taken off.
    extra : ndarray of uint16, shape (3, ny, nx)
        Holds the local ranges, receives the additions.
    """
    ny, nx = depth.shape
    top = np.float32(65534.0)
    nothing = np.float32(0.0)
    for c in range(3):
        variance = np.float32(sigma[c] * sigma[c])
        s0 = np.float32(sigma[c])
        level = np.float32(sky[c])
        steep = np.float32(slope[c])
        floor_noise = np.float32(noise[c])
        g = np.float32(gradient / EXTRA_UNIT_ADU)
        kk = np.float32(k / EXTRA_UNIT_ADU)
        for y in range(ny):
            here = image[c, y]
            target = extra[c, y]
            for x in range(nx):
                d = max(np.float32(target[x]) - floor_noise, nothing)
                signal = max(np.float32(here[x]) - level, nothing)
                shot = np.sqrt(variance + steep * signal) - s0
                target[x] = np.uint16(min(g * d + kk * shot, top))
            for x in range(nx):
                if depth[y, x] < least_depth:
                    target[x] = 65535
