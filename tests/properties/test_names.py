"""Names: well formed for any position and time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from astropy import units as u
from astropy.coordinates import FK5, ICRS, SkyCoord
from astropy.time import Time
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crowdsky.frames import Pointing, healpix_name, rounded_site, safe_target, tenth_degree_name
from crowdsky.frames.names import block_start, chunk_of_day
from crowdsky.frames.pointing import julian_epoch
from crowdsky.frames.sphere import angle_deg, direction

times = st.datetimes(datetime(2020, 1, 1), datetime(2059, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
right_ascensions = st.floats(-360.0, 720.0)
declinations = st.floats(-90.0, 90.0)
TENTHS = re.compile(r"\d{8}\.\d\d_([0-3]\d\d\.\d)_([+-]\d\d\.\d)")
TILE = re.compile(r"\d{8}\.\d\d_HP(\d{6})")


@given(times, right_ascensions, declinations)
@example(datetime(2025, 1, 1, tzinfo=UTC), 359.95, -0.05)
@example(datetime(2025, 1, 1, tzinfo=UTC), -1e-20, -1e-20)
def test_names_are_well_formed_and_near(time: datetime, ra_deg: float, dec_deg: float) -> None:
    name = tenth_degree_name(time, ra_deg, dec_deg)
    match = TENTHS.fullmatch(name)
    assert match, name
    ra, dec = float(match[1]), float(match[2])
    assert 0.0 <= ra < 360.0
    assert match[2] != "-00.0"
    assert abs((ra - ra_deg + 180.0) % 360.0 - 180.0) <= 0.0500001
    assert abs(dec - dec_deg) <= 0.0500001

    tile = TILE.fullmatch(healpix_name(time, ra_deg, dec_deg))
    assert tile
    assert 0 <= int(tile[1]) < 196_608
    assert (int(tile[1]) == 0) <= (dec_deg > 89.0)
    assert name.startswith(f"{time:%Y%m%d}.{chunk_of_day(time):02d}_")


@given(times)
def test_a_time_lies_in_its_block(time: datetime) -> None:
    start = block_start(time)
    assert 0.0 <= (time - start).total_seconds() < 900.0
    assert start.timestamp() % 900 == 0
    assert chunk_of_day(start) == chunk_of_day(time)


@given(st.text(max_size=200))
def test_a_safe_target_is_one_part_of_a_path(text: str) -> None:
    name = safe_target(text)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,39}", name)
    assert ".." not in name
    assert not name.endswith(".")
    assert safe_target(name) == name


@given(st.floats(-90.0, 90.0), st.floats(-180.0, 360.0))
def test_a_rounded_site_is_near_and_on_the_grid(lat_deg: float, lon_deg: float) -> None:
    lat, lon = rounded_site(lat_deg, lon_deg)
    assert abs(lat - lat_deg) <= 0.05 + 1e-9
    assert abs((lon - lon_deg + 180.0) % 360.0 - 180.0) <= 0.05 + 1e-9
    assert -90.0 <= lat <= 90.0
    assert -180.0 < lon <= 180.0
    assert lat == round(lat, 1)
    assert lon == round(lon, 1)


@given(times, st.floats(0.0, 360.0, exclude_max=True), declinations)
@settings(max_examples=50, deadline=None)
def test_of_date_positions_agree_with_astropy(
    time: datetime, ra_deg: float, dec_deg: float
) -> None:
    frame = FK5(equinox=Time(julian_epoch(time), format="jyear"))
    theirs = SkyCoord(ra_deg, dec_deg, unit=u.deg, frame=frame).transform_to(ICRS())
    ours = direction(*Pointing(ra_deg, dec_deg, time).icrs_of_date())
    apart_deg = angle_deg(ours, direction(theirs.ra.deg, theirs.dec.deg))
    assert apart_deg * 3600.0 == pytest.approx(0.0, abs=0.3)
