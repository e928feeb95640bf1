"""An elliptical Gaussian with one height a colour, fitted to the pixels of a Bayer mosaic.

A star on a mosaic is one profile seen through three lattices with three gains. Fitting the gains
along with the profile is what keeps the centroid of a red star from being drawn to the red pixels;
and it needs no interpolated image. In the limit of one colour and a fine lattice the fit is the
Gaussian-windowed centroid and the adaptive moments of Bernstein & Jarvis (2002, AJ 123, 583).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit
from crowdsky.stars.background import low_quantile
from crowdsky.stars.gaussian import fit_gaussian
from crowdsky.stars.moments import N_MOMENTS, POWER
from crowdsky.stars.sharpness import is_sharp

__all__ = ["MAX_HALF_PX", "N_COLUMNS", "fit_stars"]

#: Half width of the largest window in pixels.
MAX_HALF_PX = 24
_BUFFER = (2 * MAX_HALF_PX + 8) ** 2

# Columns of the table of fits.
X, Y, VXX, VYY, VXY, FLUX, ERROR, PEAK, SATURATED, SHARP, LOST = range(11)
N_COLUMNS = 11

_MIN_VARIANCE_PX2 = 0.12
_BRIGHT_SNR = 60.0


@njit()
def _ring_background(
    image: NDArray[np.generic],
    cfa: NDArray[np.int64],
    cx: int,
    cy: int,
    half: int,
    values: NDArray[np.float32],
    background: NDArray[np.float64],
) -> bool:
    """Write the median of each colour in a square ring, 3 px wide, around the window."""
    ny, nx = image.shape
    inner = half + 1
    outer = half + 4
    complete = True
    for colour in range(3):
        n = 0
        used = False
        for p in range(2):
            for q in range(2):
                if cfa[p, q] != colour:
                    continue
                used = True
                top = max(cy - outer, 0)
                left = max(cx - outer, 0)
                bottom = min(cy + outer + 1, ny)
                right = min(cx + outer + 1, nx)
                left += (q - left) & 1
                for i in range(top + ((p - top) & 1), bottom, 2):
                    row = image[i]
                    if abs(i - cy) > inner:
                        for j in range(left, right, 2):
                            values[n] = row[j]
                            n += 1
                    else:
                        for j in range(left, min(cx - inner, right), 2):
                            values[n] = row[j]
                            n += 1
                        start = max(cx + inner + 1, left)
                        for j in range(start + ((q - start) & 1), right, 2):
                            values[n] = row[j]
                            n += 1
        if n > 0:
            background[colour] = low_quantile(values[:n], n // 2)
        elif used:
            complete = False
    return complete


@njit()
def _gather(
    image: NDArray[np.generic],
    cfa: NDArray[np.int64],
    cx: int,
    cy: int,
    half: int,
    saturation: float,
    background: NDArray[np.float64],
    data: NDArray[np.float32],
    dx: NDArray[np.float32],
    dy: NDArray[np.float32],
    ends: NDArray[np.int64],
) -> tuple[int, np.float32]:
    """Copy the window, colour by colour, less its background and without saturated pixels."""
    ny, nx = image.shape
    n = 0
    n_saturated = 0
    peak = np.float32(0.0)
    top = max(cy - half, 0)
    left = max(cx - half, 0)
    for colour in range(3):
        for p in range(2):
            for q in range(2):
                if cfa[p, q] != colour:
                    continue
                base = np.float32(background[colour])
                for i in range(top + ((p - top) & 1), min(cy + half + 1, ny), 2):
                    for j in range(left + ((q - left) & 1), min(cx + half + 1, nx), 2):
                        value = np.float32(image[i, j])
                        if abs(i - cy) <= 2 and abs(j - cx) <= 2:
                            peak = max(peak, value - base)
                        if value >= saturation:
                            n_saturated += 1
                            continue
                        data[n] = value - base
                        dx[n] = j - cx
                        dy[n] = i - cy
                        n += 1
        ends[colour] = n
    return n_saturated, peak


@njit()
def _write(
    row: NDArray[np.float64],
    place: NDArray[np.float64],
    heights: NDArray[np.float64],
    moments: NDArray[np.float64],
    shares: NDArray[np.float64],
    noise: float,
) -> None:
    """Put place, shape, flux and error of a fit into its row of the table."""
    det = place[2] * place[3] - place[4] * place[4]
    row[X] = place[0]
    row[Y] = place[1]
    row[VXX] = place[3] / det
    row[VYY] = place[2] / det
    row[VXY] = -place[4] / det
    area = 2.0 * np.pi / np.sqrt(det)
    flux = 0.0
    variance = 0.0
    for colour in range(3):
        flux += shares[colour] * area * heights[colour]
        power = moments[colour, POWER]
        if power > 0:
            variance += (shares[colour] * area * noise) ** 2 / power
    row[FLUX] = flux
    row[ERROR] = np.sqrt(variance)


@njit()
def fit_stars(
    image: NDArray[np.generic],
    cfa: NDArray[np.int64],
    peak_x: NDArray[np.float64],
    peak_y: NDArray[np.float64],
    profile: tuple[float, float, float],
    profile_width: float,
    noise: float,
    saturation: float,
    max_stars: int,
    known: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Fit position, shape and colours of the star at each peak.

    Parameters
    ----------
    image : ndarray of uint16 or float32, shape (ny, nx)
        Bayer mosaic, or an image of one colour.
    cfa : ndarray of int64, shape (2, 2)
        Colour 0, 1 or 2 of the four pixels of a superpixel (all 0 for an image of one colour).
    peak_x, peak_y : ndarray of float64, shape (n,)
        Where to start, most important first.
    profile : tuple of float
        Variances along x and y and covariance, in pixel^2, that a star is expected to have.
    profile_width : float
        How far, relatively, single stars depart from it.
    noise : float
        Standard deviation of a pixel.
    saturation : float
        Pixels at or above are left out of the fit.
    max_stars : int
        Stop when so many fits that are not sharp are done (sharp peaks cost next to nothing).
    known : ndarray of float64, shape (k, N_COLUMNS)
        Fits of the first k peaks under a weaker expectation, which are kept where the star is
        bright enough for that to make no difference.

    Returns
    -------
    ndarray of float64, shape (m, N_COLUMNS)
        One row a peak tried, in the order given.
    """
    table = np.zeros((len(peak_x), N_COLUMNS))
    data = np.empty(_BUFFER, np.float32)
    dx = np.empty(_BUFFER, np.float32)
    dy = np.empty(_BUFFER, np.float32)
    gauss = np.empty(_BUFFER, np.float32)
    ends = np.zeros(3, np.int64)
    background = np.zeros(3)
    heights = np.zeros(3)
    moments = np.zeros((3, N_MOMENTS))
    matrix = np.zeros((5, 5))
    place = np.zeros(5)
    shares = np.zeros(3)
    for p in range(2):
        for q in range(2):
            shares[cfa[p, q]] += 0.25
    vxx, vyy, vxy = profile
    det = vxx * vyy - vxy * vxy
    prior = np.empty(3)
    prior[0] = vyy / det
    prior[1] = vxx / det
    prior[2] = -vxy / det
    normal_half = min(max(int(np.ceil(3.5 * np.sqrt(max(vxx, vyy)))), 4), MAX_HALF_PX // 2)
    n = 0
    n_fitted = 0
    for k in range(len(peak_x)):
        if n_fitted == max_stars:
            break
        row = table[n]
        n += 1
        if k < len(known):
            before = known[k]
            if before[SHARP] > 0 or before[FLUX] > _BRIGHT_SNR * before[ERROR] > 0.0:
                for m in range(N_COLUMNS):
                    row[m] = before[m]
                n_fitted += before[SHARP] == 0
                continue
        cx = int(np.floor(peak_x[k] + 0.5))
        cy = int(np.floor(peak_y[k] + 0.5))
        half = normal_half
        n_saturated = 0
        peak = np.float32(0.0)
        complete = True
        for _ in range(2):
            complete = _ring_background(image, cfa, cx, cy, half, data, background)
            n_saturated, peak = _gather(
                image, cfa, cx, cy, half, saturation, background, data, dx, dy, ends
            )
            # A burnt-out core needs a wider window, to be fitted by its wings.
            if n_saturated * 12 < (2 * half + 1) ** 2 or half == MAX_HALF_PX:
                break
            half = min(2 * half, MAX_HALF_PX)
        row[X] = peak_x[k]
        row[Y] = peak_y[k]
        row[VXX] = row[VYY] = _MIN_VARIANCE_PX2
        row[FLUX] = peak
        row[ERROR] = noise
        row[PEAK] = peak
        row[SATURATED] = n_saturated
        if not complete or ends[2] < 12:
            row[LOST] = 1.0
            continue
        if is_sharp(image, cfa, cx, cy, background, noise):
            row[SHARP] = 1.0
            continue
        n_fitted += 1
        widen = (normal_half / half) ** 2
        place[0] = peak_x[k] - cx
        place[1] = peak_y[k] - cy
        for m in range(3):
            place[2 + m] = prior[m] * widen
        good = fit_gaussian(
            data, dx, dy, ends, place, prior, profile_width, noise,
            1.0 / (0.35 * half * half), 1.0 / _MIN_VARIANCE_PX2, 0.5 * half,
            heights, moments, matrix, gauss,
        )  # fmt: skip
        if not good:
            row[LOST] = 1.0
            continue
        place[0] += cx
        place[1] += cy
        _write(row, place, heights, moments, shares, noise)
    return table[:n]
