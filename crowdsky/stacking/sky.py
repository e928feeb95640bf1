"""Match a frame's sky to the reference's: an offset and a gentle gradient for each colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit

__all__ = ["SkyGrid", "SkyMatch", "match_sky"]

#: The reference is kept in whole ADU: noise below their rounding cannot be told.
_LEAST_SIGMA_ADU = 0.3

_N_TERMS = {0: 1, 1: 3, 2: 6}


@dataclass(frozen=True)
class SkyGrid:
    """The comb of pixels on which skies are compared.

    Attributes
    ----------
    first, step, x_step : int
        Rows first, first + step, ... and columns x_step // 2, x_step // 2 + x_step, ...
    x, y : ndarray of float32, shapes (n_columns,), (n_rows,)
        Their coordinates over -1..1.
    """

    first: int
    step: int
    x_step: int
    x: NDArray[np.float32]
    y: NDArray[np.float32]

    @classmethod
    def over(cls, ny: int, nx: int, *, n_rows: int = 96, n_columns: int = 270) -> SkyGrid:
        """A comb of about so many rows and columns over an image of (ny, nx)."""
        # odd steps, or the comb would see one site of the Bayer cell only, and its noise
        step = max(ny // n_rows, 1) | 1
        x_step = max(nx // n_columns, 1) | 1
        rows = np.arange(step // 2, ny, step)
        columns = np.arange(x_step // 2, nx, x_step)
        return cls(
            first=step // 2,
            step=step,
            x_step=x_step,
            x=(2.0 * columns / max(nx - 1, 1) - 1.0).astype(np.float32),
            y=(2.0 * rows / max(ny - 1, 1) - 1.0).astype(np.float32),
        )

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """The comb's values of an image, shape (..., n_rows, n_columns)."""
        return image[..., self.first :: self.step, self.x_step // 2 :: self.x_step]

    def empty(self) -> NDArray[np.float32]:
        """An array for three colours' samples."""
        return np.empty((3, len(self.y), len(self.x)), np.float32)


@dataclass(frozen=True)
class SkyMatch:
    """What is to be subtracted from a scaled frame, and the noise that is left.

    Attributes
    ----------
    coefficients : ndarray of float64, shape (3, 6)
        Of 1, X, Y, XX, XY, YY over -1..1, per colour, in ADU.
    sigma_adu : ndarray of float64, shape (3,)
        Robust standard deviation of frame minus reference on empty sky.
    tail_adu : ndarray of float64, shape (3,)
        The same from the 99th percentile, at least `sigma_adu`. Debayered noise is a mixture
        (measured pixels are noisier than interpolated ones, and where a frame is not shifted they
        stay so), and it is the noisier part that meets a rejection limit.
    n_used : ndarray of int64, shape (3,)
        Samples that the fit kept.
    """

    coefficients: NDArray[np.float64]
    sigma_adu: NDArray[np.float64]
    tail_adu: NDArray[np.float64]
    n_used: NDArray[np.int64]


@njit()
def _normal_equations(d, x, y, current, clip, matrix, vector):
    """Sums for a quadratic surface over the samples within `clip` of the current one."""
    matrix[:] = 0.0
    vector[:] = 0.0
    n = 0
    # moments of each row first: only powers of x are summed in the inner loop
    for i in range(d.shape[0]):
        v = np.float64(y[i])
        m0 = 0.0
        m1 = 0.0
        m2 = 0.0
        m3 = 0.0
        m4 = 0.0
        b0 = 0.0
        b1 = 0.0
        b2 = 0.0
        c0 = current[0] + v * (current[2] + v * current[5])
        c1 = current[1] + v * current[4]
        c2 = current[3]
        for j in range(d.shape[1]):
            u = np.float64(x[j])
            value = d[i, j]
            if not abs(value - (c0 + u * (c1 + u * c2))) <= clip:  # NaN fails too
                continue
            u2 = u * u
            m0 += 1.0
            m1 += u
            m2 += u2
            m3 += u2 * u
            m4 += u2 * u2
            b0 += value
            b1 += value * u
            b2 += value * u2
            n += 1
        # terms: 1, u, v, uu, uv, vv
        px = (0, 1, 0, 2, 1, 0)
        py = (0, 0, 1, 0, 1, 2)
        mx = (m0, m1, m2, m3, m4)
        bx = (b0, b1, b2)
        vp = (1.0, v, v * v, v * v * v, v * v * v * v)
        for p in range(6):
            vector[p] += bx[px[p]] * vp[py[p]]
            for q in range(6):
                matrix[p, q] += mx[px[p] + px[q]] * vp[py[p] + py[q]]
    return n


def match_sky(
    samples: NDArray[np.float32],
    reference: NDArray[np.float32],
    grid: SkyGrid,
    *,
    scale: float = 1.0,
    order: int = 2,
) -> SkyMatch:
    """Fit the surface by which a frame's sky lies above the reference's.

    Stars and nebulae are in both and drop out of the difference; what they leave (seeing, noise)
    is clipped at three robust sigmas, twice.

    Parameters
    ----------
    samples, reference : ndarray of float32, shape (3, n_rows, n_columns)
        Values on the comb; NaN where there is none.
    grid : SkyGrid
    scale : float
        Flux scale applied to `samples` first.
    order : int
        0 (offset), 1 (plane) or 2 (quadratic).

    Returns
    -------
    SkyMatch
        A colour with few common pixels gets the highest order they can carry; with none, all
        zeros.
    """
    coefficients = np.zeros((3, 6))
    sigma = np.zeros(3)
    tail = np.zeros(3)
    used = np.zeros(3, np.int64)
    matrix = np.zeros((6, 6))
    vector = np.zeros(6)
    for c in range(3):
        d = np.float32(scale) * samples[c] - reference[c]
        # ADU come in steps of the converter; the median of a subset is exact enough to start from
        finite = d[np.isfinite(d)][::3]
        if finite.size < 8:
            continue
        centre = float(np.median(finite))
        spread = max(float(np.median(np.abs(finite - centre))) / 0.6745, _LEAST_SIGMA_ADU)
        coefficients[c, 0] = centre
        for clip in (4.0, 3.0):
            n = _normal_equations(d, grid.x, grid.y, coefficients[c], clip * spread, matrix, vector)
            terms = _N_TERMS[order if n >= 200 else (1 if n >= 50 and order else 0)]
            if n < 8:
                break
            solution = np.zeros(6)
            left, right = matrix[:terms, :terms], vector[:terms]
            solution[:terms] = np.linalg.lstsq(left, right, rcond=1e-9)[0]
            coefficients[c] = solution
            used[c] = n
            residual = np.abs((d - _surface(solution, grid))[::3])
            residual = residual[np.isfinite(residual)]
            spread = max(float(np.median(residual)) / 0.6745, _LEAST_SIGMA_ADU)
        if not used[c]:
            continue
        tail[c] = float(np.quantile(residual, 0.99)) / 2.576
        kept = residual[residual < 4.0 * spread]
        spread = max(float(np.sqrt(np.mean(np.square(kept)))), _LEAST_SIGMA_ADU)
        sigma[c] = spread
        tail[c] = min(max(tail[c], spread), 2.0 * spread)
    return SkyMatch(coefficients, sigma, tail, used)


def _surface(k: NDArray[np.float64], grid: SkyGrid) -> NDArray[np.float32]:
    x = grid.x[None, :].astype(np.float64)
    y = grid.y[:, None].astype(np.float64)
    rows = k[0] + y * (k[2] + y * k[5])
    return (rows + x * (k[1] + y * k[4]) + k[3] * x * x).astype(np.float32)
