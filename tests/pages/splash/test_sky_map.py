"""The small map: dots where the stacks are, East to the left, grid and rim where they belong."""

from __future__ import annotations

import re

import numpy as np
import pytest

from crowdsky.archive.positions import cells
from crowdsky.pages.splash.sky_map import (
    HEIGHT,
    WIDTH,
    cell_centres,
    dot_sizes,
    drawn_at,
    sky_map,
)
from crowdsky.pages.splash.state import CELL_ORDER

BACKDROP = "/services/pages/images/whole-sky.webp"


def dots(svg: str) -> dict[float, list[tuple[float, float]]]:
    """Of each width: where they are."""
    found = {}
    for width, steps in re.findall(
        r'class="cs-splash-dots" stroke-width="([\d.]+)" d="(.*?)"', svg
    ):
        at = re.findall(r"M([\d.]+) ([\d.]+)h0", steps)
        assert "".join(f"M{x} {y}h0" for x, y in at) == steps
        found[float(width)] = [(float(x), float(y)) for x, y in at]
    return found


@pytest.mark.parametrize(
    ("ra", "dec", "x", "y"),
    [
        (0.0, 0.0, 500.0, 250.0),
        (0.0, 90.0, 500.0, 6.0),
        (123.0, -90.0, 500.0, 494.0),
        (180.0, 0.0, 6.0, 250.0),  # East is left
        (180.001, 0.0, 994.0, 250.0),
    ],
)
def test_where_positions_are_drawn(ra: float, dec: float, x: float, y: float) -> None:
    assert drawn_at(ra, dec) == (pytest.approx(x, abs=0.01), pytest.approx(y, abs=0.01))


def test_east_is_left_and_north_is_up() -> None:
    x, y = drawn_at([350.0, 10.0, 0.0], [0.0, 0.0, 20.0])
    assert x[1] < 500.0 < x[0]
    assert y[2] < 250.0


def test_everything_is_inside_the_rim() -> None:
    rng = np.random.default_rng(5)
    x, y = drawn_at(rng.uniform(0, 360, 5000), np.degrees(np.arcsin(rng.uniform(-1, 1, 5000))))
    inside = ((x - WIDTH / 2) / (WIDTH / 2 - 6)) ** 2 + ((y - HEIGHT / 2) / (HEIGHT / 2 - 6)) ** 2
    assert inside.max() <= 1.0 + 1e-9


def test_a_dot_lies_where_its_stacks_do() -> None:
    rng = np.random.default_rng(6)
    ra = np.concatenate([[0.0, 359.99, 180.0, 12.0, 34.0], rng.uniform(0, 360, 200)])
    dec = np.concatenate(
        [[0.0, 0.0, 1.0, 89.9, -89.9], np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))]
    )
    numbers = np.array([int(cells(a, d, CELL_ORDER)) for a, d in zip(ra, dec, strict=True)])
    centre_ra, centre_dec = cell_centres(numbers.tolist())
    one, two = np.radians([ra, dec]), np.radians([centre_ra, centre_dec])
    cosine = np.sin(one[1]) * np.sin(two[1]) + np.cos(one[1]) * np.cos(two[1]) * np.cos(
        one[0] - two[0]
    )
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 3.7
    number = int(cells(83.8, -5.4, CELL_ORDER))
    svg = str(sky_map([(number, 1)], "one place", BACKDROP))
    ((x, y),) = next(iter(dots(svg).values()))
    assert (x, y) == pytest.approx([float(v) for v in drawn_at(83.8, -5.4)], abs=8.0)


def test_more_stacks_make_a_larger_dot() -> None:
    assert dot_sizes([1, 3, 4, 15, 16, 63, 64, 10**6]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    svg = str(sky_map([(5, 1), (600, 9), (1200, 9), (3000, 5000)], "x", BACKDROP))
    found = dots(svg)
    assert [len(at) for _, at in sorted(found.items())] == [1, 2, 1]


def test_a_sky_full_of_stacks_stays_small() -> None:
    svg = str(sky_map([(cell, cell % 90 + 1) for cell in range(3072)], "x", BACKDROP))
    assert sum(map(len, dots(svg).values())) == 3072
    assert len(svg) < 110_000
    assert len(re.findall("<path", svg)) < 12


def test_an_empty_map_has_a_sky_and_says_so() -> None:
    svg = str(sky_map([], "nothing <yet>", BACKDROP))
    assert dots(svg) == {}
    assert 'role="img" aria-label="nothing &lt;yet&gt;"' in svg
    assert f'href="{BACKDROP}"' in svg


def test_no_line_of_the_grid_jumps_across() -> None:
    svg = str(sky_map([], "x", BACKDROP))
    (grid,) = re.findall(r'class="cs-splash-grid" d="(.*?)"', svg)
    lines = [line for line in grid.split("M") if line]
    assert len(lines) == 7 + 5
    for line in lines:
        points = np.array([[float(v) for v in point.split()] for point in line.split("L")])
        assert np.abs(np.diff(points, axis=0)).max() < 60.0
