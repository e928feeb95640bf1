"""Colour mosaics into images.

Both ways are linear and keep fluxes: a star's summed flux in a colour does not depend on where it
falls on the mosaic beyond the sampling itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit

__all__ = ["bilinear", "red_position", "superpixel"]

_RED_POSITION = {"RGGB": (0, 0), "GRBG": (1, 0), "GBRG": (0, 1), "BGGR": (1, 1)}


def red_position(bayer: str) -> tuple[int, int]:
    """``(x, y)`` of the red pixel within the first two by two pixels, rows as stored.

    Blue is diagonally opposite, green fills the rest.

    Raises
    ------
    ValueError
        Unknown pattern.
    """
    try:
        return _RED_POSITION[bayer]
    except KeyError:
        raise ValueError(f"unknown colour pattern {bayer!r}") from None


def superpixel(mosaic: NDArray[np.uint16], bayer: str = "GRBG") -> NDArray[np.float32]:
    """Mean of each two by two cell: a luminance image at half the size.

    Parameters
    ----------
    mosaic : ndarray of uint16, shape (ny, nx)
    bayer : str
        Any of the four patterns; each cell holds one red, two green, one blue, so that the mean is
        the same for all of them.

    Returns
    -------
    ndarray of float32, shape (ny // 2, nx // 2)
        ``(R + 2 G + B) / 4`` in ADU. Its pixel ``(i, j)`` is centred on mosaic pixel
        ``(2 i + 0.5, 2 j + 0.5)``. An odd last row or column is dropped.
    """
    red_position(bayer)
    ny, nx = mosaic.shape
    image = np.empty((ny // 2, nx // 2), np.float32)
    _cell_means(mosaic, image)
    return image


def bilinear(
    mosaic: NDArray[np.uint16],
    bayer: str = "GRBG",
    *,
    out: NDArray[np.uint16] | None = None,
) -> NDArray[np.uint16]:
    """Interpolate each colour linearly between its own pixels.

    Parameters
    ----------
    mosaic : ndarray of uint16, shape (ny, nx)
        At least 2 by 2 pixels.
    bayer : str
        Pattern of the first two rows, rows as stored.
    out : ndarray of uint16, shape (ny, nx, 3), optional
        Filled and returned; saves a large allocation per frame.

    Returns
    -------
    ndarray of uint16, shape (ny, nx, 3)
        Red, green, blue in ADU, means rounded to the nearest integer, halves up. A raw Seestar
        pixel is a multiple of about 3.2 ADU, so that the rounding is a tenth of its digital step.

    Notes
    -----
    The weights form a partition of unity both ways: those of one output pixel sum to 1 (a flat
    field stays flat), and away from the border those of one mosaic pixel sum to 4 for red and blue
    and 2 for green (fluxes are kept, to the rounding of a pixel). At the border the mosaic is
    mirrored about its outer pixels, which keeps the colours in place and flat fields flat.
    """
    red_x, red_y = red_position(bayer)
    ny, nx = mosaic.shape
    if ny < 2 or nx < 2:
        raise ValueError(f"a mosaic has at least 2 by 2 pixels, not {nx} by {ny}")
    if out is None:
        out = np.empty((ny, nx, 3), np.uint16)
    elif out.shape != (ny, nx, 3) or out.dtype != np.uint16:
        raise ValueError(f"out is uint16 of shape {(ny, nx, 3)}, not {out.dtype} {out.shape}")
    _interpolate(np.ascontiguousarray(mosaic), red_x, red_y, out)
    return out


@njit()
def _cell_means(mosaic: NDArray[np.uint16], image: NDArray[np.float32]) -> None:
    for j in range(image.shape[0]):
        upper = mosaic[2 * j]
        lower = mosaic[2 * j + 1]
        for i in range(image.shape[1]):
            total = (
                np.int32(upper[2 * i])
                + np.int32(upper[2 * i + 1])
                + np.int32(lower[2 * i])
                + np.int32(lower[2 * i + 1])
            )
            image[j, i] = np.float32(total) * np.float32(0.25)


@njit()
def _interpolate(
    mosaic: NDArray[np.uint16], red_x: int, red_y: int, out: NDArray[np.uint16]
) -> None:
    ny, nx = mosaic.shape
    for y in range(ny):
        # Mirrored about the outer pixels: row -1 is row 1, and has the colours of row 1.
        above = mosaic[y - 1 if y > 0 else 1]
        here = mosaic[y]
        below = mosaic[y + 1 if y < ny - 1 else ny - 2]
        # A row alternates green with one other colour: red (plane 0) or blue (plane 2). The inner
        # loop is called with the plane as a literal, without which the compiler gives up on
        # vector instructions and takes three times as long.
        row = out[y].reshape(-1)
        if (y & 1) == red_y:
            plane, column = 0, red_x
            first = 1 if column else 2
            n_pairs = max((nx - 1 - first) // 2, 0)
            left = first - 1
            _inner_pairs(above[left:], here[left:], below[left:], n_pairs, 0, row[3 * first :])
        else:
            plane, column = 2, 1 - red_x
            first = 1 if column else 2
            n_pairs = max((nx - 1 - first) // 2, 0)
            left = first - 1
            _inner_pairs(above[left:], here[left:], below[left:], n_pairs, 2, row[3 * first :])
        for x in range(min(first, nx)):
            _edge_pixel(above, here, below, x, (x & 1) == column, plane, row)
        for x in range(first + 2 * n_pairs, nx):
            _edge_pixel(above, here, below, x, (x & 1) == column, plane, row)


@njit()
def _inner_pairs(
    above: NDArray[np.uint16],
    here: NDArray[np.uint16],
    below: NDArray[np.uint16],
    n_pairs: int,
    plane: int,
    row: NDArray[np.uint16],
) -> None:
    """Pairs of a pixel of colour ``plane`` and the green one to its right.

    The three mosaic rows start one pixel to the left of the first pair, ``row`` at the first pair.
    Two pixels share most of their neighbours, and indices that cannot be negative spare a test.
    """
    other = 2 - plane
    for pair in range(n_pairs):
        i = 2 * pair
        at = 6 * pair
        h0, h1 = np.uint32(here[i]), np.uint32(here[i + 1])
        h2, h3 = np.uint32(here[i + 2]), np.uint32(here[i + 3])
        a0, a1, a2 = np.uint32(above[i]), np.uint32(above[i + 1]), np.uint32(above[i + 2])
        b0, b1, b2 = np.uint32(below[i]), np.uint32(below[i + 1]), np.uint32(below[i + 2])
        row[at + plane] = h1
        row[at + 1] = (h0 + h2 + a1 + b1 + 2) >> 2
        row[at + other] = (a0 + a2 + b0 + b2 + 2) >> 2
        row[at + 3 + plane] = (h1 + h3 + 1) >> 1
        row[at + 4] = h2
        row[at + 3 + other] = (a2 + b2 + 1) >> 1


@njit()
def _edge_pixel(
    above: NDArray[np.uint16],
    here: NDArray[np.uint16],
    below: NDArray[np.uint16],
    x: int,
    is_coloured: bool,
    plane: int,
    row: NDArray[np.uint16],
) -> None:
    """One pixel whose neighbours to the left or right may lie outside and are mirrored."""
    last = here.size - 1
    left = x - 1 if x > 0 else 1
    right = x + 1 if x < last else last - 1
    other = 2 - plane
    h0, h1, h2 = np.uint32(here[left]), np.uint32(here[x]), np.uint32(here[right])
    a0, a1, a2 = np.uint32(above[left]), np.uint32(above[x]), np.uint32(above[right])
    b0, b1, b2 = np.uint32(below[left]), np.uint32(below[x]), np.uint32(below[right])
    at = 3 * x
    if is_coloured:
        row[at + plane] = h1
        row[at + 1] = (h0 + h2 + a1 + b1 + 2) >> 2
        row[at + other] = (a0 + a2 + b0 + b2 + 2) >> 2
    else:
        row[at + plane] = (h0 + h2 + 1) >> 1
        row[at + 1] = h1
        row[at + other] = (a1 + b1 + 1) >> 1
