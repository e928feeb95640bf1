"""Our one HEALPix function against the library's."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy_healpix import HEALPix
from hypothesis import given
from hypothesis import strategies as st

from crowdsky.frames.healpix import ring_index

GRID = HEALPix(nside=128, order="ring")


@given(ra_deg=st.floats(0, 359.999), dec_deg=st.floats(-89.999, 89.999))
def test_a_position_has_the_library_s_pixel_or_touches_it(ra_deg: float, dec_deg: float) -> None:
    index = ring_index(128, ra_deg, dec_deg)
    theirs = int(GRID.lonlat_to_healpix(ra_deg * units.deg, dec_deg * units.deg))
    # On an edge the last digit decides, and either side is right.
    assert index == theirs or index in GRID.neighbours(theirs)


def test_many_positions_have_the_library_s_pixels() -> None:
    rng = np.random.default_rng(3)
    ra_deg = rng.uniform(0, 360, 20_000)
    dec_deg = np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    theirs = GRID.lonlat_to_healpix(ra_deg * units.deg, dec_deg * units.deg)
    assert [ring_index(128, *place) for place in zip(ra_deg, dec_deg, strict=True)] == list(theirs)


@pytest.mark.parametrize(("dec_deg", "index"), [(90.0, 0), (-90.0, 12 * 128**2 - 4)])
def test_poles(dec_deg: float, index: int) -> None:
    assert ring_index(128, 0.0, dec_deg) == index
