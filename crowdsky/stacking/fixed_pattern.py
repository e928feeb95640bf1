"""The sensor's fixed pattern, learned from the frames' own dithers and taken out of the stack.

The telescope subtracts a dark frame of its own, whose noise is thus the same in every sub: white,
about a quarter of a sub's noise. In a stack it averages only as far as the field moved over the
sensor, and in a few minutes' block it is what keeps the noise from falling with the root of N.

The cure is one step of the joint least-squares solution for the sky and the detector (Fixsen,
Moseley & Arendt 2000, ApJS 128, 651): what the raw frames show beyond the stack, averaged on the
sensor, is the pattern; its mean over the frames, laid on the sky, is subtracted. A star is wholly
in the stack, so nothing of it is in the residuals, however little the field moved; without any
motion the residuals average to nothing and the step does nothing.
"""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit
from crowdsky.stacking.accumulate import add_row, coverage_row
from crowdsky.stacking.resample import resample_row, row_interval

__all__ = ["add_pattern", "add_residuals", "mask_model", "shrunk_pattern", "subtract_mean"]

#: Frames that see a sensor pixel, below which its pattern is not trusted.
LEAST_FRAMES = 8


#: Stands for 'no model here': so large that whatever the kernel mixes it into is left out.
_NO_MODEL = 1e9


@njit()
def mask_model(planes, extra, extra_limit, out):
    """Copy the stack, without the places where it is no model of a single frame.

    Parameters
    ----------
    planes : ndarray of float32, shape (3, ny, nx)
        The stack.
    extra : ndarray of uint16, shape (3, ny, nx)
        Allowance of the rejection, high in the cores of stars.
    extra_limit : float
        In units of `EXTRA_UNIT_ADU`.
    out : ndarray of float32, shape (3, ny, nx)
    """
    limit = np.float32(extra_limit)
    for c in range(3):
        for y in range(planes.shape[1]):
            source = planes[c, y]
            allowed = extra[c, y]
            target = out[c, y]
            for x in range(target.size):
                known = np.float32(allowed[x]) < limit
                target[x] = source[x] if known else np.float32(_NO_MODEL)


@njit(fastmath=True)
def _residual_row(mosaic, site, own, green, scale, limit, total, count):
    """Residuals of one row, where small enough; returns the sum of their squares."""
    squares = np.float32(0.0)
    one = np.float32(1.0)
    zero = np.float32(0.0)
    for x in range(mosaic.size):
        model = site[x] * own[x] + (one - site[x]) * green[x]
        r = np.float32(mosaic[x]) - model * scale
        w = one if abs(r) < limit else zero
        r = r * w
        total[x] += r
        count[x] += w
        squares += r * r
    return squares


@njit(fastmath=True)
def _add_quadratic(row, ramp, s0, s1, s2):
    for x in range(row.size):
        row[x] += s0 + ramp[x] * (s1 + ramp[x] * s2)


@njit()
def add_residuals(
    mosaic, red_y, red_x, model, forward, kernel_a, edge, scale, sky, limit, total, count
):
    """Add what a raw frame shows beyond the stack to the sums on the sensor.

    Parameters
    ----------
    mosaic : ndarray of uint16, shape (ny, nx)
    red_y, red_x : int
        Site of the red pixel.
    model : ndarray of float32, shape (3, ny_ref, nx_ref)
        The stack (`mask_model`).
    forward : ndarray of float64, shape (2, 3)
        Frame to reference pixels, rotation within 45 degrees.
    kernel_a, edge, scale : float
    sky : ndarray of float64, shape (3, 6)
        The frame's sky polynomial less the stack's.
    limit : float
        Larger residuals are left out.
    total, count : ndarray of float32, shape (ny, nx)

    Returns
    -------
    float
        Sum of the squares of the residuals.
    """
    ny, nx = mosaic.shape
    ny_ref, nx_ref = model.shape[1:]
    ramp = np.arange(max(nx, nx_ref)).astype(np.float32)
    column_row = np.zeros(nx_ref, np.float32)
    own = np.zeros(nx, np.float32)
    green = np.zeros(nx, np.float32)
    sites = np.zeros((2, nx), np.float32)
    sites[0, red_x::2] = 1.0
    sites[1, 1 - red_x :: 2] = 1.0
    squares = 0.0
    ax, ay = 2.0 / max(nx_ref - 1, 1), 2.0 / max(ny_ref - 1, 1)
    du, dv = forward[0, 0] * ax, forward[1, 0] * ay
    for y in range(ny):
        x0, x1 = row_interval(forward, y, ny_ref, nx_ref, nx, edge)
        if x1 <= x0:
            continue
        red_row = y % 2 == red_y
        c = 0 if red_row else 2
        resample_row(model[c], forward, y, x0, x1, kernel_a, ramp, column_row, own)
        resample_row(model[1], forward, y, x0, x1, kernel_a, ramp, column_row, green)
        # along this row each sky polynomial is a quadratic in x - x0
        u = (forward[0, 0] * x0 + forward[0, 1] * y + forward[0, 2]) * ax - 1.0
        v = (forward[1, 0] * x0 + forward[1, 1] * y + forward[1, 2]) * ay - 1.0
        for colour, row in ((c, own), (1, green)):
            k = sky[colour]
            s0 = k[0] + k[1] * u + k[2] * v + k[3] * u * u + k[4] * u * v + k[5] * v * v
            s1 = (k[1] + 2 * k[3] * u + k[4] * v) * du + (k[2] + 2 * k[5] * v + k[4] * u) * dv
            s2 = k[3] * du * du + k[4] * du * dv + k[5] * dv * dv
            _add_quadratic(row[x0:x1], ramp, np.float32(s0), np.float32(s1), np.float32(s2))
        squares += _residual_row(
            mosaic[y, x0:x1],
            sites[0 if red_row else 1, x0:x1],
            own[x0:x1],
            green[x0:x1],
            np.float32(1.0 / scale),
            np.float32(limit),
            total[y, x0:x1],
            count[y, x0:x1],
        )
    return squares


