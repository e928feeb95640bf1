"""The parts of detection, each against a plain reckoning."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.stars.background import interpolate, low_quantile, sample_mesh
from crowdsky.stars.luminance import SMOOTHED_NOISE_GAIN, SMOOTHED_WEIGHT, smoothed_superpixels
from crowdsky.stars.shape import Profile, axes_px, is_starlike


def test_smoothed_superpixels_against_numpy() -> None:
    image = np.random.default_rng(1).integers(0, 65536, (38, 52), dtype=np.uint16)
    sums = image.astype(float).reshape(19, 2, 26, 2).sum(axis=(1, 3))
    padded = np.pad(sums, 1, mode="edge")
    kernel = np.outer([1, 2, 1], [1, 2, 1])
    expected = sum(
        kernel[i, j] * padded[i : i + 19, j : j + 26] for i in range(3) for j in range(3)
    )
    np.testing.assert_allclose(smoothed_superpixels(image), expected, rtol=1e-6)


def test_the_constants_of_the_smoothing_are_what_they_say() -> None:
    noise = np.random.default_rng(1).normal(1000.0, 50.0, (800, 800)).astype(np.float32)
    smooth = smoothed_superpixels(noise)
    assert smooth.mean() == pytest.approx(1000 * SMOOTHED_WEIGHT, rel=1e-3)
    assert smooth.std() == pytest.approx(50 * SMOOTHED_NOISE_GAIN, rel=0.02)


@pytest.mark.parametrize("n", [1, 2, 9, 36, 97])
def test_low_quantile_against_sorting(n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.normal(1000, 30, n).astype(np.float32)
    values[: n // 5] += 200
    for k in {0, n // 4, n // 2}:
        wanted = np.sort(values)[k]
        assert low_quantile(values, k) == pytest.approx(wanted, abs=0.15)


def test_mesh_follows_a_gradient_and_ignores_it_in_the_noise() -> None:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:320, :256]
    image = (1e5 + 200.0 * x + 100.0 * y + rng.normal(0, 500, x.shape)).astype(np.float32)
    mesh = sample_mesh(image)
    assert mesh.level.shape == (10, 8)
    assert mesh.median_sigma == pytest.approx(500, rel=0.1)
    for i, j in [(160, 128), (100, 60), (250, 200)]:
        level = interpolate(mesh.level, i, j, 320, 256)
        assert level == pytest.approx(1e5 + 200 * j + 100 * i, abs=700)


def test_mesh_does_not_see_a_bright_star() -> None:
    image = np.random.default_rng(1).normal(1e5, 500, (320, 256)).astype(np.float32)
    image[150:180, 120:150] += 1e6
    mesh = sample_mesh(image)
    assert np.abs(mesh.level - 1e5).max() < 700


def test_axes_of_known_moments() -> None:
    fwhm, elongation = axes_px(np.array([4.0, 1.0]), np.array([1.0, 1.0]), np.array([0.0, 0.0]))
    assert elongation == pytest.approx([2.0, 1.0])
    assert fwhm == pytest.approx([2.3548 * np.sqrt(2.0), 2.3548], rel=1e-4)
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moments = turn @ np.diag([4.0, 1.0]) @ turn.T
    profile = Profile(moments[0, 0], moments[1, 1], moments[0, 1])
    assert profile.elongation == pytest.approx(2.0)
    assert profile.fwhm_px == pytest.approx(2.3548 * np.sqrt(2.0), rel=1e-4)


def test_what_is_starlike() -> None:
    profile = Profile(1.5, 1.5, 0.0)  # FWHM 2.88 px
    fwhm = np.array([2.9, 1.0, 6.0, 2.9, 5.5, 4.6])
    elongation = np.array([1.1, 1.1, 1.1, 2.5, 1.1, 1.2])
    snr = np.array([100.0, 100.0, 100.0, 100.0, 100.0, 5.0])
    saturated = np.array([False, False, False, False, True, False])
    verdict = is_starlike(fwhm, elongation, snr, saturated, profile)
    assert verdict.tolist() == [True, False, False, False, True, True]
