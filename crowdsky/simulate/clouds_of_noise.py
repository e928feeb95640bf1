"""Smooth random fields: the grain of nebulae, spiral arms and clouds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["fractal_noise", "smooth_noise"]


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int]
) -> NDArray[np.float32]:
    """Cubic interpolation of a coarse grid of normal numbers.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the numbers come from.
    shape, cells : (ny, nx)
        Size of the result and of the coarse grid.
    """
    coarse = rng.standard_normal(cells, dtype=np.float32)
    fine = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, dtype=np.float32)


def fractal_noise(
    rng: np.random.Generator,
    size: int,
    *,
    largest_cells: int = 3,
    octaves: int = 6,
    persistence: float = 0.55,
) -> NDArray[np.float32]:
    """Square field of about unit variance with structure on many scales, shape (size, size)."""
    total = np.zeros((size, size), dtype=np.float32)
    weight, power, cells = 1.0, 0.0, largest_cells
    for _ in range(octaves):
        if cells > size:
            break
        total += weight * smooth_noise(rng, (size, size), (cells + 1, cells + 1))
        power += weight**2
        weight *= persistence
        cells *= 2
    # Interpolation between independent nodes keeps about two thirds of their variance.
    total /= np.float32(np.sqrt(0.66 * power))
    return total
