"""Hot pixels and planes of a mosaic."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.errors import StackError
from crowdsky.stacking.mosaic import bayer_planes, find_hot_pixels, mend, red_site, sort_rows
from tests.stacking.fields import Session, digital, grid_of_stars

SHAPE = (120, 160)


def frames_of(n: int, hot: tuple[np.ndarray, np.ndarray], excess: float) -> np.ndarray:
    stars = grid_of_stars(SHAPE)
    session = Session(SHAPE, stars, np.full(len(stars), 3e5), noise_adu=40.0)
    out = []
    for i in range(n):
        image = session.expose(np.eye(2, 3), seed=i)
        image[hot] += excess
        out.append(digital(image))
    return np.array(out)


@pytest.mark.parametrize(("n", "excess"), [(1, 1500.0), (3, 800.0), (9, 300.0), (9, -600.0)])
def test_hot_and_cold_pixels_are_found_and_stars_are_not(n: int, excess: float) -> None:
    rng = np.random.default_rng(1)
    hot = (np.array([3, 50, 51, 90, 110, 115]), rng.integers(4, 156, 6))
    hot[1][:] = [150, 40, 79, 118, 60, 3]  # between the stars
    found = find_hot_pixels(frames_of(n, hot, excess))
    assert set(hot[0] * SHAPE[1] + hot[1]) <= set(found.tolist())
    assert len(found) <= 6 + 3


def test_a_clean_sensor_has_hardly_any() -> None:
    nothing = (np.empty(0, int), np.empty(0, int))
    assert len(find_hot_pixels(frames_of(9, nothing, 0.0))) <= 2


def test_a_sensor_of_noise_never_loses_more_than_a_fiftieth() -> None:
    rng = np.random.default_rng(0)
    wild = np.where(rng.random((3, *SHAPE)) < 0.2, 60000, 1000).astype(np.uint16)
    assert len(find_hot_pixels(wild[:1])) <= SHAPE[0] * SHAPE[1] // 50


def test_mending_takes_good_neighbours_of_the_same_colour() -> None:
    mosaic = np.zeros((12, 12), np.uint16)
    mosaic[0::2, 1::2] = 100  # red
    mosaic[1::2, 0::2] = 900  # blue
    mosaic[4, 5] = mosaic[4, 7] = mosaic[0, 1] = 60000
    bad = np.array([1, 4 * 12 + 5, 4 * 12 + 7])
    mend(mosaic, bad)
    assert mosaic[4, 5] == mosaic[4, 7] == mosaic[0, 1] == 100


@pytest.mark.parametrize("bayer", ["RGGB", "GRBG", "GBRG", "BGGR"])
def test_planes_are_the_means_of_the_nearest(bayer: str) -> None:
    rng = np.random.default_rng(5)
    mosaic = rng.integers(0, 65536, (10, 12)).astype(np.uint16)
    y0, x0 = red_site(bayer)
    assert bayer[2 * y0 + x0] == "R"
    colour = np.ones((10, 12), int)
    colour[y0::2, x0::2] = 0
    colour[1 - y0 :: 2, 1 - x0 :: 2] = 2
    planes = np.empty((3, 10, 12), np.float32)
    bayer_planes(mosaic, y0, x0, planes)
    for c in range(3):
        for y in range(1, 9):
            for x in range(1, 11):
                if colour[y, x] == c:
                    expected = float(mosaic[y, x])
                else:
                    near = np.zeros_like(colour, bool)
                    near[y - 1 : y + 2, x - 1 : x + 2] = True
                    if c == 1:  # green has four neighbours beside it
                        near[[y - 1, y - 1, y + 1, y + 1], [x - 1, x + 1, x - 1, x + 1]] = False
                    expected = mosaic[near & (colour == c)].mean()
                assert planes[c, y, x] == pytest.approx(expected, rel=1e-6)


def test_planes_conserve_flux() -> None:
    """Whatever site light falls on, it counts the same (away from the border)."""
    for y in range(4, 6):
        for x in range(4, 6):
            mosaic = np.zeros((12, 12), np.uint16)
            mosaic[y, x] = 1000
            planes = np.empty((3, 12, 12), np.float32)
            bayer_planes(mosaic, 0, 1, planes)
            total = planes.sum(axis=(1, 2))
            assert sorted(total.tolist())[:2] == [0, 0]
            assert total.max() == (2000 if total.argmax() == 1 else 4000)


def test_an_unknown_pattern_is_named() -> None:
    with pytest.raises(StackError, match="RGBW: a Bayer pattern is one of"):
        red_site("RGBW")


def test_sorting_networks_sort() -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 12):
        rows = rng.integers(0, 1000, (n, 37)).astype(np.uint16)
        expected = np.sort(rows, axis=0)
        sort_rows(rows)
        assert np.array_equal(rows, expected)
