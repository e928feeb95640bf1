"""Triangles on the sphere by their absolute sides: the geometry that build and match share.

Stars are unit vectors, sides are chords (arcsec in units of the radius, so that a chord of one
arcsec is one arcsec to 1e-5 at a degree). A triangle's sides are sorted ``a <= b <= c``; its
vertices are named by the side they face, so vertex A faces the shortest side; its orientation is
the sign of the triple product A . (B x C): +1 when A, B, C run anticlockwise seen from outside
the sphere. Scale and parity of the telescope are known, so sides are compared as lengths, not as
ratios, and orientation must agree.
"""

from __future__ import annotations

import numpy as np

from crowdsky.kernels import njit

__all__ = [
    "ARCSEC_PER_RADIAN",
    "chord_arcsec",
    "directions_and_sides",
    "orientation",
    "sort_triangle",
]

ARCSEC_PER_RADIAN = 648000.0 / np.pi


@njit(inline="always")
def chord_arcsec(u, i, v, j):
    """Chord between row ``i`` of ``u`` and row ``j`` of ``v``, arcsec of the unit sphere."""
    dx = u[i, 0] - v[j, 0]
    dy = u[i, 1] - v[j, 1]
    dz = u[i, 2] - v[j, 2]
    return np.sqrt(dx * dx + dy * dy + dz * dz) * 206264.80624709636


@njit(inline="always")
def sort_triangle(i, j, k, jk, ik, ij):
    """Vertices ordered by the side they face, and the sides in rising order.

    ``jk``, ``ik``, ``ij`` are the sides that face vertices ``i``, ``j``, ``k``.
    """
    if jk > ik:
        i, j, jk, ik = j, i, ik, jk
    if ik > ij:
        j, k, ik, ij = k, j, ij, ik
    if jk > ik:
        i, j, jk, ik = j, i, ik, jk
    return i, j, k, jk, ik, ij


@njit(inline="always")
def orientation(u, a, b, c):
    """1 where the rows ``a``, ``b``, ``c`` of ``u`` run anticlockwise seen from outside, else 0."""
    x = u[b, 1] * u[c, 2] - u[b, 2] * u[c, 1]
    y = u[b, 2] * u[c, 0] - u[b, 0] * u[c, 2]
    z = u[b, 0] * u[c, 1] - u[b, 1] * u[c, 0]
    return 1 if u[a, 0] * x + u[a, 1] * y + u[a, 2] * z > 0 else 0


@njit()
def directions_and_sides(x, y, n):
    """Unit vectors of the first ``n`` camera-plane points (radians), and their chords (arcsec)."""
    u = np.empty((n, 3))
    for t in range(n):
        norm = np.sqrt(1.0 + x[t] * x[t] + y[t] * y[t])
        u[t, 0], u[t, 1], u[t, 2] = x[t] / norm, y[t] / norm, 1.0 / norm
    side = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            side[i, j] = chord_arcsec(u, i, u, j)
    return u, side
