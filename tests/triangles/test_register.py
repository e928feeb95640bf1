"""One frame's stars on another's."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.errors import RegistrationError
from crowdsky.stars import StarList
from crowdsky.triangles import apply_map, register_stars
from tests.astrometry.lists import S50_SHAPE, chosen, corners, random_list, s50_list, scrambled


def turned(
    stars: StarList,
    rotation_deg: float,
    shift: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
    *,
    noise_px: float = 0.05,
    drop: float = 0.1,
    seed: int = 0,
) -> tuple[StarList, np.ndarray]:
    """The same stars in a frame turned about its centre and moved; and the map back to them."""
    rng = np.random.default_rng(seed)
    ny, nx = stars.shape
    angle = np.radians(rotation_deg)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([(nx - 1) / 2, (ny - 1) / 2])
    back = np.column_stack([linear, middle - linear @ middle + shift])
    inverse = np.linalg.inv(linear)
    points = (np.column_stack([stars.x_px, stars.y_px]) - back[:, 2]) @ inverse.T
    points += noise_px * rng.standard_normal(points.shape)
    inside = (points >= 0).all(axis=1) & (points <= [nx - 1, ny - 1]).all(axis=1)
    kept = np.flatnonzero(inside & (rng.random(len(points)) >= drop))
    moving = StarList(points[kept, 0], points[kept, 1], stars.flux_adu[kept], shape=stars.shape)
    return moving, back


def miss_px(matrix: np.ndarray, truth: np.ndarray) -> float:
    points = np.column_stack(corners(S50_SHAPE))
    return float(np.hypot(*(apply_map(matrix, points) - apply_map(truth, points)).T).max())


@pytest.fixture(scope="module")
def stars() -> StarList:
    return s50_list(300.0, 35.0, n_false=0, max_stars=80)[0]


@pytest.mark.parametrize(
    ("rotation", "shift", "scale"),
    [
        (0.0, (0.0, 0.0), 1.0),
        (0.0, (14.3, -22.8), 1.0),
        (0.4, (3.0, 2.0), 1.0),
        (20.0, (-40.0, 60.0), 1.0),
        (-90.0, (0.0, 0.0), 1.0),
        (180.0, (10.0, 10.0), 1.0),
        (179.0, (-100.0, 100.0), 1.0),
        (2.0, (5.0, 5.0), 1.002),
        (-2.0, (5.0, 5.0), 0.998),
        (0.0, (430.0, 0.0), 1.0),
        (0.0, (0.0, -1000.0), 1.0),
        (10.0, (300.0, 500.0), 1.0),
    ],
)
def test_a_known_map_is_found(
    stars: StarList, rotation: float, shift: tuple[float, float], scale: float
) -> None:
    moving, truth = turned(stars, rotation, shift, scale)
    found = register_stars(stars, moving)
    assert miss_px(found.matrix, truth) < 0.5
    assert found.rms_px < 0.15
    assert found.scale == pytest.approx(scale, abs=5e-4)
    assert abs((found.rotation_deg - rotation + 180) % 360 - 180) < 0.03
    assert len(found.pairs) >= 0.9 * len(moving)
    assert found.log_odds > 7


def test_pairs_are_index_in_the_reference_then_in_the_frame(stars: StarList) -> None:
    moving, truth = turned(stars, 20.0, (-40.0, 60.0), noise_px=0.0)
    found = register_stars(stars, moving)
    there = np.column_stack([stars.x_px, stars.y_px])[found.pairs[:, 0]]
    here = np.column_stack([moving.x_px, moving.y_px])[found.pairs[:, 1]]
    np.testing.assert_allclose(apply_map(truth, here), there, atol=1e-6)
    np.testing.assert_array_equal(
        stars.flux_adu[found.pairs[:, 0]], moving.flux_adu[found.pairs[:, 1]]
    )
    for column in found.pairs.T:
        assert len(set(column.tolist())) == len(column)


def test_a_frame_on_itself_is_exact(stars: StarList) -> None:
    found = register_stars(stars, stars)
    np.testing.assert_allclose(found.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    np.testing.assert_array_equal(found.pairs[:, 0], found.pairs[:, 1])
    assert found.rms_px < 1e-9


def test_false_stars_are_left_out(stars: StarList) -> None:
    moving, truth = turned(stars, 5.0, (20.0, 10.0))
    rng = np.random.default_rng(3)
    false = random_list(rng, 15)
    mixed = StarList(
        np.concatenate([false.x_px, moving.x_px]),
        np.concatenate([false.y_px, moving.y_px]),
        np.concatenate([np.full(15, 1e7), moving.flux_adu]),
        shape=S50_SHAPE,
    )
    found = register_stars(stars, mixed)
    assert miss_px(found.matrix, truth) < 0.5
    assert (found.pairs[:, 1] >= 15).mean() > 0.95


@pytest.mark.parametrize("n", [6, 8])
def test_few_stars_are_laid_by_a_similarity(stars: StarList, n: int) -> None:
    few = chosen(stars, np.arange(n))
    moving, truth = turned(few, 1.0, (8.0, -4.0), drop=0.0, noise_px=0.02)
    found = register_stars(few, moving)
    assert miss_px(found.matrix, truth) < 0.5
    linear = found.matrix[:, :2]
    assert linear[0, 0] == pytest.approx(linear[1, 1], abs=1e-12)
    assert linear[0, 1] == pytest.approx(-linear[1, 0], abs=1e-12)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_stars(stars: StarList, n: int) -> None:
    few = chosen(stars, np.arange(n))
    with pytest.raises(RegistrationError, match=r"4 stars on the frame") as caught:
        register_stars(stars, few)
    assert caught.value.value == f"{n} stars"
    with pytest.raises(RegistrationError, match=r"4 stars on the reference"):
        register_stars(few, stars)


def test_unrelated_lists(stars: StarList) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for other in (random_list(rng, int(rng.integers(4, 60))), scrambled(stars, rng)):
            with pytest.raises(RegistrationError) as caught:
                register_stars(stars, other)
            assert "\n" not in str(caught.value)


def test_another_field_is_refused_with_the_counts(stars: StarList) -> None:
    other = s50_list(10.0, 50.0)[0]
    with pytest.raises(RegistrationError, match="significant") as caught:
        register_stars(stars, other)
    assert caught.value.log_odds < 7
    assert f"{len(other)} stars on {len(stars)}" in str(caught.value)


def test_a_mirrored_frame_is_refused(stars: StarList) -> None:
    mirrored = StarList(
        S50_SHAPE[1] - 1 - stars.x_px, stars.y_px, stars.flux_adu, shape=stars.shape
    )
    with pytest.raises(RegistrationError):
        register_stars(stars, mirrored)


def test_the_scale_tolerance_is_kept(stars: StarList) -> None:
    moving, truth = turned(stars, 3.0, (0.0, 0.0), 1.03)
    with pytest.raises(RegistrationError):
        register_stars(stars, moving)
    found = register_stars(stars, moving, scale_tolerance=0.03)
    assert miss_px(found.matrix, truth) < 0.5


def test_registration_is_deterministic(stars: StarList) -> None:
    moving, _ = turned(stars, 7.0, (3.0, 4.0))
    first, second = (register_stars(stars, moving) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
    np.testing.assert_array_equal(first.pairs, second.pairs)
