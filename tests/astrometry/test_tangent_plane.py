"""The gnomonic projection against astropy's."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from crowdsky.astrometry.tangent_plane import deproject, project, ra_dec_of, unit_vectors
from crowdsky.errors import PlateError
from tests.astrometry.lists import separation_arcsec

PLACES = [(0.0, 0.0), (192.8, 41.1), (359.999, -35.0), (0.0, 90.0), (77.0, -90.0), (10.0, 89.9)]


def astropy_tan(ra0: float, dec0: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = ra0, dec0
    wcs.wcs.crpix = 0.0, 0.0
    wcs.wcs.cdelt = 1.0, 1.0
    wcs.wcs.lonpole = 180.0  # the default is 0 where the tangent point is the North pole itself
    wcs.wcs.set()
    return wcs


@pytest.mark.parametrize(("ra0", "dec0"), PLACES)
def test_both_ways_as_astropy(ra0: float, dec0: float) -> None:
    rng = np.random.default_rng(2)
    xi, eta = rng.uniform(-20, 20, (2, 300))
    ra, dec = deproject(xi, eta, ra0, dec0)
    # CRPIX is 0, so that pixels counted from one are the plane itself
    their_ra, their_dec = astropy_tan(ra0, dec0).all_pix2world(xi, eta, 1)
    assert separation_arcsec(ra, dec, their_ra, their_dec).max() < 1e-6
    back = project(their_ra, their_dec, ra0, dec0)
    np.testing.assert_allclose(back, (xi, eta), atol=1e-9)


def test_east_is_positive_xi_and_north_positive_eta() -> None:
    xi, eta = project([10.1, 10.0], [20.0, 20.1], 10.0, 20.0)
    assert xi[0] > 0.09
    assert abs(xi[1]) < 1e-12
    assert eta[1] == pytest.approx(0.1, rel=1e-4)


def test_right_ascension_is_never_negative_nor_360() -> None:
    ra, _ = deproject(np.array([-1.0, 1.0, 0.0]), np.zeros(3), 0.0, 0.0)
    assert (ra >= 0).all()
    assert (ra < 360).all()
    assert ra[0] > 358


@pytest.mark.parametrize("away_deg", [90.0 + 1e-9, 91.0, 180.0])
def test_the_far_side_of_the_sky_has_no_place_on_the_plane(away_deg: float) -> None:
    with pytest.raises(PlateError, match="90 degrees"):
        project([10.0, 10.0 + away_deg], [0.0, 0.0], 10.0, 0.0)


def test_vectors_and_back() -> None:
    rng = np.random.default_rng(8)
    ra, dec = rng.uniform(0, 360, 200), rng.uniform(-90, 90, 200)
    xyz = unit_vectors(ra, dec)
    np.testing.assert_allclose(np.linalg.norm(xyz, axis=-1), 1.0, atol=1e-15)
    np.testing.assert_allclose(unit_vectors(0.0, 0.0), (1, 0, 0), atol=1e-15)
    np.testing.assert_allclose(unit_vectors(90.0, 0.0), (0, 1, 0), atol=1e-15)
    back = ra_dec_of(xyz * rng.uniform(0.1, 9, 200)[:, None])
    assert separation_arcsec(*back, ra, dec).max() < 1e-8
