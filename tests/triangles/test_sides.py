"""Sides and orientation of triangles."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from crowdsky.astrometry.tangent_plane import unit_vectors
from crowdsky.triangles.sides import (
    ARCSEC_PER_RADIAN,
    chord_arcsec,
    directions_and_sides,
    orientation,
    sort_triangle,
)


def test_a_chord_is_the_angle_for_small_ones() -> None:
    u = unit_vectors([10.0, 10.0], [80.0, 80.5])
    assert chord_arcsec(u, 0, u, 1) == pytest.approx(1800.0, rel=1e-5)
    assert chord_arcsec(u, 0, u, 0) == 0.0


def test_vertices_face_their_sides_whatever_the_order() -> None:
    rng = np.random.default_rng(1)
    u = unit_vectors(rng.uniform(0, 1, 3), rng.uniform(0, 1, 3))

    def side(p: int, q: int) -> float:
        return float(chord_arcsec(u, p, u, q))

    answers = set()
    for i, j, k in permutations(range(3)):
        va, vb, vc, a, b, c = sort_triangle(i, j, k, side(j, k), side(i, k), side(i, j))
        assert a <= b <= c
        assert (a, b, c) == (side(vb, vc), side(va, vc), side(va, vb))
        answers.add((va, vb, vc))
    assert len(answers) == 1


def test_orientation_turns_with_the_mirror() -> None:
    u = unit_vectors([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])  # East, then North: anticlockwise
    assert orientation(u, 0, 1, 2) == 1
    assert orientation(u, 1, 2, 0) == 1
    assert orientation(u, 1, 0, 2) == 0
    mirrored = u * [1.0, -1.0, 1.0]
    assert orientation(mirrored, 0, 1, 2) == 0


def test_image_stars_have_the_sides_of_the_sky() -> None:
    x, y = np.radians([0.0, 0.3, -0.2]), np.radians([0.1, 0.0, 0.4])
    u, side = directions_and_sides(x, y, 3)
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1.0)
    np.testing.assert_allclose(u[:, 0] / u[:, 2], x)
    np.testing.assert_allclose(u[:, 1] / u[:, 2], y)
    np.testing.assert_allclose(side, side.T)
    angle = np.arccos(u[0] @ u[1])
    assert side[0, 1] == pytest.approx(2 * np.sin(angle / 2) * ARCSEC_PER_RADIAN)
