"""Sky surfaces, flux scales, weights."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.errors import SettingsError, StackError
from crowdsky.stacking import StackSettings, common_scales, flux_scale, point_source_weights
from crowdsky.stacking.sky import SkyGrid, match_sky

SHAPE = (400, 300)


def images(
    seed: int = 0, noise: float = 20.0
) -> tuple[SkyGrid, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    truth = np.array([30.0, -12.0, 7.0, 4.0, -3.0, 5.0])
    surface = np.tensordot(truth, [np.ones_like(x), x, y, x * x, x * y, y * y], 1)
    sky = np.full((3, *SHAPE), 1000.0)
    sky[:, 100:130, 100:160] += 4000.0  # a nebula, in both
    frame = sky + surface + rng.normal(0, noise, sky.shape)
    frame[:, 200:203] += 9000.0  # a trail, in one
    return SkyGrid.over(*SHAPE), frame.astype(np.float32), sky.astype(np.float32), truth


def test_a_gradient_is_recovered_through_stars_and_trails() -> None:
    grid, frame, sky, truth = images()
    match = match_sky(grid.of(frame), grid.of(sky), grid)
    assert match.coefficients == pytest.approx(np.tile(truth, (3, 1)), abs=2.0)
    assert match.sigma_adu == pytest.approx(20.0, rel=0.05)
    assert (match.tail_adu >= match.sigma_adu).all()


def test_the_order_is_respected() -> None:
    grid, frame, sky, _ = images()
    flat = match_sky(grid.of(frame), grid.of(sky), grid, order=0)
    assert (flat.coefficients[:, 1:] == 0).all()
    plane = match_sky(grid.of(frame), grid.of(sky), grid, order=1)
    assert (plane.coefficients[:, 3:] == 0).all()
    assert plane.coefficients[:, 1] == pytest.approx(-12.0, abs=2.0)


def test_the_scale_is_applied_first() -> None:
    grid, _, sky, _ = images()
    match = match_sky(grid.of(sky) * np.float32(0.5), grid.of(sky), grid, scale=2.0)
    assert np.abs(match.coefficients).max() < 1e-3


def test_pixels_without_data_are_left_out() -> None:
    grid, frame, sky, truth = images()
    frame[:, :, 150:] = np.nan
    match = match_sky(grid.of(frame), grid.of(sky), grid)
    assert match.coefficients[:, 0] == pytest.approx(truth[0], abs=4.0)
    nothing = match_sky(grid.of(frame) * np.float32(np.nan), grid.of(sky), grid)
    assert (nothing.coefficients == 0).all()
    assert (nothing.sigma_adu == 0).all()


def test_the_comb_sees_all_sites_of_the_bayer_cell() -> None:
    grid = SkyGrid.over(1920, 1080)
    y, x = np.mgrid[:1920, :1080]
    sites = grid.of((y % 2) * 2 + x % 2)
    assert np.bincount(sites.ravel()) / sites.size == pytest.approx([0.25] * 4, abs=0.02)


def test_flux_scale_is_a_robust_ratio() -> None:
    rng = np.random.default_rng(1)
    reference = np.geomspace(1e3, 1e5, 30)
    flux = reference / 1.25 * rng.normal(1.0, 0.01, 30)
    flux[3] *= 5.0  # a variable, a blend
    found = flux_scale(reference, flux)
    assert found.scale == pytest.approx(1.25, rel=0.01)
    assert 0 < found.error < 0.01
    assert found.n_pairs == 30


def test_an_insignificant_scale_is_one() -> None:
    rng = np.random.default_rng(2)
    reference = np.geomspace(1e3, 1e5, 20)
    found = flux_scale(reference, reference * rng.normal(1.0, 0.05, 20))
    assert found.scale == 1.0
    assert found.error > 0


def test_few_or_unusable_pairs_give_one_without_a_claim() -> None:
    found = flux_scale([1.0, 2.0, np.nan, -3.0, 5.0], [2.0, 4.0, 1.0, 1.0, 10.0])
    assert (found.scale, found.error, found.n_pairs) == (1.0, np.inf, 3)
    unusable = flux_scale(np.ones(9), np.full(9, 2.0), usable=np.arange(9) < 4)
    assert unusable.scale == 1.0


def test_common_scales_keep_the_mean_flux() -> None:
    transparency = np.array([1.0, 0.8, 0.9])
    weights = np.array([2.0, 1.0, 1.0])
    scales = common_scales(1 / transparency, weights)
    flux = 1000.0 * transparency
    stacked = np.average(flux * scales, weights=weights)
    assert stacked == pytest.approx(np.average(flux, weights=weights))
    assert np.ptp(flux * scales) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(StackError):
        common_scales([1.0, 0.0], [1.0, 1.0])


def test_weights_are_inverse_variances_of_a_stars_flux() -> None:
    weights = point_source_weights([1.0, 2.0, 1.0], [10.0, 10.0, 20.0], [3.0, 3.0, 3.0])
    assert weights / weights[0] == pytest.approx([1.0, 0.25, 0.25])
    assert weights.mean() == pytest.approx(1.0)
    seeing = point_source_weights([1.0, 1.0], [10.0, 10.0], [3.0, 6.0])
    assert seeing[0] / seeing[1] == pytest.approx(4.0)
    unknown = point_source_weights([1.0, 1.0], [np.nan, np.nan], [np.nan, 3.0])
    assert unknown == pytest.approx([1.0, 1.0])
    wild = point_source_weights([1.0, 1.0, 1e-6], [1.0, 1.0, 1.0])
    assert wild.max() / np.median(wild) <= 10.0 + 1e-9


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_reference": 0},
        {"sky_order": 3},
        {"grow_px": 5},
        {"reject_sigma": -1.0},
        {"cubic_a": 1.0},
    ],
)
def test_settings_are_checked(wrong: dict) -> None:
    with pytest.raises(SettingsError):
        StackSettings(**wrong)
