"""Star lists without pixels."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.astrometry.catalogue import bundled_catalogue
from crowdsky.errors import SimulationError
from crowdsky.frames import TELESCOPES
from crowdsky.simulate import random_pointings, simulate_star_list


@pytest.mark.parametrize(
    ("ra", "dec", "rotation"),
    [(192.8, 41.1, 12.0), (0.0, 90.0, 0.0), (0.0, -90.0, 77.0), (359.99, 0.0, 180.0)],
)
def test_without_noise_every_star_lies_on_the_catalogue(
    ra: float, dec: float, rotation: float
) -> None:
    rng = np.random.default_rng(3)
    stars, wcs = simulate_star_list(
        "S50", ra, dec, rotation, rng, noise_arcsec=0, mag_noise=0, drop=0, n_false=0
    )
    sky_ra, sky_dec = wcs.pixel_to_sky(stars.x_px, stars.y_px)
    listed = bundled_catalogue().cone(ra, dec, 0.8, epoch_jyear=2025.0)
    cos_dec = np.cos(np.radians(sky_dec))[:, None]
    off = np.hypot(
        ((sky_ra[:, None] - listed.ra_deg + 180) % 360 - 180) * cos_dec,
        sky_dec[:, None] - listed.dec_deg,
    )
    assert len(stars) >= 8
    assert off.min(axis=1).max() * 3600 < 1e-3
    nearest = off.argmin(axis=1)
    assert (np.diff(listed.mag[nearest]) >= 0).all()


def test_the_wcs_is_mirrored_as_on_real_frames() -> None:
    _, wcs = simulate_star_list("S50", 10.0, 20.0, 30.0, np.random.default_rng(0))
    assert np.linalg.det(wcs.cd_deg_per_px) > 0
    x0, y0 = wcs.centre_px
    ra, dec = wcs.pixel_to_sky(x0, y0 + 100)
    angle = np.degrees(np.arctan2((ra - 10.0) * np.cos(np.radians(20.0)), dec - 20.0))
    assert angle == pytest.approx(30.0, abs=0.05)


def test_noise_drops_and_false_stars_are_as_asked() -> None:
    rng = np.random.default_rng(5)
    settings = {"mag_noise": 0.0, "max_stars": 500}
    full, wcs = simulate_star_list("S50", 80.0, 30.0, 0.0, rng, noise_arcsec=0, drop=0, n_false=0,
                                   **settings)  # fmt: skip
    noisy, _ = simulate_star_list("S50", 80.0, 30.0, 0.0, rng, noise_arcsec=0.5, drop=0.3,
                                  n_false=4, **settings)  # fmt: skip
    off = np.hypot(
        noisy.x_px[:, None] - full.x_px, noisy.y_px[:, None] - full.y_px
    ).min(axis=1) * wcs.scale_arcsec_per_px  # fmt: skip
    true = off < 3
    assert np.count_nonzero(~true) == 4
    assert 0.55 < true.sum() / len(full) < 0.85
    assert np.sqrt(np.mean(off[true] ** 2) / 2) == pytest.approx(0.5, rel=0.2)


def test_lists_are_ordered_bounded_and_inside() -> None:
    for index, (ra, dec, rotation) in enumerate(random_pointings(60, seed=2)):
        for name in ("S50", "S30 Pro"):
            stars, wcs = simulate_star_list(
                name, ra, dec, rotation, np.random.default_rng(index), max_stars=40
            )
            assert 5 <= len(stars) <= 40
            assert (np.diff(stars.flux_adu) <= 0).all()
            assert stars.shape == (TELESCOPES[name].ny, TELESCOPES[name].nx)
            assert (stars.x_px >= -0.5).all()
            assert (stars.x_px < wcs.nx - 0.5).all()
            assert (stars.y_px >= -0.5).all()
            assert (stars.y_px < wcs.ny - 0.5).all()


def test_the_same_generator_gives_the_same_list() -> None:
    lists = [simulate_star_list("S30", 5.0, -5.0, 9.0, np.random.default_rng(1))[0] for _ in "ab"]
    np.testing.assert_array_equal(lists[0].x_px, lists[1].x_px)
    np.testing.assert_array_equal(lists[0].flux_adu, lists[1].flux_adu)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(SimulationError, match="S60: the model must be one of S50, S30, S30 Pro"):
        simulate_star_list("S60", 0.0, 0.0, 0.0, np.random.default_rng(0))


def test_pointings_cover_the_sky_and_its_hard_places() -> None:
    pointings = random_pointings(2000)
    assert pointings.shape == (2000, 3)
    assert np.abs(pointings[:, 1]).max() == 90
    assert np.mean(np.sin(np.radians(pointings[:, 1]))) == pytest.approx(0, abs=0.05)
    assert (pointings[:, 0] == 0).sum() >= 3
    np.testing.assert_array_equal(pointings, random_pointings(2000))
    assert len(random_pointings(3)) == 3
