"""The inner loops that put light on a Bayer mosaic, in electrons."""

# Array types are left to numba; each function says what it takes.
from __future__ import annotations

import numpy as np

from crowdsky.kernels import njit

__all__ = ["add_patch", "add_sky", "paint_discs", "paint_stars", "paint_trail"]

# Moffat (1969, A&A 3, 455) profile with beta = 2.5: what the stars of real subs fit, and its power
# is a square root away. Normalisation (beta - 1) / pi.
NORM = 1.5 / np.pi
# Three-point Gauss-Legendre rule over a pixel.
NODE = 0.3872983346207417
W_SIDE, W_MID = 5.0 / 18.0, 8.0 / 18.0


@njit(fastmath=True)
def paint_stars(mosaic, channels, x_px, y_px, flux_e, shape, floor_e):
    """Add pixel-integrated Moffat stars.

    Parameters
    ----------
    mosaic : float32 (ny, nx)
        Electrons; added to in place.
    channels : int64 (2, 2)
        Colour channel of each place of the Bayer pattern.
    x_px, y_px : float64 (n,)
        Positions.
    flux_e : float64 (n, 3)
        Total electrons in red, green, blue, were all pixels of that colour.
    shape : float64 (n, 3)
        ``a, b, c`` of the profile ``(1 + a dx^2 + b dx dy + c dy^2)^-2.5``.
    floor_e : float
        Each star is drawn out to where a pixel gets less than this.
    """
    ny, nx = mosaic.shape
    for i in range(len(x_px)):
        x0, y0 = x_px[i], y_px[i]
        a, b, c = shape[i, 0], shape[i, 1], shape[i, 2]
        det = a * c - 0.25 * b * b
        norm = NORM * np.sqrt(det)
        brightest = max(flux_e[i, 0], flux_e[i, 1], flux_e[i, 2])
        if not brightest > 0.0:
            continue
        fall = (max(norm * brightest / floor_e, 1.0)) ** 0.4 - 1.0
        reach_x = min(np.sqrt(fall * c / det), 400.0) + 2.0
        reach_y = min(np.sqrt(fall * a / det), 400.0) + 2.0
        left, right = max(0, int(x0 - reach_x)), min(nx - 1, int(x0 + reach_x) + 1)
        top, bottom = max(0, int(y0 - reach_y)), min(ny - 1, int(y0 + reach_y) + 1)
        for y in range(top, bottom + 1):
            dy = y - y0
            for x in range(left, right + 1):
                dx = x - x0
                flux = norm * flux_e[i, channels[y & 1, x & 1]]
                if dx * dx + dy * dy < 36.0:
                    total = 0.0
                    for iy in range(3):
                        v = dy + (iy - 1) * NODE
                        wy = W_MID if iy == 1 else W_SIDE
                        for ix in range(3):
                            u = dx + (ix - 1) * NODE
                            wx = W_MID if ix == 1 else W_SIDE
                            q = 1.0 + a * u * u + b * u * v + c * v * v
                            total += wy * wx / (q * q * np.sqrt(q))
                    mosaic[y, x] += flux * total
                else:
                    q = 1.0 + a * dx * dx + b * dx * dy + c * dy * dy
                    mosaic[y, x] += flux / (q * q * np.sqrt(q))


@njit(fastmath=True)
def paint_discs(mosaic, channels, x_px, y_px, flux_e, radius_px):
    """Add stars far out of focus: evenly lit discs with a rim one pixel soft.

    Arguments as in `paint_stars`; ``radius_px`` is that of the disc.
    """
    ny, nx = mosaic.shape
    reach = int(radius_px + 2.0)
    norm = 1.0 / (np.pi * radius_px * radius_px)
    for i in range(len(x_px)):
        column, row = int(np.floor(x_px[i] + 0.5)), int(np.floor(y_px[i] + 0.5))
        for y in range(max(0, row - reach), min(ny, row + reach + 1)):
            for x in range(max(0, column - reach), min(nx, column + reach + 1)):
                distance = np.hypot(x - x_px[i], y - y_px[i])
                cover = min(1.0, max(0.0, radius_px + 0.5 - distance))
                mosaic[y, x] += norm * cover * flux_e[i, channels[y & 1, x & 1]]


