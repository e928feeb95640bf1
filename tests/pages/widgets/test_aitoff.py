"""The projection of the whole sky: there and back, and where astropy draws it."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from crowdsky.pages.widgets.aitoff import (
    HALF_HEIGHT_DEG,
    HALF_WIDTH_DEG,
    aitoff_from_sky,
    sky_from_aitoff,
)

EDGES = (0.0, 1e-13, 1e-7, 90.0, 179.9999999999, 180.0, 180.0000000001, 270.0, 359.9999999999)
POLES = (-90.0, -89.9999999999, -45.0, 0.0, 1e-13, 89.99999, 90.0)


def vectors(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def apart_deg(ra: object, dec: object, ra_2: object, dec_2: object) -> float:
    one = vectors(np.asarray(ra, float), np.asarray(dec, float))
    two = vectors(np.asarray(ra_2, float), np.asarray(dec_2, float))
    return float(np.degrees(np.linalg.norm(one - two, axis=0)).max())


@pytest.fixture(scope="module")
def sky() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions all over, with every edge and pole among them."""
    rng = np.random.default_rng(11)
    edges = np.array([(ra, dec) for ra in EDGES for dec in POLES]).T
    ra = np.concatenate([edges[0], rng.uniform(0.0, 360.0, 50_000)])
    dec = np.concatenate([edges[1], np.degrees(np.arcsin(rng.uniform(-1, 1, 50_000)))])
    return ra, dec


@pytest.mark.parametrize("centre_deg", [0.0, 180.0, 266.4, -90.0])
def test_there_and_back(
    sky: tuple[NDArray[np.float64], NDArray[np.float64]], centre_deg: float
) -> None:
    ra, dec = sky
    x, y = aitoff_from_sky(ra, dec, centre_ra_deg=centre_deg)
    back = sky_from_aitoff(x, y, centre_ra_deg=centre_deg)
    assert not np.isnan(back[0]).any()
    assert apart_deg(ra, dec, *back) < 1e-10
    assert ((back[0] >= 0.0) & (back[0] < 360.0)).all()


@given(
    st.floats(-720.0, 720.0), st.floats(-90.0, 90.0), st.floats(-360.0, 360.0)
)  # fmt: skip
@example(180.0, 0.0, 0.0)
@example(123.0, 90.0, 0.0)
@example(-1e-300, -90.0, 0.0)
def test_there_and_back_from_anywhere(ra: float, dec: float, centre: float) -> None:
    x, y = aitoff_from_sky(ra, dec, centre_ra_deg=centre)
    assert abs(x) <= HALF_WIDTH_DEG + 1e-9
    assert abs(y) <= HALF_HEIGHT_DEG + 1e-9
    assert apart_deg([ra], [dec], *map(np.atleast_1d, sky_from_aitoff(x, y, centre_ra_deg=centre))
                     ) < 1e-10  # fmt: skip


def test_it_is_what_fits_calls_ait(sky: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    ra, dec = sky
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---AIT", "DEC--AIT"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [0.0, 0.0], [1.0, 1.0], [-1.0, 1.0]
    pixels = wcs.wcs_world2pix(ra, dec, 0)
    x, y = aitoff_from_sky(ra, dec)
    # Half a turn away both rims are the same place, and rounding may take either.
    x = np.where(np.abs(ra - 180.0) < 1e-6, np.abs(x), x)
    theirs = np.where(np.abs(ra - 180.0) < 1e-6, np.abs(pixels[0]), -pixels[0])
    np.testing.assert_allclose(x, theirs, atol=1e-10)
    np.testing.assert_allclose(y, pixels[1], atol=1e-10)
    away = np.abs(dec) < 85.0  # their way back loses digits at the poles
    world = wcs.wcs_pix2world(-x[away], y[away], 0)
    assert apart_deg(*world, *sky_from_aitoff(x[away], y[away])) < 1e-9


def test_equal_areas_stay_equal() -> None:
    """Which tells Hammer's from Aitoff's of 1889."""
    step = 1e-4
    at = np.array([(10.0, 5.0), (100.0, 40.0), (170.0, -70.0), (-150.0, 20.0)]).T
    x0, y0 = aitoff_from_sky(*at)
    xr, yr = aitoff_from_sky(at[0] + step, at[1])
    xd, yd = aitoff_from_sky(at[0], at[1] + step)
    area = np.abs((xr - x0) * (yd - y0) - (xd - x0) * (yr - y0)) / step**2
    np.testing.assert_allclose(area / np.cos(np.radians(at[1])), 1.0, rtol=1e-4)


def test_marks_of_the_map() -> None:
    x, y = aitoff_from_sky([0.0, 180.0, 0.0, 77.0], [0.0, 0.0, 90.0, -90.0])
    np.testing.assert_allclose(x, [0.0, HALF_WIDTH_DEG, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(y, [0.0, 0.0, HALF_HEIGHT_DEG, -HALF_HEIGHT_DEG], atol=1e-12)
    east, _ = aitoff_from_sky(30.0, 0.0)
    assert east > 0.0


def test_outside_there_is_no_sky() -> None:
    turn = np.linspace(0.0, 2 * np.pi, 90)
    for stretch, is_sky in ((0.999999, True), (1.000001, False), (3.0, False)):
        ra, dec = sky_from_aitoff(
            stretch * HALF_WIDTH_DEG * np.cos(turn), stretch * HALF_HEIGHT_DEG * np.sin(turn)
        )
        assert np.isnan(ra).any() != is_sky
        assert (np.isnan(ra) == np.isnan(dec)).all()
        assert np.isfinite(ra).all() == is_sky
    assert np.isnan(sky_from_aitoff(np.nan, 0.0)[0])
    assert np.isnan(sky_from_aitoff(np.inf, 0.0)[0])


def test_shapes_broadcast() -> None:
    x, y = aitoff_from_sky(np.zeros((3, 1)), np.zeros(4))
    assert x.shape == y.shape == (3, 4)
    ra, dec = sky_from_aitoff(x, 0.0)
    assert ra.shape == dec.shape == (3, 4)
