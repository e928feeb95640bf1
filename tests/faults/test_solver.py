"""Everything that can be wrong with a star list or a hint: the right answer, or an honest none."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from crowdsky.astrometry import ACCEPT_LOG_ODDS, Hint, PlateSolution, solve_stars
from crowdsky.errors import CrowdSkyError, NoSolution
from crowdsky.frames import TELESCOPES
from crowdsky.simulate import TanWcs, random_pointings, simulate_star_list
from crowdsky.stars import StarList
from tests.astrometry.lists import (
    M94,
    S50_SCALE,
    S50_SHAPE,
    chosen,
    error_arcsec,
    is_right,
    moved,
    random_list,
    s50_list,
    scrambled,
)

PLACES = [(192.78, 41.12), (315.4, 68.2), (83.8, -5.4), (0.0, 45.0), (20.0, 89.8)]
BULGE = (266.405, -28.936)
EMPTY = (192.859, 27.128)  # the north galactic pole


def solve(stars: StarList, hint: object = None, **how: object) -> PlateSolution:
    how.setdefault("scale_arcsec_per_px", S50_SCALE)
    return solve_stars(stars, hint=hint, **how)  # type: ignore[arg-type]


def mirrored(stars: StarList) -> StarList:
    return moved(stars, stars.shape[1] - 1 - stars.x_px, stars.y_px)


def upside_down(stars: StarList) -> StarList:
    ny, nx = stars.shape
    return moved(stars, nx - 1 - stars.x_px, ny - 1 - stars.y_px)


def with_planet(stars: StarList, x_px: float, y_px: float) -> StarList:
    return StarList(
        np.append(x_px, stars.x_px),
        np.append(y_px, stars.y_px),
        np.append(1000 * stars.flux_adu.max(), stars.flux_adu),
        shape=stars.shape,
    )


# --- wrong hints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("off_deg", [5.5 / 60, 0.3, 10.0, 130.0])
def test_a_hint_that_is_off(ra: float, dec: float, off_deg: float) -> None:
    stars, truth = s50_list(ra, dec)
    hint_dec = dec - off_deg
    hint = (ra, hint_dec) if hint_dec >= -90 else ((ra + 180) % 360, -180 - hint_dec)
    solution = solve(stars, hint)
    assert is_right(solution, truth)
    assert solution.mode == ("j2000" if off_deg < 0.4 else "blind")


def test_no_hint_that_is_right_among_several() -> None:
    stars, truth = s50_list()
    solution = solve(stars, [Hint(0.0, 90.0, "of_date"), Hint(180.0, -89.0, "j2000")])
    assert solution.mode == "blind"
    assert is_right(solution, truth)


@pytest.mark.parametrize("hint", [(np.nan, 20.0), (10.0, np.nan), (np.inf, -np.inf), (1e9, 400.0)])
def test_a_senseless_hint_leads_to_the_whole_sky(hint: tuple[float, float]) -> None:
    stars, truth = s50_list()
    assert is_right(solve(stars, hint), truth)


# --- strange images -------------------------------------------------------------------------------


@pytest.mark.parametrize("blind", [True, False])
@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_a_mirrored_image_has_negative_parity(ra: float, dec: float, blind: bool) -> None:
    stars, truth = s50_list(ra, dec)
    solution = solve(mirrored(stars), (ra, dec), blind=blind)
    assert solution.parity == -1
    x = truth.nx - 1 - np.array([0.0, 500.0, 1079.0])
    y = np.array([0.0, 900.0, 1919.0])
    ours, theirs = solution.pixel_to_sky(x, y), truth.pixel_to_sky(truth.nx - 1 - x, y)
    np.testing.assert_allclose(truth.sky_to_pixel(*ours), truth.sky_to_pixel(*theirs), atol=4)


@pytest.mark.parametrize("blind", [True, False])
@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_an_image_upside_down(ra: float, dec: float, blind: bool) -> None:
    stars, truth = s50_list(ra, dec)
    turned = TanWcs(ra, dec, truth.rotation_deg - 180.0, S50_SCALE, truth.nx, truth.ny)
    solution = solve(upside_down(stars), (ra, dec), blind=blind)
    assert is_right(solution, turned)
    assert solution.parity == 1


@pytest.mark.parametrize("blind", [True, False])
@pytest.mark.parametrize("scale_error", [0.01, -0.01, 0.005, 0.015])
def test_a_scale_that_is_a_little_off(scale_error: float, blind: bool) -> None:
    solved = 0
    for ra, dec in PLACES:
        stars, truth = s50_list(ra, dec, scale_error=scale_error)
        solution = solve(stars, (ra, dec), blind=blind)
        assert is_right(solution, truth)
        assert solution.scale_arcsec_per_px == pytest.approx(
            S50_SCALE * (1 + scale_error), rel=2e-3
        )
        solved += 1
    assert solved == len(PLACES)


@pytest.mark.parametrize("blind", [True, False])
@pytest.mark.parametrize(
    ("model", "taken_for"),
    [("S30", "S50"), ("S50", "S30"), ("S30 Pro", "S50"), ("S50", "S30 Pro")],
)
def test_another_models_scale_is_never_solved_wrongly(
    model: str, taken_for: str, blind: bool
) -> None:
    rng = np.random.default_rng(5)
    for ra, dec, rotation in random_pointings(8, seed=2):
        stars, _ = simulate_star_list(model, ra, dec, rotation, rng, max_stars=30)
        scale = TELESCOPES[taken_for].scale_arcsec_per_px
        with pytest.raises(NoSolution) as caught:
            solve(stars, (ra, dec), scale_arcsec_per_px=scale, blind=blind)
        assert caught.value.best["log_odds"] < ACCEPT_LOG_ODDS


# --- strange fields -------------------------------------------------------------------------------


@pytest.mark.parametrize("blind", [True, False])
@pytest.mark.parametrize("place", [BULGE, EMPTY, (180.0, 0.0), (305.5, 40.2)])
def test_crowded_and_empty_regions(place: tuple[float, float], blind: bool) -> None:
    for seed in range(4):
        stars, truth = s50_list(*place, seed=seed)
        assert is_right(solve(stars, place, blind=blind), truth)


@pytest.mark.parametrize("blind", [True, False])
def test_a_planet_in_the_field(blind: bool) -> None:
    for ra, dec in PLACES:
        stars, truth = s50_list(ra, dec)
        solution = solve(with_planet(stars, 600.0, 1000.0), (ra, dec), blind=blind)
        assert is_right(solution, truth)
        assert 0 not in solution.star_index


@pytest.mark.parametrize("n", [0, 1, 3])
def test_an_empty_field_is_refused_at_once(n: int) -> None:
    with pytest.raises(NoSolution, match="at least 4 stars") as caught:
        solve(random_list(np.random.default_rng(0), n), M94)
    error = caught.value
    assert (error.n_stars, error.n_candidates, error.best) == (n, 0, None)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stars: moved(stars, np.full(len(stars), 5.0), np.full(len(stars), 5.0)),
        lambda stars: moved(stars, np.full(len(stars), 500.0), stars.y_px),
        lambda stars: moved(stars, stars.x_px * 1e-3, stars.y_px * 1e-3),
        lambda stars: moved(stars, stars.x_px * 1e9, stars.y_px * 1e9),
        lambda stars: moved(stars, np.full(len(stars), np.nan), stars.y_px),
        lambda stars: StarList(stars.x_px, stars.y_px, stars.flux_adu, shape=(1, 1)),
    ],
    ids=["one place", "one column", "a thousandth", "far outside", "nowhere", "no image"],
)
@pytest.mark.parametrize("hint", [M94, None])
def test_lists_that_are_no_sky(
    spoil: Callable[[StarList], StarList], hint: tuple[float, float] | None
) -> None:
    with pytest.raises(NoSolution):
        solve(spoil(s50_list()[0]), hint)


def test_a_detection_far_outside_the_image_does_no_harm() -> None:
    stars, truth = s50_list()
    x = np.append(stars.x_px, 1e7)
    y = np.append(stars.y_px, -1e7)
    flux = np.append(stars.flux_adu, 1.0)
    far = StarList(x, y, flux, shape=stars.shape)
    assert is_right(solve(far, M94), truth)
    assert is_right(solve(far), truth)


@pytest.mark.parametrize("scale", [0.0, -2.4, np.nan, np.inf, 1e9, 1e-9])
@pytest.mark.parametrize("hint", [M94, None])
def test_a_senseless_scale_is_one_of_our_errors(
    scale: float, hint: tuple[float, float] | None
) -> None:
    with pytest.raises(CrowdSkyError):
        solve(s50_list()[0], hint, scale_arcsec_per_px=scale)


# --- honest refusals ------------------------------------------------------------------------------


def test_no_solution_carries_the_counts_and_the_best_attempt() -> None:
    stars = random_list(np.random.default_rng(3), 25)
    with pytest.raises(NoSolution) as caught:
        solve(stars)
    error = caught.value
    assert error.n_stars == 25
    assert error.n_candidates > 10
    assert error.best["log_odds"] < ACCEPT_LOG_ODDS
    assert error.best["n_matched"] >= 3
    assert "25 stars" in str(error)
    assert "\n" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.n_stars, again.n_candidates, again.best) == (
        error.n_stars, error.n_candidates, error.best,
    )  # fmt: skip


def test_nothing_tried_reads_as_nothing_tried() -> None:
    stars = s50_list()[0]
    here = np.full(len(stars), 5.0)
    stars = moved(stars, here, here)
    with pytest.raises(NoSolution) as caught:
        solve(stars)
    assert caught.value.n_candidates == 0
    assert "1000000000" not in str(caught.value)


@pytest.mark.parametrize("blind", [True, False])
def test_random_lists_have_no_answer(blind: bool) -> None:
    rng = np.random.default_rng(31)
    for _ in range(150 if blind else 80):
        stars = random_list(rng, int(rng.integers(4, 45)))
        place = (rng.uniform(0, 360), np.degrees(np.arcsin(rng.uniform(-1, 1))))
        with pytest.raises(NoSolution):
            solve(stars, place, blind=blind)


@pytest.mark.parametrize("blind", [True, False])
def test_scrambled_lists_have_no_answer(blind: bool) -> None:
    rng = np.random.default_rng(32)
    for ra, dec, rotation in random_pointings(100 if blind else 50, seed=6):
        stars, _ = simulate_star_list("S50", ra, dec, rotation, rng, max_stars=30)
        with pytest.raises(NoSolution):
            solve(scrambled(stars, rng), (ra, dec), blind=blind)


@pytest.mark.parametrize("n", [4, 5, 6])
def test_few_stars_are_solved_rightly_or_not_at_all(n: int) -> None:
    rng = np.random.default_rng(33)
    solved = 0
    for ra, dec, rotation in random_pointings(60, seed=7):
        stars, truth = simulate_star_list("S50", ra, dec, rotation, rng)
        try:
            solution = solve(chosen(stars, np.arange(min(n, len(stars)))), (ra, dec))
        except NoSolution:
            continue
        assert error_arcsec(solution, truth) < 60.0, (ra, dec)
        solved += 1
    assert solved >= {4: 0, 5: 5, 6: 20}[n]


def test_a_field_of_false_stars_only() -> None:
    rng = np.random.default_rng(34)
    for ra, dec, rotation in random_pointings(20, seed=8):
        stars, _ = simulate_star_list("S50", ra, dec, rotation, rng, drop=1.0, n_false=30)
        assert stars.shape == S50_SHAPE
        with pytest.raises(NoSolution):
            solve(stars, (ra, dec))
