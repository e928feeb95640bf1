"""Pointing cards, field rotation, drift and dithers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from crowdsky.frames import Pointing, read_frame_header
from crowdsky.simulate import Mount, Session
from crowdsky.simulate.mount import altitude_and_parallactic_angle
from tests.simulate.sessions import plan


def separation_arcsec(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    a, b = (SkyCoord(r * u.deg, d * u.deg) for r, d in ((ra1, dec1), (ra2, dec2)))
    return float(a.separation(b).arcsec)


@pytest.mark.parametrize(("ra", "dec"), [(192.78, 41.12), (315.4, 68.1), (0.001, -30.0)])
def test_cards_are_at_the_equinox_of_date(ra: float, dec: float) -> None:
    session = Session(plan(ra_deg=ra, dec_deg=dec, n_frames=1))
    aim = session.aims[0]
    pointing = Pointing(aim.ra_card_deg, aim.dec_card_deg, aim.start_utc)
    of_date = separation_arcsec(*pointing.icrs_of_date(), aim.wcs.ra_deg, aim.wcs.dec_deg)
    as_j2000 = separation_arcsec(*pointing.icrs_of_j2000(), aim.wcs.ra_deg, aim.wcs.dec_deg)
    assert 20 < of_date < 110
    assert as_j2000 > 250


def test_a_recentre_moves_the_cards_but_not_the_field() -> None:
    session = Session(plan(n_frames=12, recentre_before=(5,)))
    cards = [(a.ra_card_deg, a.dec_card_deg) for a in session.aims]
    assert len(set(cards)) == 2
    assert 40 < separation_arcsec(*cards[4], *cards[5]) < 130
    centres = [(a.wcs.ra_deg, a.wcs.dec_deg) for a in session.aims]
    assert max(separation_arcsec(*centres[0], *c) for c in centres) < 120


def test_the_field_drifts_between_dithers() -> None:
    aims = Session(plan(n_frames=10, drift_arcsec_per_min=12.0)).aims
    steps = [
        separation_arcsec(a.wcs.ra_deg, a.wcs.dec_deg, b.wcs.ra_deg, b.wcs.dec_deg)
        for a, b in pairwise(aims[:5])
    ]
    np.testing.assert_allclose(steps, np.mean(steps), rtol=1e-3)
    assert 1.2 < np.mean(steps) < 3.6
    times = [(b.start_utc - a.start_utc).total_seconds() for a, b in pairwise(aims)]
    np.testing.assert_allclose(times[:4], 11.29, atol=1e-3)
    assert times[4] == pytest.approx(16.49, abs=1e-3)


def test_altitude_agrees_with_astropy() -> None:
    time = datetime(2025, 3, 27, 1, 20, 32, tzinfo=UTC)
    with iers.conf.set_temp("auto_download", False):
        site = EarthLocation(lon=-79.7625 * u.deg, lat=32.8965 * u.deg)
        seen = SkyCoord(192.78 * u.deg, 41.12 * u.deg).transform_to(
            AltAz(obstime=Time(time), location=site)
        )
    altitude, _ = altitude_and_parallactic_angle(192.78, 41.12, time, 32.8965, -79.7625)
    assert altitude == pytest.approx(seen.alt.deg, abs=0.01)


def test_the_zenith_is_above_on_the_meridian_and_sideways_at_six_hours() -> None:
    """Parallactic angles known without computing: 0 on the meridian, with the hour angle's sign."""
    latitude = 50.0
    noon = datetime(2025, 3, 27, tzinfo=UTC)
    angles = [
        altitude_and_parallactic_angle(ra, 20.0, noon, latitude, 0.0)[1]
        for ra in np.arange(0.0, 360.0, 0.25)
    ]
    altitudes = [
        altitude_and_parallactic_angle(ra, 20.0, noon, latitude, 0.0)[0]
        for ra in np.arange(0.0, 360.0, 0.25)
    ]
    top = int(np.argmax(altitudes))
    assert altitudes[top] == pytest.approx(60.0, abs=0.2)
    assert abs(angles[top]) < 0.5
    # Smaller right ascension has passed the meridian: the zenith lies to its East.
    assert angles[(top - 100) % len(angles)] > 10
    assert angles[(top + 100) % len(angles)] < -10


def test_only_an_altaz_field_rotates() -> None:
    turning, still = (
        Session(plan(n_frames=8, mount=mount)).aims for mount in (Mount.ALTAZ, Mount.EQUATORIAL)
    )
    assert turning[0].wcs.rotation_deg == pytest.approx(30.0)
    assert abs(turning[-1].wcs.rotation_deg - 30.0) > 0.1
    assert {round(a.wcs.rotation_deg, 9) for a in still} == {30.0}
    assert turning[0].turn_deg != 0
    assert still[0].turn_deg == 0


@pytest.mark.real
def test_the_field_of_real_frames_turns_as_computed(
    real_data_dir: Path, real_frames: list[Path]
) -> None:
    truth = json.loads((real_data_dir / "truth_wcs.json").read_text())
    frames = [p for p in real_frames if p.parent.name == "S50_NGC7023_2024"]
    measured, computed = [], []
    for path in frames:
        entry = truth[f"{path.parent.name}/{path.name}"]
        header = read_frame_header(path)
        measured.append(entry["rotation_deg_E_of_N_of_plusY"])
        computed.append(
            altitude_and_parallactic_angle(
                entry["center_ra"], entry["center_dec"], header.mid_utc,
                header.site_lat_deg, header.site_lon_deg,
            )[1]
        )  # fmt: skip
    assert np.ptp(measured) > 0.15
    np.testing.assert_allclose(np.diff(measured), np.diff(computed), atol=0.01)