@njit(fastmath=True)
def paint_trail(mosaic, channels, start, end, electrons_per_px, sigma_px):
    """Add a straight streak of Gaussian cross-section, from ``start`` to ``end`` (x, y).

    ``electrons_per_px`` (3,) is its light a pixel of length in each channel, were all pixels of
    that colour.
    """
    ny, nx = mosaic.shape
    length = np.hypot(end[0] - start[0], end[1] - start[1])
    ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    reach = 5.0 * sigma_px
    norm = 1.0 / (np.sqrt(2.0 * np.pi) * sigma_px)
    for y in range(ny):
        # The streak crosses a row in one interval; rows far from it cost nothing.
        if abs(uy) > 1e-6:
            centre = start[0] + (y - start[1]) * ux / uy
            half = reach / abs(uy)
            left, right = max(0, int(centre - half)), min(nx, int(centre + half) + 2)
        elif abs(y - start[1]) <= reach:
            left, right = 0, nx
        else:
            continue
        for x in range(left, right):
            dx, dy = x - start[0], y - start[1]
            along = dx * ux + dy * uy
            if along < 0.0 or along > length:
                continue
            across = dx * uy - dy * ux
            light = norm * np.exp(-0.5 * (across / sigma_px) ** 2)
            mosaic[y, x] += light * electrons_per_px[channels[y & 1, x & 1]]


@njit(fastmath=True)
def add_patch(mosaic, channels, light, homography, factor):
    """Add a painted object by bilinear lookup.

    Parameters
    ----------
    mosaic, channels
        As in `paint_stars`.
    light : float32 (3, n, n)
        Red, green and blue surface brightness.
    homography : float64 (3, 3)
        From mosaic pixels to columns and rows of ``light``.
    factor : float64 (3,)
        Electrons a pixel of a unit of ``light`` in each channel.
    """
    ny, nx = mosaic.shape
    n = light.shape[1]
    h = homography
    for y in range(ny):
        for x in range(nx):
            depth = h[2, 0] * x + h[2, 1] * y + h[2, 2]
            column = (h[0, 0] * x + h[0, 1] * y + h[0, 2]) / depth
            row = (h[1, 0] * x + h[1, 1] * y + h[1, 2]) / depth
            if not (0.0 <= column < n - 1.0 and 0.0 <= row < n - 1.0):
                continue
            i, j = int(column), int(row)
            u, v = column - i, row - j
            channel = channels[y & 1, x & 1]
            top = light[channel, j, i] * (1.0 - u) + light[channel, j, i + 1] * u
            bottom = light[channel, j + 1, i] * (1.0 - u) + light[channel, j + 1, i + 1] * u
            mosaic[y, x] += factor[channel] * (top * (1.0 - v) + bottom * v)


@njit(fastmath=True)
def add_sky(mosaic, channels, veil, sky_e, slope, vignetting):
    """Dim the light in a mosaic by clouds, add the sky, and vignette both.

    Parameters
    ----------
    mosaic, channels
        As in `paint_stars`.
    veil : float32 (ny, nx) or (1, 1)
        Transparency of thick clouds; one value for an even sky.
    sky_e : float64 (3,)
        Electrons a pixel from the sky at the centre, in each channel.
    slope : float64 (2,)
        Relative rise of the sky from the centre to the right and to the lower rim.
    vignetting : float
        Loss of light in the corners.
    """
    ny, nx = mosaic.shape
    patchy = veil.shape[0] > 1
    even = veil[0, 0]
    for y in range(ny):
        v = 2.0 * y / (ny - 1.0) - 1.0
        for x in range(nx):
            u = 2.0 * x / (nx - 1.0) - 1.0
            through = veil[y, x] if patchy else even
            # Clouds hide stars and shine themselves with the light of the town below.
            sky = sky_e[channels[y & 1, x & 1]] * (1.0 + slope[0] * u + slope[1] * v)
            sky *= 1.0 + 0.8 * (1.0 - through) if patchy else 1.0
            r2 = (u * u * nx * nx + v * v * ny * ny) / (1.0 * nx * nx + 1.0 * ny * ny)
            mosaic[y, x] = (mosaic[y, x] * through + sky) * (1.0 - vignetting * r2)
