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
from crowdsky.stars.moments import FIRST, N_MOMENTS, POWER, PRODUCTS, moments_of

__all__ = ["fit_gaussian", "heights_of_profile"]

_MAX_STEPS = 12


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
        moments_of(
            data[start:stop], dx[start:stop], dy[start:stop],
            np.float32(place[0]), np.float32(place[1]), np.float32(place[2]),
            np.float32(place[3]), np.float32(place[4]), np.float32(0.0),
            gauss[start:stop], moments[colour], False,
        )  # fmt: skip
        power = moments[colour, POWER]
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
def _normal_equations(
    data: NDArray[np.float32],
    dx: NDArray[np.float32],
    dy: NDArray[np.float32],
    ends: NDArray[np.int64],
    place: NDArray[np.float64],
    heights: NDArray[np.float64],
    moments: NDArray[np.float64],
    matrix: NDArray[np.float64],
    vector: NDArray[np.float64],
    gauss: NDArray[np.float32],
) -> None:
    """Write the moments at the present place and the five equations with the heights eliminated."""
    for i in range(5):
        vector[i] = 0.0
        for j in range(5):
            matrix[i, j] = 0.0
    start = 0
    for colour in range(3):
        stop = ends[colour]
        m = moments[colour]
        if stop == start:
            for i in range(N_MOMENTS):
                m[i] = 0.0
            continue
        moments_of(
            data[start:stop], dx[start:stop], dy[start:stop],
            np.float32(place[0]), np.float32(place[1]), np.float32(place[2]),
            np.float32(place[3]), np.float32(place[4]), np.float32(heights[colour]),
            gauss[start:stop], m, True,
        )  # fmt: skip
        start = stop
        # A colour that is below its background says nothing of the place.
        f = max(heights[colour], 0.0)
        if f == 0.0 or m[POWER] <= 0.0:
            continue
        for i in range(5):
            share = m[FIRST + i] / m[POWER]
            vector[i] += f * (m[1 + i] - share * m[0])
            for j in range(i + 1):
                matrix[i, j] += f * f * (m[PRODUCTS[i, j]] - share * m[FIRST + j])


@njit()
def _add_prior(
    place: NDArray[np.float64],
    prior: NDArray[np.float64],
    width: float,
    noise: float,
    matrix: NDArray[np.float64],
    vector: NDArray[np.float64],
) -> None:
    """Add what is expected of the shape, weighed against the noise of the pixels."""
    pull_a = (noise / (0.5 * width * prior[0])) ** 2
    pull_b = (noise / (0.5 * width * prior[1])) ** 2
    pull_h = noise**2 / (width**2 * prior[0] * prior[1])
    matrix[2, 2] += pull_a
    matrix[3, 3] += pull_b
    matrix[4, 4] += pull_h
    vector[2] += 0.5 * pull_a * (place[2] - prior[0])
    vector[3] += 0.5 * pull_b * (place[3] - prior[1])
    vector[4] += pull_h * (place[4] - prior[2])


@njit()
def _sizes(place: NDArray[np.float64], step: NDArray[np.float64]) -> tuple[float, float]:
    """Work out the shift in pixels; return its length and the relative change of shape."""
    a = place[2]
    b = place[3]
    h = place[4]
    det = a * b - h * h
    shift_x = (b * step[0] - h * step[1]) / det
    shift_y = (a * step[1] - h * step[0]) / det
    # Kept behind the five that were solved for: the heights need those as they are.
    step[5] = shift_x
    step[6] = shift_y
    change = max(2.0 * abs(step[2]) / a, 2.0 * abs(step[3]) / b, abs(step[4]) / np.sqrt(a * b))
    return np.sqrt(shift_x * shift_x + shift_y * shift_y), change


@njit()
def _apply(
    place: NDArray[np.float64],
    heights: NDArray[np.float64],
    moments: NDArray[np.float64],
    step: NDArray[np.float64],
    damp: float,
    least: float,
    most: float,
) -> None:
    """Take the damped step, with the heights that go with it, inside the bounds of the shape."""
    for colour in range(3):
        m = moments[colour]
        if m[POWER] > 0.0:
            tied = 0.0
            for i in range(5):
                tied += m[FIRST + i] * step[i]
            heights[colour] += (m[0] - damp * max(heights[colour], 0.0) * tied) / m[POWER]
    place[0] += damp * step[5]
    place[1] += damp * step[6]
    place[2] = min(max(place[2] - 2.0 * damp * step[2], least), most)
    place[3] = min(max(place[3] - 2.0 * damp * step[3], least), most)
    bound = 0.95 * np.sqrt(place[2] * place[3])
    place[4] = min(max(place[4] - damp * step[4], -bound), bound)


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
    step = np.empty(7)
    heights_of_profile(data, dx, dy, ends, place, heights, moments, gauss)
    last = 1e30
    for _ in range(_MAX_STEPS):
        _normal_equations(data, dx, dy, ends, place, heights, moments, matrix, step, gauss)
        _add_prior(place, prior, prior_width, noise, matrix, step)
        if not _solve(matrix, step):
            return False
        length, change = _sizes(place, step)
        # Not more than a pixel, or half of the shape, at once; and gently where it goes to and fro.
        damp = min(1.0, 1.0 / max(length, 1e-9), 0.5 / max(change, 1e-9))
        if max(length, change) > 0.7 * last:
            damp *= 0.5
        last = max(length, change)
        _apply(place, heights, moments, step, damp, least, most)
        if abs(place[0] - start_x) > max_shift or abs(place[1] - start_y) > max_shift:
            return False
        if damp == 1.0 and length < 3e-3 and change < 2e-2:
            break
    return True
