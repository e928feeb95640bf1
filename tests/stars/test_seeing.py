"""The figures by which a frame is judged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crowdsky.stars import detect_stars, grade_frame
from tests.stars.fields import NOISE, SKY_RGB, Field, scattered


def frame(fwhm_px: float = 2.9, transmission: float = 1.0, **star: float) -> np.ndarray:
    field = Field(shape=(480, 320), fwhm_px=fwhm_px)
    for x, y in scattered(25, field.shape, 4):
        field.add_star(x, y, 2e5 * transmission, **star)  # type: ignore[arg-type]
    return field.mosaic()


def test_a_good_frame() -> None:
    mosaic = frame()
    quality = grade_frame(mosaic, detect_stars(mosaic))
    assert quality.n_stars == quality.n_starlike == 25
    assert quality.starlike_fraction == 1.0
    assert quality.fwhm_px == pytest.approx(2.98, abs=0.08)
    assert quality.elongation < 1.06
    assert quality.background_adu == pytest.approx(SKY_RGB, abs=15)
    assert quality.noise_adu == pytest.approx((NOISE,) * 3, rel=0.1)
    assert quality.zero_fraction == (0.0, 0.0, 0.0)
    assert quality.saturated_fraction == 0.0


def test_clouds_show_in_the_flux() -> None:
    clear, cloudy = (frame(transmission=t) for t in (1.0, 0.4))
    ratio = (
        grade_frame(cloudy, detect_stars(cloudy)).flux_adu
        / grade_frame(clear, detect_stars(clear)).flux_adu
    )
    assert ratio == pytest.approx(0.4, rel=0.05)


def test_trailing_and_poor_focus_show() -> None:
    trailed = frame(elongation=2.0, angle_deg=20.0)
    assert grade_frame(trailed, detect_stars(trailed)).elongation > 1.7
    soft = frame(fwhm_px=7.0)
    assert grade_frame(soft, detect_stars(soft)).fwhm_px > 6.5


def test_a_black_frame_has_no_stars_and_all_zeros() -> None:
    black = np.zeros((480, 320), np.uint16)
    quality = grade_frame(black, detect_stars(black))
    assert quality.n_stars == 0
    assert math.isnan(quality.fwhm_px)
    assert math.isnan(quality.flux_adu)
    assert math.isnan(quality.starlike_fraction)
    assert quality.zero_fraction == (1.0, 1.0, 1.0)


def test_zeros_and_saturation_are_counted_by_colour() -> None:
    mosaic = frame()
    mosaic[1::2, ::2] = 0  # blue in GRBG
    mosaic[:, 160:] = np.maximum(mosaic[:, 160:], 65535)
    quality = grade_frame(mosaic, detect_stars(mosaic))
    assert quality.zero_fraction == pytest.approx((0.0, 0.0, 0.5))
    assert quality.saturated_fraction == pytest.approx(0.5, abs=0.01)


def test_a_frame_of_no_size() -> None:
    empty = np.zeros((0, 0), np.uint16)
    quality = grade_frame(empty, detect_stars(empty))
    assert math.isnan(quality.saturated_fraction)
