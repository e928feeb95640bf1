"""Least-squares maps between planes."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.errors import RegistrationError
from crowdsky.triangles import apply_map, fit_affine, fit_similarity

POINTS = np.array([[0.0, 0.0], [1000.0, 30.0], [400.0, 1900.0], [50.0, 800.0]])
SIMILAR = np.array([[0.8, -0.6, 12.0], [0.6, 0.8, -7.0]])
SHEARED = np.array([[1.01, -0.2, 5.0], [0.19, 0.98, 3.0]])
ONES = np.ones(4)


def test_points_are_mapped() -> None:
    np.testing.assert_allclose(apply_map(SIMILAR, np.array([[10.0, 0.0]])), [[20.0, -1.0]])


def test_known_maps_are_found() -> None:
    similar, sheared = apply_map(SIMILAR, POINTS), apply_map(SHEARED, POINTS)
    np.testing.assert_allclose(fit_similarity(POINTS, similar, ONES), SIMILAR, atol=1e-9)
    np.testing.assert_allclose(fit_affine(POINTS, similar, ONES), SIMILAR, atol=1e-9)
    np.testing.assert_allclose(fit_affine(POINTS, sheared, ONES), SHEARED, atol=1e-9)


def test_two_points_are_enough_for_a_similarity() -> None:
    target = apply_map(SIMILAR, POINTS[:2])
    np.testing.assert_allclose(fit_similarity(POINTS[:2], target, ONES[:2]), SIMILAR, atol=1e-9)


def test_a_similarity_never_mirrors() -> None:
    found = fit_similarity(POINTS, POINTS * [-1.0, 1.0], ONES)
    assert np.linalg.det(found[:, :2]) > 0


def test_a_similarity_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(3)
    target = apply_map(SIMILAR, POINTS) + rng.normal(0, 5, POINTS.shape)
    best = fit_similarity(POINTS, target, ONES)

    def cost(matrix: np.ndarray) -> float:
        return float(((apply_map(matrix, POINTS) - target) ** 2).sum())

    assert best[0, 0] == pytest.approx(best[1, 1])
    assert best[0, 1] == pytest.approx(-best[1, 0])
    for da, db, dx, dy in rng.normal(0, 1e-4, (50, 4)):
        other = best + np.array([[da, -db, 100 * dx], [db, da, 100 * dy]])
        assert cost(other) >= cost(best)


@pytest.mark.parametrize("fit", [fit_similarity, fit_affine])
def test_weights_count(fit) -> None:  # type: ignore[no-untyped-def]
    source = np.concatenate([POINTS, POINTS + 5.0])
    target = apply_map(SIMILAR, source)
    target[:4] += 50.0
    found = fit(source, target, np.concatenate([np.full(4, 1e-12), np.ones(4)]))
    np.testing.assert_allclose(found, SIMILAR, atol=1e-6)


def test_too_little_to_go_by() -> None:
    with pytest.raises(RegistrationError, match="two pairs"):
        fit_similarity(POINTS[:1], POINTS[:1], ONES[:1])
    with pytest.raises(RegistrationError, match="two different"):
        fit_similarity(POINTS[[1, 1, 1]], POINTS[:3], ONES[:3])
    line = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [700.0, 1400.0]])
    for points in (line, POINTS[:2], POINTS[[1, 1, 1]]):
        with pytest.raises(RegistrationError, match="line"):
            fit_affine(points, points, np.ones(len(points)))
