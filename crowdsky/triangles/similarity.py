"""Least-squares maps between two planes: similarity for few pairs, affine for more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import RegistrationError

__all__ = ["apply_map", "fit_affine", "fit_similarity"]

FloatArray = NDArray[np.float64]


def apply_map(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Map points ``(x, y)``, shape (n, 2), by a matrix of shape (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def fit_similarity(source: FloatArray, target: FloatArray, weight: FloatArray) -> FloatArray:
    """Rotation, scale and shift (Umeyama 1991, without reflection).

    Parameters
    ----------
    source, target : ndarray, shape (n, 2)
    weight : ndarray, shape (n,)
        Inverse variances.

    Returns
    -------
    ndarray, shape (2, 3)

    Raises
    ------
    RegistrationError
        If fewer than two points are given, or all of them coincide.
    """
    if len(source) < 2:
        raise RegistrationError("a similarity needs at least two pairs", value=len(source))
    w = weight / weight.sum()
    mean_source, mean_target = w @ source, w @ target
    s = (source - mean_source) @ np.array([1.0, 1.0j])
    t = (target - mean_target) @ np.array([1.0, 1.0j])
    square = float(w @ np.abs(s) ** 2)
    if square == 0.0:
        raise RegistrationError("a similarity needs two different points", value=len(source))
    factor = complex(w @ (t * s.conj())) / square
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, mean_target - linear @ mean_source])


def fit_affine(source: FloatArray, target: FloatArray, weight: FloatArray) -> FloatArray:
    """Six constants by weighted least squares; arguments and result as `fit_similarity`.

    Raises
    ------
    RegistrationError
        If the points lie on a line.
    """
    w = np.sqrt(weight)[:, None]
    mean = source.mean(axis=0)
    spread = float(np.abs(source - mean).max()) or 1.0
    base = np.column_stack([(source - mean) / spread, np.ones(len(source))])
    constants, _, rank, _ = np.linalg.lstsq(base * w, target * w, rcond=1e-6)
    if rank < 3:
        raise RegistrationError("the stars lie on a line", value=len(source))
    linear = constants[:2].T / spread
    return np.column_stack([linear, constants[2] - linear @ mean])
