"""Background and noise of the detection image from a sampled mesh."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit

__all__ = ["BackgroundMesh", "interpolate", "low_quantile", "sample_mesh"]

#: The quantile 3/8 of |x - (y + z) / 2| for three independent normal values, in standard
#: deviations: lower than the median, since in a crowded field stars spoil many of the triples.
_DIFFERENCE_SIGMA = np.float32(0.4887764 * 1.5**0.5)
#: Samples this far apart no longer share pixels through the smoothing.
_APART = 5


class BackgroundMesh(NamedTuple):
    """Background and noise at the centres of the cells of a mesh.

    Attributes
    ----------
    level, sigma : ndarray of float32, shape (n_rows, n_columns)
        Median and standard deviation of the detection image in each cell.
    median_level, median_sigma : float
        Their medians over the image.
    """

    level: NDArray[np.float32]
    sigma: NDArray[np.float32]
    median_level: float
    median_sigma: float


@njit(fastmath=True)
def _count_not_above(values: NDArray[np.float32], limit: np.float32) -> np.float32:
    count = np.float32(0.0)
    for k in range(len(values)):
        count += np.float32(1.0) if values[k] <= limit else np.float32(0.0)
    return count


@njit(fastmath=True)
def _least_and_mean(values: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    least = values[0]
    total = np.float32(0.0)
    for k in range(len(values)):
        value = values[k]
        least = value if value < least else least
        total += value
    return least, total / np.float32(len(values))


@njit()
def low_quantile(values: NDArray[np.float32], k: int) -> np.float32:
    """Return the k-th smallest value (from 0, at most n // 2) to a ten-thousandth of the spread.

    Halving a bracket and counting is several times faster than sorting or selecting a few dozen
    numbers: the count runs in vector registers and there is no branch to mispredict.
    """
    low, mean = _least_and_mean(values)
    # Fewer than half of the values lie further above the least than twice the mean does.
    high = low + np.float32(2.0) * (mean - low)
    wanted = np.float32(k) + np.float32(0.5)
    for _ in range(13):
        middle = np.float32(0.5) * (low + high)
        if _count_not_above(values, middle) > wanted:
            high = middle
        else:
            low = middle
    return np.float32(0.5) * (low + high)


@njit()
def _median_of_neighbours(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    ny, nx = grid.shape
    out = np.empty_like(grid)
    values = np.empty(9, np.float32)
    for i in range(ny):
        for j in range(nx):
            n = 0
            for k in range(max(i - 1, 0), min(i + 2, ny)):
                for m in range(max(j - 1, 0), min(j + 2, nx)):
                    # Insertion keeps at most nine values in order: cheaper than a sort.
                    value = grid[k, m]
                    place = n
                    while place > 0 and values[place - 1] > value:
                        values[place] = values[place - 1]
                        place -= 1
                    values[place] = value
                    n += 1
            if n % 2 == 1:
                out[i, j] = values[n // 2]
            else:
                out[i, j] = np.float32(0.5) * (values[n // 2 - 1] + values[n // 2])
    return out


@njit(fastmath=True)
def _quantiles_by_column(
    values: NDArray[np.float32], k: int, low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The k-th smallest value of every column of ``values``, between ``low`` and ``high``.

    Both bounds are overwritten. All columns are halved together, so that the innermost loop runs
    over the columns.
    """
    n, m = values.shape
    middle = np.empty(m, np.float32)
    count = np.empty(m, np.float32)
    one = np.float32(1.0)
    zero = np.float32(0.0)
    wanted = np.float32(k) + np.float32(0.5)
    for _ in range(12):
        for j in range(m):
            middle[j] = np.float32(0.5) * (low[j] + high[j])
            count[j] = zero
        for i in range(n):
            row = values[i]
            for j in range(m):
                count[j] += one if row[j] <= middle[j] else zero
        for j in range(m):
            enough = count[j] > wanted
            high[j] = middle[j] if enough else high[j]
            low[j] = low[j] if enough else middle[j]
    for j in range(m):
        middle[j] = np.float32(0.5) * (low[j] + high[j])
    return middle


@njit()
def _sample(
    image: NDArray[np.float32], rows: int, columns: int, n_side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Median, and quantile 3/8 of the bend, of the samples of each cell, in reading order."""
    ny, nx = image.shape
    n_cells = rows * columns
    n_samples = n_side * n_side
    values = np.empty((n_samples, n_cells), np.float32)
    bends = np.empty((n_samples, n_cells), np.float32)
    low = np.empty(n_cells, np.float32)
    high = np.empty(n_cells, np.float32)
    high_bend = np.empty(n_cells, np.float32)
    for i in range(rows):
        # The cells share the image out evenly, so that the last one is never a sliver.
        top = i * ny // rows
        height = (i + 1) * ny // rows - top
        for j in range(columns):
            start = j * nx // columns
            width = (j + 1) * nx // columns - start
            n = i * columns + j
            least = image[top, start]
            total = np.float32(0.0)
            total_bend = np.float32(0.0)
            for k in range(n_side):
                row = image[top + (2 * k + 1) * height // (2 * n_side)]
                # Every other row of samples is shifted by half a step: fewer samples a star.
                phase = 1 + 2 * (k & 1)
                for m in range(n_side):
                    x = start + (4 * m + phase) * width // (4 * n_side)
                    value = row[x]
                    sides = row[max(x - _APART, 0)] + row[min(x + _APART, nx - 1)]
                    bend = abs(value - np.float32(0.5) * sides)
                    values[k * n_side + m, n] = value
                    bends[k * n_side + m, n] = bend
                    least = min(least, value)
                    total += value
                    total_bend += bend
            low[n] = least
            # Half of the samples cannot lie higher above the lowest than twice the mean does.
            high[n] = least + np.float32(2.0) * (total / np.float32(n_samples) - least)
            high_bend[n] = np.float32(2.0) * total_bend / np.float32(n_samples)
    level = _quantiles_by_column(values, n_samples // 2, low, high)
    for n in range(n_cells):
        low[n] = np.float32(0.0)
    return level, _quantiles_by_column(bends, 3 * n_samples // 8, low, high_bend)


def sample_mesh(
    image: NDArray[np.float32], *, cell: int = 32, n_side: int = 6, floor: float = 0.0
) -> BackgroundMesh:
    """Measure background and noise in square cells from a lattice of samples.

    The median of the samples is the background. The noise is the usual departure of a sample from
    the mean of two others to its left and right, so that a gradient or smooth nebulosity does not
    count as noise. A median over the neighbouring cells takes out cells that sit on a bright star
    (the two-step mesh of Bertin & Arnouts 1996, A&AS 117, 393, with sampling for clipping).

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Detection image.
    cell : int
        Wanted width of a cell in pixels of the detection image.
    n_side : int
        Samples along each side of a cell.
    floor : float
        Smallest noise to report, for images that have none.

    Returns
    -------
    BackgroundMesh
    """
    rows, columns = (max(1, (n + cell // 2) // cell) for n in image.shape)
    medians, bends = _sample(image, rows, columns, n_side)
    level = _median_of_neighbours(medians.reshape(rows, columns))
    noise = np.maximum(bends / _DIFFERENCE_SIGMA, np.float32(floor))
    sigma = _median_of_neighbours(noise.reshape(rows, columns))
    middle = level.size // 2
    return BackgroundMesh(
        level,
        sigma,
        float(low_quantile(level.reshape(-1), middle)),
        float(low_quantile(sigma.reshape(-1), middle)),
    )


@njit()
def interpolate(grid: NDArray[np.float32], i: int, j: int, ny: int, nx: int) -> np.float32:
    """Value of a mesh at pixel (row i, column j) of a (ny, nx) image, bilinear between cells."""
    rows, columns = grid.shape
    y = min(max((i + 0.5) * rows / ny - 0.5, 0.0), rows - 1.0)
    x = min(max((j + 0.5) * columns / nx - 0.5, 0.0), columns - 1.0)
    top = min(int(y), max(rows - 2, 0))
    left = min(int(x), max(columns - 2, 0))
    bottom = min(top + 1, rows - 1)
    right = min(left + 1, columns - 1)
    across = x - left
    upper = grid[top, left] + across * (grid[top, right] - grid[top, left])
    lower = grid[bottom, left] + across * (grid[bottom, right] - grid[bottom, left])
    return np.float32(upper + (y - top) * (lower - upper))
