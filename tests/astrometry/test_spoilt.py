"""Spoilt star lists of simulated frames: how many are still solved, and none wrongly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from crowdsky.astrometry import solve_stars
from crowdsky.errors import NoSolution
from crowdsky.simulate import TanWcs, random_pointings, simulate_star_list
from crowdsky.stars import StarList
from tests.astrometry.lists import S50_SCALE, chosen, is_right, moved

Spoil = Callable[[StarList, np.random.Generator], StarList]


def brightest(n: int) -> Spoil:
    return lambda stars, rng: chosen(stars, np.arange(min(n, len(stars))))


def half_dropped(stars: StarList, rng: np.random.Generator) -> StarList:
    return chosen(stars, np.flatnonzero(rng.random(len(stars)) < 0.5))


def false_on_top(n: int) -> Spoil:
    def spoil(stars: StarList, rng: np.random.Generator) -> StarList:
        ny, nx = stars.shape
        return StarList(
            np.concatenate([rng.uniform(0, nx, n), stars.x_px]),
            np.concatenate([rng.uniform(0, ny, n), stars.y_px]),
            np.concatenate([np.full(n, 10 * stars.flux_adu.max()), stars.flux_adu]),
            shape=stars.shape,
        )

    return spoil


def stretched(stars: StarList, rng: np.random.Generator) -> StarList:
    ny, nx = stars.shape
    x, y = (nx - 1) / 2, (ny - 1) / 2
    return moved(stars, x + (stars.x_px - x) * 1.01, y + (stars.y_px - y) * 1.01)


# what -> (how, share solved blind, hinted)
SPOILT: dict[str, tuple[Spoil, float, float]] = {
    "brightest 8": (brightest(8), 0.95, 1.0),
    "brightest 6": (brightest(6), 0.50, 0.90),
    "brightest 5": (brightest(5), 0.0, 0.75),
    "half dropped": (half_dropped, 0.90, 0.98),
    "20 false stars brighter than all": (false_on_top(20), 0.97, 0.97),
    "scale off by 1 %": (stretched, 0.97, 0.97),
}


@pytest.fixture(scope="module")
def fields() -> list[tuple[StarList, TanWcs]]:
    rng = np.random.default_rng(21)
    made = (simulate_star_list("S50", *p, rng, n_false=1) for p in random_pointings(50, seed=9))
    return [(stars, truth) for stars, truth in made if len(stars) >= 16]


# Lists of random places, with a star missing in ten and one false, are harder than real ones.
@pytest.mark.parametrize(
    ("name", "blind", "bar"),
    [
        ("brightest 8", True, 0.80),
        ("brightest 8", False, 0.95),
        ("brightest 6", False, 0.70),
        ("half dropped", True, 0.80),
        ("half dropped", False, 0.95),
        ("20 false stars brighter than all", True, 0.9),
        ("20 false stars brighter than all", False, 0.9),
        ("scale off by 1 %", True, 0.9),
        ("scale off by 1 %", False, 0.9),
    ],
)
def test_spoilt_lists(
    fields: list[tuple[StarList, TanWcs]], name: str, blind: bool, bar: float
) -> None:
    rng = np.random.default_rng(22)
    right = 0
    for stars, truth in fields:
        try:
            solution = solve_stars(
                SPOILT[name][0](stars, rng),
                scale_arcsec_per_px=S50_SCALE,
                hint=(truth.ra_deg, truth.dec_deg),
                blind=blind,
            )
        except NoSolution:
            continue
        expected = truth
        if name.startswith("scale"):
            expected = TanWcs(truth.ra_deg, truth.dec_deg, truth.rotation_deg,
                              truth.scale_arcsec_per_px / 1.01, truth.nx, truth.ny)  # fmt: skip
        assert is_right(solution, expected, 20.0), (truth.ra_deg, truth.dec_deg)
        right += 1
    assert right / len(fields) >= bar, f"{right} of {len(fields)}"
