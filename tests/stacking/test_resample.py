"""Two one-dimensional passes against the two-dimensional convolution they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.errors import RegistrationError
from crowdsky.stacking.resample import EDGE_PX, Placement, invert_affine, row_interval, warp_planes
from tests.stacking.fields import motion

SHAPE = (60, 80)
PEDESTAL = 1024.0


def warp(plane: np.ndarray, matrix: np.ndarray, a: float = -0.5) -> np.ndarray:
    planes = np.stack([plane] * 3).astype(np.float32)
    place = Placement.of(invert_affine(matrix), SHAPE)
    out = np.zeros((3, *SHAPE), np.uint16)
    warp_planes(place.turn(planes), place.inverse, a, EDGE_PX, PEDESTAL, out)
    return np.where(out[1] > 0, out[1] - PEDESTAL, np.nan)


def keys(t: np.ndarray, a: float = -0.5) -> np.ndarray:
    t = np.abs(t)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def direct(plane: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Straightforward separable cubic convolution at each output pixel."""
    inverse = invert_affine(matrix)
    out = np.full(SHAPE, np.nan)
    for y in range(SHAPE[0]):
        for x in range(SHAPE[1]):
            xs, ys = inverse @ [x, y, 1.0]
            i, j = int(np.floor(xs)), int(np.floor(ys))
            if 1 <= i < SHAPE[1] - 2 and 1 <= j < SHAPE[0] - 2:
                wx, wy = keys(xs - np.arange(i - 1, i + 3)), keys(ys - np.arange(j - 1, j + 3))
                out[y, x] = wy @ plane[j - 1 : j + 3, i - 1 : i + 3] @ wx
    return out


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return 3000 + 900 * np.sin(x / 5.0) * np.cos(y / 6.0) + 5 * x


def test_a_pure_shift_is_the_plain_convolution(smooth: np.ndarray) -> None:
    matrix = motion((2.3, -1.7), 0.0, SHAPE)
    ours, theirs = warp(smooth, matrix), direct(smooth, matrix)
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.mean() > 0.8
    assert np.abs(ours - theirs)[both].max() < 0.6  # the rounding to whole ADU


@pytest.mark.parametrize("degrees", [-4.0, 0.02, 1.0, 15.0, -40.0, 95.0, 180.0, 250.0])
def test_rotation_agrees_with_the_direct_way(smooth: np.ndarray, degrees: float) -> None:
    matrix = motion((0.4, 0.9), degrees, SHAPE)
    ours, theirs = warp(smooth, matrix), direct(smooth, matrix)
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.mean() > 0.3
    assert np.abs(ours - theirs)[both].max() < 12.0  # of an amplitude of 900


def test_a_constant_stays_constant() -> None:
    for degrees in (0.0, 3.3, 37.0):
        ours = warp(np.full(SHAPE, 1234.0), motion((0.37, 0.81), degrees, SHAPE))
        assert np.nanmin(ours) == np.nanmax(ours) == 1234.0


def test_the_identity_is_exact(smooth: np.ndarray) -> None:
    ours = warp(np.rint(smooth), np.eye(2, 3))
    inside = np.isfinite(ours)
    assert inside.sum() == (SHAPE[0] - 4) * (SHAPE[1] - 4)
    assert np.array_equal(ours[inside], np.rint(smooth)[inside])


def test_noise_below_zero_survives() -> None:
    ours = warp(np.full(SHAPE, -500.0), motion((0.5, 0.5), 0.0, SHAPE))
    assert np.nanmax(ours) == -500.0


@pytest.mark.parametrize("degrees", [0.0, 7.0, -30.0])
def test_intervals_hold_every_pixel_inside_and_no_other(degrees: float) -> None:
    inverse = invert_affine(motion((5.2, -3.1), degrees, SHAPE))
    slack = EDGE_PX + 2 * abs(inverse[1, 0] / inverse[0, 0])
    for y in range(SHAPE[0]):
        x0, x1 = row_interval(inverse, y, *SHAPE, SHAPE[1], EDGE_PX)
        xs, ys = inverse @ np.array([np.arange(SHAPE[1]), np.full(SHAPE[1], y), np.ones(SHAPE[1])])
        inside = (xs >= EDGE_PX) & (xs <= SHAPE[1] - 1 - EDGE_PX)
        inside &= (ys >= slack) & (ys <= SHAPE[0] - 1 - slack)
        expected = np.flatnonzero(inside)
        assert (x1 - x0) == len(expected)
        if len(expected):
            assert x0 == expected[0]


def test_quarter_turns_move_pixels_where_the_transform_says() -> None:
    planes = np.zeros((1, 5, 7), np.float32)
    planes[0, 1, 2] = 9.0
    for turns, angle in ((0, 0.0), (1, 90.0), (2, 180.0), (3, 270.0)):
        t = np.deg2rad(angle)
        inverse = np.array([[np.cos(t), -np.sin(t), 3.0], [np.sin(t), np.cos(t), 2.0]])
        for sign in (1, -1):
            m = inverse.copy()
            m[:, :2] = inverse[:, :2] if sign == 1 else inverse[:, :2].T
            place = Placement.of(m, (5, 7))
            assert place.inverse[0, 0] == pytest.approx(1.0)
            # the reference pixel that asks for frame pixel (2, 1) finds it in the turned planes
            where = np.linalg.solve(m[:, :2], np.array([2.0, 1.0]) - m[:, 2])
            x, y = np.rint(place.inverse @ [*where, 1.0]).astype(int)
            assert place.turn(planes)[0, y, x] == 9.0
            if turns == 0:
                assert place.turn(planes) is planes


@pytest.mark.parametrize("matrix", [np.full((2, 3), np.nan), np.eye(2), np.zeros((2, 3))])
def test_useless_transforms_are_refused(matrix: np.ndarray) -> None:
    with pytest.raises(RegistrationError):
        invert_affine(matrix)
