"""Raw Bayer frames: hot and cold pixels found and mended, three planes made of one mosaic.

The planes are bilinear: every missing value is the mean of its two or four nearest of its colour.
Each sample then carries the same total weight, so fluxes are conserved exactly, which edge-aware
debayering does not do (it shifts the blue fluxes of stars by 15 %).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import StackError
from crowdsky.kernels import njit

__all__ = [
    "HotPixels",
    "bayer_planes",
    "find_hot_pixels",
    "mend",
    "red_site",
    "same_colour_noise",
    "sort_rows",
]

HotPixels = NDArray[np.int64]
"""Flat indices of bad pixels into the mosaic, sorted."""

_RED_SITES = {"RGGB": (0, 0), "GRBG": (0, 1), "GBRG": (1, 0), "BGGR": (1, 1)}


def red_site(bayer: str) -> tuple[int, int]:
    """Row and column (0 or 1) of the red pixel in the 2x2 cell of a Bayer pattern.

    Raises
    ------
    StackError
        If the pattern is not one of RGGB, GRBG, GBRG, BGGR.
    """
    try:
        return _RED_SITES[bayer.strip().upper()]
    except KeyError:
        raise StackError("a Bayer pattern is one of RGGB, GRBG, GBRG, BGGR", value=bayer) from None


@njit()
def sort_rows(rows):
    """Sort each column of a few rows by odd-even transposition, which vectorises."""
    n, nx = rows.shape
    for step in range(n):
        for i in range(step & 1, n - 1, 2):
            low = rows[i]
            high = rows[i + 1]
            for x in range(nx):
                a = low[x]
                b = high[x]
                # written out: min() and max() mind NaN and would not vectorise
                low[x] = a if a < b else b
                high[x] = b if a < b else a


@njit()
def _median_mosaic(frames, out):
    n = len(frames)
    ny, nx = out.shape
    rows = np.empty((n, nx), np.uint16)
    for y in range(ny):
        for i in range(n):
            rows[i, :] = frames[i][y]
        sort_rows(rows)
        out[y, :] = rows[(n - 1) // 2]


@njit()
def _excess(m, y, x):
    """A pixel less the median of its eight same-colour neighbours (mirrored at the border)."""
    ny, nx = m.shape
    ring = np.empty(8, np.float32)
    i = 0
    for dy in (-2, 0, 2):
        for dx in (-2, 0, 2):
            if dy == 0 and dx == 0:
                continue
            yy = y + dy
            xx = x + dx
            if yy < 0 or yy >= ny:
                yy = y - dy
            if xx < 0 or xx >= nx:
                xx = x - dx
            ring[i] = m[yy, xx]
            i += 1
    ring.sort()
    return np.float32(m[y, x]) - np.float32(0.5) * (ring[3] + ring[4])


@njit()
def _stands_alone(frames, y, x, e, ratio):
    """Whether a pixel is out of line in nearly every frame and its direct neighbours are not.

    The median of dithered frames alone does not tell: where a star passed, it is patchy.
    """
    n = frames.shape[0]
    agree = 0
    own = 0.0
    around = 0.0
    for i in range(n):
        m = frames[i]
        e_here = _excess(m, y, x)
        own += e_here
        if e_here * e > 0.5 * e * e:
            agree += 1
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            around += 0.25 * _excess(m, y + dy, x + dx)
    return agree >= n - n // 4 and around * e <= ratio * own * e


@njit()
def _hot(m, frames, threshold, ratio, found):
    """Indices of candidates that are not the images of stars; returns their number."""
    ny, nx = m.shape
    n = 0
    for y in range(2, ny - 2):
        for x in range(2, nx - 2):
            # a cheap test first: beyond the two same-colour neighbours of its own row
            v = np.float32(m[y, x])
            left = np.float32(m[y, x - 2])
            right = np.float32(m[y, x + 2])
            up = v - max(left, right)
            down = min(left, right) - v
            if max(up, down) < np.float32(0.5) * threshold:
                continue
            e = _excess(m, y, x)
            if abs(e) < threshold or not _stands_alone(frames, y, x, e, ratio):
                continue
            if n < found.size:
                found[n] = y * nx + x
            n += 1
    return n


def find_hot_pixels(
    frames: NDArray[np.uint16], *, sigma: float = 6.0, neighbour_ratio: float = 0.2
) -> HotPixels:
    """Find pixels of the sensor that are always too bright or too dark.

    The median of a few raw frames, pixel by pixel on the sensor, removes the noise (and the stars,
    if the field moved). What stands out there, and in nearly every single frame, and alone, is the
    sensor's: a star, however sharp, lights its direct neighbours too.

    Parameters
    ----------
    frames : ndarray of uint16, shape (n, ny, nx)
        A few raw mosaics of one sensor.
    sigma : float
        Candidates stand out by this many noise sigmas of the median frame.
    neighbour_ratio : float
        A candidate is a star if its four direct neighbours rise by more than this fraction of it.

    Returns
    -------
    ndarray of int64, shape (m,)
        Flat indices; never more than 2 % of the sensor (beyond, the threshold is raised).
    """
    n, ny, nx = frames.shape
    if n == 1:
        median = frames[0]
    else:
        median = np.empty((ny, nx), np.uint16)
        _median_mosaic(frames, median)
    noise = same_colour_noise(median)
    # one frame alone: its noise has tails (and cosmic rays are better left to nobody)
    threshold = np.float32(max(sigma * noise * (1.5 if n < 3 else 1.0), 1.0))
    found = np.empty(max(ny * nx // 50, 16), np.int64)
    for _ in range(8):
        count = int(_hot(median, frames, threshold, np.float32(neighbour_ratio), found))
        if count <= found.size:
            return found[:count].copy()
        threshold = np.float32(threshold * 2)
    return found[:0].copy()


def same_colour_noise(m: NDArray[np.uint16]) -> float:
    """Noise of a mosaic from differences of same-colour neighbours, robustly, in ADU."""
    a = m[::7, :-2:3].astype(np.float32)
    b = m[::7, 2::3].astype(np.float32)
    d = np.abs(a - b[:, : a.shape[1]])
    positive = float(np.median(d))
    # one ring neighbour more than the pixel itself: the median of eight adds little noise
    return max(positive / 0.6745 / np.sqrt(2.0), 0.3)


@njit()
def mend(mosaic, bad):
    """Replace bad pixels, in place, by the mean of their good same-colour neighbours.

    Parameters
    ----------
    mosaic : ndarray of uint16, shape (ny, nx)
    bad : ndarray of int64
        Sorted flat indices, as `find_hot_pixels` returns them.
    """
    ny, nx = mosaic.shape
    values = np.empty(bad.size, np.uint16)
    for i in range(bad.size):
        y, x = divmod(bad[i], nx)
        total = 0.0
        count = 0
        for dy, dx in ((-2, 0), (2, 0), (0, -2), (0, 2)):
            yy = y + dy
            xx = x + dx
            if yy < 0 or yy >= ny or xx < 0 or xx >= nx:
                continue
            place = yy * nx + xx
            k = np.searchsorted(bad, place)
            if k < bad.size and bad[k] == place:
                continue
            total += mosaic[yy, xx]
            count += 1
        values[i] = np.uint16(total / count + 0.5) if count else mosaic[y, x]
    for i in range(bad.size):
        y, x = divmod(bad[i], nx)
        mosaic[y, x] = values[i]


@njit()
def _load_row(mosaic, y, row):
    """One row as float32 with a mirrored pixel at each end (which keeps the colours in step)."""
    ny, nx = mosaic.shape
    if y < 0:
        y = 1
    elif y >= ny:
        y = ny - 2
    source = mosaic[y]
    inner = row[1 : nx + 1]
    for x in range(nx):
        inner[x] = np.float32(source[x])
    row[0] = row[2]
    row[nx + 1] = row[nx - 1]


@njit(fastmath=True)
def _plane_row(above, here, below, site, own, green, other):
    """One row of the three planes; `site` is 1 on the row's red or blue pixels, else 0."""
    half = np.float32(0.5)
    for x in range(own.size):
        h = half * (here[x] + here[x + 2])
        v = half * (above[x + 1] + below[x + 1])
        d = half * half * (above[x] + above[x + 2] + below[x] + below[x + 2])
        m = here[x + 1]
        s = site[x]
        own[x] = h + s * (m - h)
        green[x] = m + s * (half * (h + v) - m)
        other[x] = v + s * (d - v)


@njit()
def bayer_planes(mosaic, red_y, red_x, planes):
    """Debayer a mosaic bilinearly into three full-size planes.

    Parameters
    ----------
    mosaic : ndarray of uint16, shape (ny, nx)
    red_y, red_x : int
        Site of the red pixel in the 2x2 cell (`red_site`).
    planes : ndarray of float32, shape (3, ny, nx)
        Receives red, green and blue.
    """
    ny, nx = mosaic.shape
    rows = np.empty((3, nx + 2), np.float32)
    red = np.zeros(nx, np.float32)
    blue = np.zeros(nx, np.float32)
    red[red_x::2] = 1.0
    blue[1 - red_x :: 2] = 1.0
    _load_row(mosaic, -1, rows[2])
    _load_row(mosaic, 0, rows[0])
    for y in range(ny):
        _load_row(mosaic, y + 1, rows[(y + 1) % 3])
        above = rows[(y + 2) % 3]
        here = rows[y % 3]
        below = rows[(y + 1) % 3]
        if y % 2 == red_y:
            _plane_row(above, here, below, red, planes[0, y], planes[1, y], planes[2, y])
        else:
            _plane_row(above, here, below, blue, planes[2, y], planes[1, y], planes[0, y])
