"""Detection on real frames, where there are any."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from crowdsky.frames.read import read_frame
from crowdsky.stars import FrameQuality, StarList, detect_stars, grade_frame

pytestmark = pytest.mark.real

Graded = tuple[Path, StarList, FrameQuality]


@pytest.fixture(scope="module")
def m94(real_frames: list[Path]) -> list[Graded]:
    return _graded([p for p in real_frames if "M94" in str(p)])


@pytest.fixture(scope="module")
def ngc7023(real_frames: list[Path]) -> list[Graded]:
    return _graded([p for p in real_frames if "NGC7023" in str(p)])


def _graded(paths: list[Path]) -> list[Graded]:
    if not paths:
        pytest.skip("no frames of this field")
    graded = []
    for path in paths:
        frame = read_frame(path)
        stars = detect_stars(frame.mosaic, frame.header.bayer)
        graded.append((path, stars, grade_frame(frame.mosaic, stars, frame.header.bayer)))
    return graded


def test_a_frame_at_the_galactic_pole(m94: list[Graded]) -> None:
    for path, stars, quality in m94:
        assert 50 <= len(stars) <= 120, path
        assert quality.starlike_fraction > 0.8, path
        assert 2.2 < quality.fwhm_px < 3.8, path
        assert 850 < stars.background_adu < 980, path
        assert 70 < stars.noise_adu < 95, path


def test_the_nucleus_of_m94_is_behind_the_stars(m94: list[Graded]) -> None:
    for path, stars, _ in m94:
        extended = np.flatnonzero((stars.fwhm_px > 5) & (stars.flux_adu > 5e4))
        assert len(extended) == 1, path
        assert not stars.starlike[extended[0]], path
        assert extended[0] >= 40, path


def test_a_frame_in_nebulosity(ngc7023: list[Graded]) -> None:
    for path, stars, quality in ngc7023:
        assert 200 <= len(stars) <= 400, path
        assert quality.starlike_fraction > 0.85, path
        assert 1.6 < quality.fwhm_px < 2.4, path
        assert stars.saturated[0], path


def test_stars_keep_their_places_from_frame_to_frame(m94: list[Graded]) -> None:
    """Bright stars of successive frames agree to a tenth of a pixel after a linear fit."""
    scatter = []
    for (_, before, _), (_, after, _) in pairwise(m94[:9]):
        shift = np.median(
            np.array([after.x_px[:3] - before.x_px[:3], after.y_px[:3] - before.y_px[:3]]), axis=1
        )
        pairs = []
        for k in np.flatnonzero(before.snr > 50):
            away = np.hypot(
                after.x_px - before.x_px[k] - shift[0], after.y_px - before.y_px[k] - shift[1]
            )
            if away.min() < 2:
                pairs.append((k, int(away.argmin())))
        if len(pairs) < 8:
            continue
        k, m = np.array(pairs).T
        design = np.stack([before.x_px[k], before.y_px[k], np.ones(len(k))], axis=1)
        for axis in (after.x_px[m], after.y_px[m]):
            rest = axis - design @ np.linalg.lstsq(design, axis, rcond=None)[0]
            scatter.append(np.sqrt((rest**2).sum() / (len(k) - 3)))
    assert len(scatter) >= 8
    assert np.median(scatter) / np.sqrt(2) < 0.1
