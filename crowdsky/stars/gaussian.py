"""The Gauss-Newton fit of one elliptical Gaussian with one height a colour.

The model of a pixel of colour c at (u, v) from the centre is ``F_c G``, with
``G = exp(-(a uu + b vv + 2 h uv) / 2)``. Its change under any small change of place and shape is
``F_c G`` times a sum of the monomials u, v, uu, vv, uv, so that all sums of the normal equations
are moments of ``G`` squared and of the residual times ``G``. The heights, which are linear, are
eliminated exactly, colour by colour; what is left is five equations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit

__all__ = ["N_MOMENTS", "fit_gaussian", "heights_of_profile"]

#: Moments of one colour: 6 of the residual times G, 15 of G squared.
N_MOMENTS = 21
# Where the moment of G squared with u^p v^q is kept.
_1, _U, _V, _UU, _VV, _UV = range(6, 12)
_UUU, _UUV, _UVV, _VVV, _UUUU, _UUUV, _UUVV, _UVVV, _VVVV = range(12, 21)
# The product of each pair of the monomials u, v, uu, vv, uv.
_PRODUCTS = np.array(
    [
        [_UU, _UV, _UUU, _UVV, _UUV],
        [_UV, _VV, _UUV, _VVV, _UVV],
        [_UUU, _UUV, _UUUU, _UUVV, _UUUV],
        [_UVV, _VVV, _UUVV, _VVVV, _UVVV],
        [_UUV, _UVV, _UUUV, _UVVV, _UUVV],
    ]
)
_MAX_STEPS = 12
_VECTORS = {"contract", "reassoc", "nsz", "arcp"}


@njit(fastmath=_VECTORS)
def _moments(
    data: NDArray[np.float32],
    dx: NDArray[np.float32],
    dy: NDArray[np.float32],
    x0: np.float32,
    y0: np.float32,
    a: np.float32,
    b: np.float32,
    h: np.float32,
    height: np.float32,
    gauss: NDArray[np.float32],
    out: NDArray[np.float64],
    with_shape: bool,
) -> None:
    """Write the moments of the pixels of one colour; ``gauss`` is room to work in."""
    # Indices from zero over slices and short loops: so that the compiler uses vectors.
    n = len(data)
    scale = np.float32(-0.5 / 256.0)
    one = np.float32(1.0)
    zero = np.float32(0.0)
    both = np.float32(2.0) * h
    for k in range(n):
        u = dx[k] - x0
        v = dy[k] - y0
        # exp(q) as (1 + q / 256)^256: eight squarings, good to 2 % where it counts.
        g = one + scale * (a * u * u + b * v * v + both * u * v)
        g = g if g > zero else zero
        g *= g
        g *= g
        g *= g
        g *= g
        g *= g
        g *= g
        g *= g
        g *= g
        gauss[k] = g
    r0 = ru = rv = ruu = rvv = ruv = np.float32(0.0)
    g0 = gu = gv = guu = gvv = guv = np.float32(0.0)
    for k in range(n):
        u = dx[k] - x0
        v = dy[k] - y0
        g = gauss[k]
        r = (data[k] - height * g) * g
        r0 += r
        ru += r * u
        rv += r * v
        ruu += r * u * u
        rvv += r * v * v
        ruv += r * u * v
        gg = g * g
        g0 += gg
        gu += gg * u
        gv += gg * v
        guu += gg * u * u
        gvv += gg * v * v
        guv += gg * u * v
    out[0] = r0
    out[1] = ru
    out[2] = rv
    out[3] = ruu
    out[4] = rvv
    out[5] = ruv
    out[6] = g0
    out[7] = gu
    out[8] = gv
    out[9] = guu
    out[10] = gvv
    out[11] = guv
    if not with_shape:
        return
    m0 = m1 = m2 = m3 = m4 = m5 = m6 = m7 = m8 = np.float32(0.0)
    for k in range(n):
        u = dx[k] - x0
        v = dy[k] - y0
        g = gauss[k] * gauss[k]
        uu = u * u
        vv = v * v
        gu = g * u
        gv = g * v
        m0 += gu * uu
        m1 += gv * uu
        m2 += gu * vv
        m3 += gv * vv
        m4 += g * uu * uu
        m5 += gv * u * uu
        m6 += g * uu * vv
        m7 += gu * v * vv
        m8 += g * vv * vv
    out[12] = m0
    out[13] = m1
    out[14] = m2
    out[15] = m3
    out[16] = m4
    out[17] = m5
    out[18] = m6
    out[19] = m7
    out[20] = m8


@njit()
def heights_of_profile(
    data: NDArray[np.float32],
    dx: NDArray[np.float32],
    dy: NDArray[np.float32],
    ends: NDArray[np.int64],
    place: NDArray[np.float64],
    heights: NDArray[np.float64],
    moments: NDArray[np.float64],
    gauss: NDArray[np.float32],
) -> None:
    """Write the best height of each colour for a profile that is held."""
    start = 0
    for colour in range(3):
        stop = ends[colour]
        _moments(
            data[start:stop], dx[start:stop], dy[start:stop],
            np.float32(place[0]), np.float32(place[1]), np.float32(place[2]),
            np.float32(place[3]), np.float32(place[4]), np.float32(0.0),
            gauss[start:stop], moments[colour], False,
        )  # fmt: skip
        power = moments[colour, _1]
        heights[colour] = moments[colour, 0] / power if power > 0 else 0.0
        start = stop


@njit()
def _solve(matrix: NDArray[np.float64], vector: NDArray[np.float64]) -> bool:
    """Solve five symmetric equations in place by Cholesky; False when they are not definite."""
    for i in range(5):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not total > 1e-9 * matrix[i, i]:
                    return False
                matrix[i, i] = np.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(5):
        for k in range(i):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    for i in range(4, -1, -1):
        for k in range(i + 1, 5):
            vector[i] -= matrix[k, i] * vector[k]
        vector[i] /= matrix[i, i]
    return True


@njit()
def fit_gaussian(
    data: NDArray[np.float32],
    dx: NDArray[np.float32],
    dy: NDArray[np.float32],
    ends: NDArray[np.int64],
    place: NDArray[np.float64],
    prior: NDArray[np.float64],
    prior_width: float,
    noise: float,
    least: float,
    most: float,
    max_shift: float,
    heights: NDArray[np.float64],
    moments: NDArray[np.float64],
    matrix: NDArray[np.float64],
    gauss: NDArray[np.float32],
) -> bool:
    """Fit place, shape and heights.

    Parameters
    ----------
    data, dx, dy : ndarray of float32, shape (n,)
        Pixels above background and where they are, colour after colour.
    ends : ndarray of int64, shape (3,)
        Where the pixels of each colour end.
    place : ndarray of float64, shape (5,)
        x, y and the inverse moments a, b, h: where to start, and the result.
    prior : ndarray of float64, shape (3,)
        Inverse moments that the shape is drawn to, the more the fainter the star.
    prior_width : float
        Relative width of that expectation.
    noise : float
        Standard deviation of a pixel.
    least, most : float
        Bounds of the inverse moments.
    max_shift : float
        How far from the start the fit may go.
    heights : ndarray of float64, shape (3,)
        Result: height of each colour.
    moments, matrix, gauss : ndarray
        Room to work in: (3, N_MOMENTS), (5, 5), (n,).

    Returns
    -------
    bool
        Whether the fit stayed near its start.
    """
    start_x = place[0]
    start_y = place[1]
    step = np.empty(5)
    pull_a = (noise / (0.5 * prior_width * prior[0])) ** 2
    pull_b = (noise / (0.5 * prior_width * prior[1])) ** 2
    pull_h = noise**2 / (prior_width**2 * prior[0] * prior[1])
    heights_of_profile(data, dx, dy, ends, place, heights, moments, gauss)
    last = 1e30
    for _ in range(_MAX_STEPS):
        matrix[:] = 0.0
        step[:] = 0.0
        start = 0
        for colour in range(3):
            stop = ends[colour]
            if stop == start:
                moments[colour] = 0.0
                continue
            m = moments[colour]
            _moments(
                data[start:stop], dx[start:stop], dy[start:stop],
                np.float32(place[0]), np.float32(place[1]), np.float32(place[2]),
                np.float32(place[3]), np.float32(place[4]), np.float32(heights[colour]),
                gauss[start:stop], m, True,
            )  # fmt: skip
            start = stop
            # A colour that is below its background says nothing of the place.
            f = max(heights[colour], 0.0)
            if f == 0.0 or m[_1] <= 0.0:
                continue
            for i in range(5):
                share = m[_U + i] / m[_1]
                step[i] += f * (m[1 + i] - share * m[0])
                for j in range(i + 1):
                    matrix[i, j] += f * f * (m[_PRODUCTS[i, j]] - share * m[_U + j])
        matrix[2, 2] += pull_a
        matrix[3, 3] += pull_b
        matrix[4, 4] += pull_h
        step[2] += 0.5 * pull_a * (place[2] - prior[0])
        step[3] += 0.5 * pull_b * (place[3] - prior[1])
        step[4] += pull_h * (place[4] - prior[2])
        if not _solve(matrix, step):
            return False
        a = place[2]
        b = place[3]
        h = place[4]
        det = a * b - h * h
        shift_x = (b * step[0] - h * step[1]) / det
        shift_y = (a * step[1] - h * step[0]) / det
        length = np.sqrt(shift_x * shift_x + shift_y * shift_y)
        change = max(2.0 * abs(step[2]) / a, 2.0 * abs(step[3]) / b, abs(step[4]) / np.sqrt(a * b))
        # Not more than a pixel, or half of the shape, at once; and gently where it goes to and fro.
        damp = min(1.0, 1.0 / max(length, 1e-9), 0.5 / max(change, 1e-9))
        size = max(length, change)
        if size > 0.7 * last:
            damp *= 0.5
        last = size
        for colour in range(3):
            m = moments[colour]
            if m[_1] > 0.0:
                f = max(heights[colour], 0.0)
                tied = 0.0
                for i in range(5):
                    tied += m[_U + i] * step[i]
                heights[colour] += (m[0] - damp * f * tied) / m[_1]
        place[0] += damp * shift_x
        place[1] += damp * shift_y
        place[2] = min(max(a - 2.0 * damp * step[2], least), most)
        place[3] = min(max(b - 2.0 * damp * step[3], least), most)
        bound = 0.95 * np.sqrt(place[2] * place[3])
        place[4] = min(max(h - damp * step[4], -bound), bound)
        if abs(place[0] - start_x) > max_shift or abs(place[1] - start_y) > max_shift:
            return False
        if damp == 1.0 and length < 3e-3 and change < 2e-2:
            break
    return True