def shrunk_pattern(
    total: NDArray[np.float32], count: NDArray[np.float32], squares: float
) -> tuple[NDArray[np.float32] | None, float]:
    """The pattern, shrunk by what of it is noise (Wiener).

    Parameters
    ----------
    total, count : ndarray of float32, shape (ny, nx)
        Sums on the sensor; `total` is overwritten by the result.
    squares : float
        Sum of the squares of all the residuals.

    Returns
    -------
    pattern : ndarray of float32, shape (ny, nx), or None
        ``None`` where the residuals show no pattern beyond their noise.
    rms_adu : float
        Standard deviation of the pattern that they show (0 without one).
    """
    n = float(count.sum(dtype=np.float64))
    seen = count[::3, ::2] >= LEAST_FRAMES
    if n == 0 or seen.mean() < 0.25:
        return None, 0.0
    depth = count[::3, ::2][seen]
    mean = total[::3, ::2][seen] / depth
    spread = float(np.median(np.abs(mean - np.median(mean)))) / 0.6745
    noise = squares / n * float(np.mean(1.0 / depth))
    signal = max(spread**2 - noise, 0.0)
    if signal < 0.1 * noise:
        return None, float(np.sqrt(signal))
    total *= np.float32(signal / (signal + noise))
    total /= np.maximum(count, 1.0)
    total[count < LEAST_FRAMES] = 0.0
    return total, float(np.sqrt(signal))


@njit()
def add_pattern(planes, inverse, edge, weight, out):
    """Add the pattern as one frame laid it on the sky, to the nearest pixel.

    The pattern is white on the sensor: half a pixel does not matter in an aperture, and the nearest
    pixel costs a quarter of an interpolation.

    Parameters
    ----------
    planes : ndarray of float32, shape (3, ny_in, nx_in)
        The debayered pattern.
    inverse : ndarray of float64, shape (2, 3)
        Reference to frame pixels.
    edge, weight : float
    out : ndarray of float32, shape (3, ny, nx)
    """
    ny_in, nx_in = planes.shape[1:]
    ny, nx = out.shape[1:]
    w = np.float32(weight)
    ax, slope = inverse[0, 0], inverse[1, 0]
    drift = ax - 1.0
    for y in range(ny):
        x0, x1 = row_interval(inverse, y, ny_in, nx_in, nx, edge)
        gx = inverse[0, 1] * y + inverse[0, 2] + 0.5
        gy = inverse[1, 1] * y + inverse[1, 2] + 0.5
        x = x0
        while x < x1:
            r = floor(slope * x + gy)
            k = floor(drift * x + gx)
            end = x1
            if slope > 1e-12:
                end = min(end, ceil((r + 1 - gy) / slope))
            elif slope < -1e-12:
                end = min(end, floor((r - gy) / slope) + 1)
            if drift > 1e-12:
                end = min(end, ceil((k + 1 - gx) / drift))
            elif drift < -1e-12:
                end = min(end, floor((k - gx) / drift) + 1)
            end = min(max(end, x + 1), x1)
            for c in range(3):
                add_row(planes[c, r, x + k : end + k], w, out[c, y, x:end])
            x = end


@njit()
def subtract_mean(total, inverses, shapes, weights, edge, planes):
    """Subtract a weighted sum over the frames' weight from the stack, in place of `planes`.

    Parameters
    ----------
    total : ndarray of float32, shape (3, ny, nx)
    inverses, shapes, weights, edge
        The frames, as for `crowdsky.stacking.accumulate.finish`.
    planes : ndarray of float32, shape (3, ny, nx)
    """
    ny, nx = total.shape[1:]
    count = np.zeros(nx + 1, np.int32)
    weight = np.zeros(nx + 1)
    for y in range(ny):
        coverage_row(inverses, shapes, weights, y, edge, count, weight)
        for c in range(3):
            for x in range(nx):
                if count[x] > 0:
                    planes[c, y, x] -= np.float32(total[c, y, x] / weight[x])
