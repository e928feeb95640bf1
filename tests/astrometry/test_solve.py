"""From star lists to plate solutions: hints, modes, the whole sky, and honest refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from crowdsky.astrometry import (
    ACCEPT_LOG_ODDS,
    Hint,
    PlateSolution,
    bundled_catalogue,
    hints_of,
    solve_stars,
)
from crowdsky.errors import NoSolution
from crowdsky.frames import TELESCOPES, Pointing
from crowdsky.simulate import TanWcs, random_pointings, simulate_star_list
from crowdsky.stars import StarList
from tests.astrometry.lists import (
    M94,
    S50_SCALE,
    chosen,
    error_arcsec,
    is_right,
    moved,
    s50_list,
    separation_arcsec,
)

BARNARD = 4472832130942575872


def solve(stars: StarList, hint: object = None, **how: object) -> PlateSolution:
    how.setdefault("scale_arcsec_per_px", S50_SCALE)
    return solve_stars(stars, hint=hint, **how)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def field() -> tuple[StarList, TanWcs]:
    return s50_list()


# --- modes ----------------------------------------------------------------------------------------


def test_with_a_hint(field: tuple[StarList, TanWcs]) -> None:
    stars, truth = field
    solution = solve(stars, M94)
    assert is_right(solution, truth, 3.0)
    assert solution.mode == "j2000"
    assert solution.parity == 1
    assert solution.rotation_deg == pytest.approx(33.0, abs=0.05)
    assert solution.scale_arcsec_per_px == pytest.approx(S50_SCALE, rel=2e-3)
    assert solution.shape == stars.shape
    assert solution.n_stars == len(stars)
    assert solution.n_tried >= 1
    assert solution.log_odds >= ACCEPT_LOG_ODDS
    assert set(solution.ms) == {"match", "fit"}


def test_without_a_hint(field: tuple[StarList, TanWcs]) -> None:
    stars, truth = field
    for solution in (solve(stars), solve(stars, (10.0, 10.0), blind=True)):
        assert solution.mode == "blind"
        assert is_right(solution, truth, 3.0)


def test_noise_free_stars_give_the_exact_place() -> None:
    stars, truth = s50_list(100.0, 20.0, noise_arcsec=0.0, n_false=0, mag_noise=0.0)
    assert error_arcsec(solve(stars, (100.0, 20.0)), truth) < 0.01
    assert error_arcsec(solve(stars), truth) < 0.01


def test_hints_are_taken_in_their_order_and_the_one_that_led_there_is_named(
    field: tuple[StarList, TanWcs],
) -> None:
    stars, truth = field
    away = (M94[0], M94[1] - 1.5)
    right_first = solve(stars, [Hint(*M94, "of_date"), Hint(*away, "j2000")])
    right_last = solve(stars, [Hint(*away, "of_date"), Hint(*M94, "j2000")])
    neither = solve(stars, [Hint(*away, "of_date"), Hint(200.0, -60.0, "j2000")])
    assert (right_first.mode, right_last.mode, neither.mode) == ("of_date", "j2000", "blind")
    assert all(is_right(s, truth, 3.0) for s in (right_first, right_last, neither))


def test_a_single_hint_object(field: tuple[StarList, TanWcs]) -> None:
    assert solve(field[0], Hint(*M94, "of_date")).mode == "of_date"


def test_header_pointings_are_read_both_ways() -> None:
    pointing = Pointing(193.0, 40.9, datetime(2025, 3, 26, 21, tzinfo=UTC))
    first, second = hints_of(SimpleNamespace(pointing=pointing))  # type: ignore[arg-type]
    assert (first.mode, second.mode) == ("of_date", "j2000")
    assert (second.ra_deg, second.dec_deg) == pytest.approx((193.0, 40.9))
    apart = separation_arcsec(first.ra_deg, first.dec_deg, second.ra_deg, second.dec_deg)
    assert 300 < apart < 1300  # a quarter of a century of precession
    assert hints_of(SimpleNamespace(pointing=None)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("ra", [-10.0, 350.0, 710.0])
def test_right_ascension_of_a_hint_may_run_round(ra: float) -> None:
    stars, truth = s50_list(350.0, 40.0)
    solution = solve(stars, (ra, 40.0))
    assert solution.mode == "j2000"
    assert is_right(solution, truth)


# --- the whole sky --------------------------------------------------------------------------------


@pytest.mark.parametrize("blind", [True, False])
def test_the_whole_sky_and_its_hard_places(blind: bool) -> None:
    rng = np.random.default_rng(17)
    failed, wrong = [], []
    for ra, dec, rotation in random_pointings(150, seed=3):
        stars, truth = simulate_star_list("S50", ra, dec, rotation, rng)
        try:
            solution = solve(stars, (ra, dec), blind=blind)
        except NoSolution:
            failed.append((ra, dec))
            continue
        if not is_right(solution, truth):
            wrong.append((ra, dec))
    assert not wrong
    assert not failed


@pytest.mark.parametrize("model", ["S30", "S30 Pro"])
def test_the_other_telescopes(model: str) -> None:
    rng = np.random.default_rng(18)
    scale = TELESCOPES[model].scale_arcsec_per_px
    for ra, dec, rotation in random_pointings(30, seed=4):
        stars, truth = simulate_star_list(model, ra, dec, rotation, rng)
        blind = solve(stars, scale_arcsec_per_px=scale)
        hinted = solve(stars, (ra, dec), scale_arcsec_per_px=scale)
        assert is_right(blind, truth, 15.0), (ra, dec)
        assert is_right(hinted, truth, 15.0), (ra, dec)


@pytest.mark.parametrize("dec", [90.0, -90.0, 89.97, -89.97])
def test_poles(dec: float) -> None:
    stars, truth = s50_list(0.0, dec, noise_arcsec=0.0, n_false=0)
    for solution in (solve(stars), solve(stars, (0.0, dec)), solve(stars, (180.0, dec))):
        assert error_arcsec(solution, truth) < 0.05


# --- what the answer holds ------------------------------------------------------------------------


def test_pairs_are_places_in_the_list_and_rows_of_the_catalogue(
    field: tuple[StarList, TanWcs],
) -> None:
    stars, _ = field
    solution = solve(stars)
    catalogue = bundled_catalogue()
    xyz, _, rows, _ = catalogue.gather(*M94, 1.0, epoch_jyear=2025.0)
    place = {int(r): i for i, r in enumerate(rows)}
    x, y = stars.x_px[solution.star_index], stars.y_px[solution.star_index]
    ra, dec = solution.pixel_to_sky(x, y)
    assert solution.n_matched == len(solution.catalogue_row) == len(solution.residual_arcsec)
    assert len(set(solution.star_index.tolist())) == solution.n_matched
    assert len(set(solution.catalogue_row.tolist())) == solution.n_matched
    v = xyz[[place[int(r)] for r in solution.catalogue_row]]
    true_ra, true_dec = np.degrees(np.arctan2(v[:, 1], v[:, 0])), np.degrees(np.arcsin(v[:, 2]))
    off = separation_arcsec(ra, dec, true_ra, true_dec)
    np.testing.assert_allclose(off, np.hypot(*solution.residual_arcsec.T), atol=1e-3)
    north = (dec - true_dec) * 3600
    np.testing.assert_allclose(north, solution.residual_arcsec[:, 1], atol=2e-3)
    assert solution.rms_arcsec == pytest.approx(np.sqrt(np.mean(off**2)), abs=1e-3)


def test_stars_without_a_place_are_skipped_and_counted_through(
    field: tuple[StarList, TanWcs],
) -> None:
    stars, truth = field
    nan, one = np.full(3, np.nan), np.full(3, 1e6)
    spoilt = StarList(
        np.concatenate([nan, stars.x_px]),
        np.concatenate([[5.0, np.inf, np.nan], stars.y_px]),
        np.concatenate([one, stars.flux_adu]),
        shape=stars.shape,
    )
    clean, solution = solve(stars), solve(spoilt)
    assert is_right(solution, truth)
    np.testing.assert_array_equal(solution.star_index, clean.star_index + 3)
    np.testing.assert_array_equal(solution.catalogue_row, clean.catalogue_row)


@pytest.mark.parametrize("bad", [0.0, -5.0, np.nan, np.inf])
def test_one_senseless_flux_spoils_nothing(field: tuple[StarList, TanWcs], bad: float) -> None:
    stars, truth = field
    flux = stars.flux_adu.copy()
    flux[4] = bad
    spoilt = StarList(stars.x_px, stars.y_px, flux, shape=stars.shape)
    assert is_right(solve(spoilt), truth)
    assert is_right(solve(spoilt, M94), truth)


@pytest.mark.parametrize("blind", [True, False])
def test_the_same_list_gives_the_same_answer(blind: bool) -> None:
    stars, _ = s50_list(300.0, 35.0)
    first, second = (solve(stars, (300.0, 35.0), blind=blind) for _ in range(2))
    assert first.crval == second.crval
    np.testing.assert_array_equal(first.cd, second.cd)
    np.testing.assert_array_equal(first.star_index, second.star_index)
    assert (first.log_odds, first.n_tried) == (second.log_odds, second.n_tried)


def test_proper_motion_is_applied_to_the_epoch_of_the_frame() -> None:
    stars, truth = s50_list(269.45, 4.75, noise_arcsec=0.05, n_false=0, drop=0.0,
                            epoch_jyear=2026.0)  # fmt: skip
    catalogue = bundled_catalogue()
    _, _, rows, gaia_rows = catalogue.gather(269.45, 4.75, 0.2)
    known = gaia_rows >= 0
    row = rows[known][np.asarray(catalogue.gaia_id)[gaia_rows[known]] == BARNARD]
    now, long_ago = solve(stars, epoch_jyear=2026.0), solve(stars, epoch_jyear=2000.0)
    assert is_right(now, truth, 1.0)
    at = np.flatnonzero(now.catalogue_row == row)
    assert len(at) == 1
    assert np.hypot(*now.residual_arcsec[at[0]]) < 0.5
    assert row not in long_ago.catalogue_row


def test_more_stars_make_a_surer_answer() -> None:
    stars, _ = s50_list(120.0, 30.0, n_false=0, noise_arcsec=0.3)
    odds = [solve(chosen(stars, np.arange(n)), (120.0, 30.0)).log_odds for n in (8, 12, 18)]
    assert odds == sorted(odds)


def test_a_lens_that_bends_gets_a_distortion() -> None:
    for ra, dec in ((290.0, 12.0), (290.0, 75.0)):
        stars, truth = s50_list(ra, dec, max_stars=140, noise_arcsec=0.1, n_false=0, drop=0.0)
        x0, y0 = truth.centre_px
        dx, dy = stars.x_px - x0, stars.y_px - y0
        bent = moved(stars, stars.x_px - 3e-6 * dx * dx, stars.y_px + 2e-6 * dx * dy)
        solution, flat = solve(bent, (ra, dec)), solve(stars, (ra, dec))
        assert flat.sip is None
        assert solution.n_matched > 40
        assert solution.sip is not None
        assert solution.rms_arcsec < 0.35
        x, y = bent.x_px[solution.star_index], bent.y_px[solution.star_index]
        true = truth.pixel_to_sky(stars.x_px[solution.star_index], stars.y_px[solution.star_index])
        assert np.median(separation_arcsec(*solution.pixel_to_sky(x, y), *true)) < 0.25


@pytest.mark.parametrize("dec", [-89.99, -89.9995])
def test_a_lens_that_bends_at_the_pole(dec: float) -> None:
    stars, truth = s50_list(70.0, dec, max_stars=140, noise_arcsec=0.05, n_false=0, drop=0.0)
    x0, y0 = truth.centre_px
    dx, dy = stars.x_px - x0, stars.y_px - y0
    bent = moved(stars, stars.x_px - 6e-6 * dx * dx, stars.y_px + 4e-6 * (dx * dy + dy * dy))
    solution = solve(bent, (70.0, dec))
    assert solution.sip is not None
    x, y = bent.x_px[solution.star_index], bent.y_px[solution.star_index]
    true = truth.pixel_to_sky(stars.x_px[solution.star_index], stars.y_px[solution.star_index])
    assert np.median(separation_arcsec(*solution.pixel_to_sky(x, y), *true)) < 0.3
