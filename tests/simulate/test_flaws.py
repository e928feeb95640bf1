"""Every way in which a frame can be bad."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.simulate import Flaw, Session
from tests.simulate.sessions import green_flux_adu, lone_stars, plan


@pytest.fixture(scope="module")
def bad() -> dict[Flaw, tuple[Session, np.ndarray]]:
    """One frame of each flaw, of the same field under the same noise."""
    drawn = {}
    for flaw in Flaw:
        session = Session(plan(n_frames=1, flaws=((0, flaw),)))
        drawn[flaw] = (session, session.draw(0).mosaic)
    return drawn


def test_clouds_take_the_stars_and_brighten_the_sky(bad, pole) -> None:
    session, mosaic = bad[Flaw.CLOUD]
    clear = pole[1].mosaic
    stars = session.scene.stars
    chosen = lone_stars(session, 0, 8.0, 10.5)
    x, y = session.aims[0].wcs.sky_to_pixel(stars.ra_deg[chosen], stars.dec_deg[chosen])
    ratio = [
        green_flux_adu(mosaic, *xy) / green_flux_adu(clear, *xy) for xy in zip(x, y, strict=True)
    ]
    assert 0.01 < np.median(ratio) < 0.3
    assert np.median(mosaic) > 1.1 * np.median(clear)
    assert session.frame_truth(0).transparency < 0.2


def test_a_trailed_frame_keeps_the_light_but_not_the_peak(bad, pole) -> None:
    session, mosaic = bad[Flaw.TRAILED]
    clear = pole[1].mosaic
    bright = lone_stars(session, 0, 8.0, 10.5)[0]
    stars = session.scene.stars
    x, y = session.aims[0].wcs.sky_to_pixel(stars.ra_deg[bright], stars.dec_deg[bright])
    area = np.s_[int(y) - 60 : int(y) + 60, int(x) - 60 : int(x) + 60]
    assert mosaic[area].max() < 0.35 * clear[area].max()
    gain = clear[area].sum() - 480.0 * 120 * 120
    assert mosaic[area].sum() - 480.0 * 120 * 120 == pytest.approx(gain, rel=0.05)


def test_a_defocused_star_is_a_disc(bad, pole) -> None:
    session, mosaic = bad[Flaw.DEFOCUSED]
    bright = lone_stars(session, 0, 8.0, 10.0)[0]
    stars = session.scene.stars
    x, y = session.aims[0].wcs.sky_to_pixel(stars.ra_deg[bright], stars.dec_deg[bright])
    whole = green_flux_adu(mosaic, float(x), float(y), 16.0, sky_from_px=18.0)
    middle = green_flux_adu(mosaic, float(x), float(y), 5.0, sky_from_px=18.0)
    assert middle / whole == pytest.approx((5 / 13) ** 2, abs=0.05)


def test_levels_of_frames_without_stars(bad) -> None:
    assert not bad[Flaw.BLACK][1].any()
    dark = bad[Flaw.DARK][1]
    assert np.median(dark) == pytest.approx(480, abs=8)
    assert 20 < 1.4826 * np.median(np.abs(dark - 480.0)) < 50
    assert (bad[Flaw.SATURATED][1] > 65000).mean() > 0.99
    dome = bad[Flaw.DOME][1]
    assert np.median(dome) > 3000
    assert dome.max() < 65000


def test_a_satellite_lights_the_pixels_on_its_way() -> None:
    session = Session(plan(n_frames=1, satellites=(0,)))
    frame = session.draw(0)
    (trail,) = frame.truth.trails
    along = np.linspace(0, 1, 4000)
    x = trail.x0_px + along * (trail.x1_px - trail.x0_px)
    y = trail.y0_px + along * (trail.y1_px - trail.y0_px)
    inside = (x > 5) & (x < 1074) & (y > 5) & (y < 1914)
    assert inside.sum() > 100
    on = frame.mosaic[np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)]
    # About two fifths of its light falls on the middle row of pixels, of which half are green.
    assert np.median(on) - np.median(frame.mosaic) > 0.15 * trail.adu_per_px


def test_hot_pixels_are_where_the_truth_says(pole) -> None:
    from pathlib import Path

    session, frame = pole
    truth = session.truth(Path())
    assert len(truth.hot_pixels) == 8
    excess = [
        float(frame.mosaic[y, x]) - np.median(frame.mosaic[y - 4 : y + 5 : 2, x - 4 : x + 5 : 2])
        for x, y, _ in truth.hot_pixels
    ]
    told = [min(adu, 65520 - 1000) for _, _, adu in truth.hot_pixels]
    np.testing.assert_allclose(excess, told, atol=600)
