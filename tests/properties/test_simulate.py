"""What holds for any pointing of the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdsky.frames import Pointing
from crowdsky.simulate import SessionPlan, TanWcs, simulate_star_list
from crowdsky.simulate.instrument import instrument_for
from crowdsky.simulate.mount import aims_of
from tests.simulate.sessions import START

directions = st.tuples(
    st.floats(0.0, 360.0), st.floats(-90.0, 90.0), st.floats(-180.0, 180.0)
)  # fmt: skip


def angle_arcsec(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    def vector(ra: float, dec: float) -> np.ndarray:
        r, d = np.radians(ra), np.radians(dec)
        return np.array([np.cos(d) * np.cos(r), np.cos(d) * np.sin(r), np.sin(d)])

    chord = np.linalg.norm(vector(ra1, dec1) - vector(ra2, dec2))
    return float(np.degrees(2 * np.arcsin(chord / 2)) * 3600)


@given(directions, st.floats(0, 1079), st.floats(0, 1919))
def test_pixel_to_sky_and_back(direction: tuple[float, float, float], x: float, y: float) -> None:
    wcs = TanWcs(*direction, 2.3742, 1080, 1920)
    back = wcs.sky_to_pixel(*wcs.pixel_to_sky(x, y))
    np.testing.assert_allclose(back, (x, y), atol=1e-5)


@given(directions)
def test_the_plate_is_mirrored_and_has_its_scale(direction: tuple[float, float, float]) -> None:
    wcs = TanWcs(*direction, 2.3742, 1080, 1920)
    determinant = np.linalg.det(wcs.cd_deg_per_px)
    assert np.sqrt(determinant) * 3600 == pytest.approx(2.3742)
    x0, y0 = wcs.centre_px
    here, right = wcs.pixel_to_sky(x0, y0), wcs.pixel_to_sky(x0 + 10, y0)
    assert angle_arcsec(*here, *right) == pytest.approx(23.742, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(directions, st.integers(0, 2**31))
def test_star_lists_are_sound_anywhere(direction: tuple[float, float, float], seed: int) -> None:
    stars, wcs = simulate_star_list("S50", *direction, np.random.default_rng(seed))
    assert len(stars) <= 60
    for column in (stars.x_px, stars.y_px, stars.flux_adu):
        assert np.isfinite(column).all()
    assert (stars.flux_adu > 0).all()
    assert (np.abs(np.subtract(wcs.centre_px, (539.5, 959.5))) == 0).all()


@settings(max_examples=40, deadline=None)
@given(directions, st.integers(0, 2**31))
def test_cards_lie_within_two_arcminutes_once_precessed(
    direction: tuple[float, float, float], seed: int
) -> None:
    ra, dec, rotation = direction
    plan = SessionPlan(
        "any", ra, dec, START, n_frames=3, rotation_deg=rotation, seed=seed, dither_every=2
    )
    for aim in aims_of(plan, instrument_for("S50")):
        assert 0 <= aim.ra_card_deg < 360
        assert -90 <= aim.dec_card_deg <= 90
        pointing = Pointing(aim.ra_card_deg, aim.dec_card_deg, aim.start_utc)
        off = angle_arcsec(*pointing.icrs_of_date(), aim.wcs.ra_deg, aim.wcs.dec_deg)
        assert off < 200
