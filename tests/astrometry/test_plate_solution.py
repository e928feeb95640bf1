"""The plate solution as numbers, and as the astropy WCS that it hands out."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS
from numpy.polynomial.polynomial import polyval2d

from crowdsky.astrometry import PlateSolution
from crowdsky.astrometry.fit_wcs import fit_sip
from crowdsky.astrometry.plate_solution import Sip
from crowdsky.errors import PlateError
from tests.astrometry.lists import S50_SHAPE, corners, plate, separation_arcsec

PLATES = [
    plate(192.8, 41.1, 12.0),
    plate(0.001, -45.0, -178.7),
    plate(10.0, 89.9, 77.0, parity=-1),
    plate(0.0, 90.0, 10.0),
    plate(40.0, -90.0, 10.0),
    plate(359.99, -89.99, 90.0, scale_arcsec_per_px=3.99),
    plate(266.4, -28.9, -30.0, shape=(2160, 3840)),
]


def grid(solution: PlateSolution) -> np.ndarray:
    ny, nx = solution.shape
    y, x = np.mgrid[0 : ny - 1 : 7j, 0 : nx - 1 : 5j]
    return np.stack([x.ravel(), y.ravel()])


def bent(dx: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return dx + 1.5e-6 * dx * dx - 8e-7 * dx * dy, dy + 1.1e-6 * dy * dy + 6e-7 * dx * dx


@pytest.fixture(scope="module")
def with_sip() -> PlateSolution:
    """A plate with the distortion that `fit_sip` found in an exactly bent grid."""
    rng = np.random.default_rng(3)
    ny, nx = S50_SHAPE
    dx, dy = rng.uniform(-nx / 2, nx / 2, 200), rng.uniform(-ny / 2, ny / 2, 200)
    flat = plate(150.0, 30.0, 40.0)
    found = fit_sip(dx, dy, np.stack(bent(dx, dy), axis=1) @ flat.cd.T, S50_SHAPE)
    assert found is not None
    return plate(150.0, 30.0, 40.0, sip=found[2])


@pytest.mark.parametrize("solution", PLATES)
def test_the_wcs_says_the_same(solution: PlateSolution) -> None:
    x, y = grid(solution)
    sky = solution.pixel_to_sky(x, y)
    np.testing.assert_allclose(solution.wcs.all_world2pix(*sky, 0), (x, y), atol=1e-6)
    assert separation_arcsec(*sky, *solution.wcs.all_pix2world(x, y, 0)).max() < 2e-6
    np.testing.assert_allclose(solution.sky_to_pixel(*sky), (x, y), atol=1e-6)


@pytest.mark.parametrize("solution", PLATES)
def test_a_fits_header_carries_it(solution: PlateSolution) -> None:
    header = Header.fromstring(solution.wcs.to_header().tostring())
    again = WCS(header)
    x, y = grid(solution)
    np.testing.assert_allclose(again.all_world2pix(*solution.pixel_to_sky(x, y), 0), (x, y),
                               atol=1e-5)  # fmt: skip
    assert header["RADESYS"] == "ICRS"
    assert header["CRPIX1"] == solution.crpix[0] + 1
    assert header["CRPIX2"] == solution.crpix[1] + 1


def test_the_centre_is_the_tangent_point() -> None:
    solution = plate(192.8, 41.1, 12.0)
    assert solution.crpix == (539.5, 959.5)
    assert solution.crval == (192.8, 41.1)
    ra, dec = solution.pixel_to_sky(*solution.crpix)
    assert separation_arcsec(ra, dec, 192.8, 41.1) < 1e-9
    assert solution.wcs.wcs.crpix.tolist() == [540.5, 960.5]
    assert solution.wcs.array_shape == S50_SHAPE


@pytest.mark.parametrize("rotation", [0.0, 30.0, 90.0, 179.0, -1.0, -120.0])
@pytest.mark.parametrize("parity", [1, -1])
def test_rotation_parity_and_scale(rotation: float, parity: int) -> None:
    solution = plate(50.0, 10.0, rotation, parity=parity, scale_arcsec_per_px=2.5)
    assert solution.rotation_deg == pytest.approx(rotation)
    assert solution.parity == parity
    assert solution.scale_arcsec_per_px == pytest.approx(2.5)
    # Position angle of growing y, as seen on the sky
    x, y = solution.crpix
    ra, dec = solution.pixel_to_sky(x, y + 40)
    east, north = (ra - 50.0) * np.cos(np.radians(10.0)), dec - 10.0
    turned = (np.degrees(np.arctan2(east, north)) - rotation + 180) % 360 - 180
    assert abs(turned) < 0.01
    # Parity +1: with North up as y, East lies to growing x
    right = np.array(solution.pixel_to_sky(x + 40, y)) - (50.0, 10.0)
    right[0] *= np.cos(np.radians(10.0))
    assert np.sign(right[0] * north - right[1] * east) == parity


def test_the_distortion_bends_the_way_sip_says(with_sip: PlateSolution) -> None:
    x, y = grid(with_sip)
    wcs = with_sip.wcs
    assert wcs.wcs.ctype[0] == "RA---TAN-SIP"
    sky = with_sip.pixel_to_sky(x, y)
    assert separation_arcsec(*sky, *wcs.all_pix2world(x, y, 0)).max() < 2.4e-6
    np.testing.assert_allclose(wcs.all_world2pix(*sky, 0, tolerance=1e-9), (x, y), atol=1e-6)
    flat = plate(150.0, 30.0, 40.0)
    assert separation_arcsec(*sky, *flat.pixel_to_sky(x, y)).max() > 1.0


def test_the_way_back_is_the_wcs_own_and_good_to_a_hundredth(with_sip: PlateSolution) -> None:
    x, y = grid(with_sip)
    sky = with_sip.pixel_to_sky(x, y)
    back = np.array(with_sip.sky_to_pixel(*sky))
    x0, y0 = with_sip.crpix
    u, v = np.array(with_sip.wcs.wcs_world2pix(*sky, 0)) - [[x0], [y0]]
    sip = with_sip.wcs.sip
    theirs = (u + polyval2d(u, v, sip.ap) + x0, v + polyval2d(u, v, sip.bp) + y0)
    np.testing.assert_allclose(back, theirs, atol=1e-6)
    np.testing.assert_allclose(back, (x, y), atol=0.01)


def test_a_sip_header_survives_fits(with_sip: PlateSolution) -> None:
    header = with_sip.wcs.to_header(relax=True)
    assert header["A_ORDER"] == 2
    again = WCS(Header.fromstring(header.tostring()))
    x, y = grid(with_sip)
    sky = with_sip.pixel_to_sky(x, y)
    assert separation_arcsec(*sky, *again.all_pix2world(x, y, 0)).max() < 1e-4


def test_only_quadratic_terms_lead_forward(with_sip: PlateSolution) -> None:
    sip = with_sip.sip
    assert isinstance(sip, Sip)
    linear = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    assert not sip.a[linear].any()
    assert not sip.b[linear].any()


def test_the_other_half_of_the_sky_is_an_error() -> None:
    with pytest.raises(PlateError):
        plate(10.0, 10.0).sky_to_pixel(190.0, -10.0)


def test_single_positions_and_arrays_alike() -> None:
    solution = plate(10.0, 10.0, 5.0)
    x, y = corners(solution.shape)
    ra, dec = solution.pixel_to_sky(x, y)
    for i in range(len(x)):
        one = solution.pixel_to_sky(float(x[i]), float(y[i]))
        assert float(one[0]) == pytest.approx(ra[i], abs=1e-12)
        assert float(one[1]) == pytest.approx(dec[i], abs=1e-12)
