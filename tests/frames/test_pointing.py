"""Equinox of date into ICRS."""

from __future__ import annotations

import json
import math
import statistics
from datetime import UTC, datetime
from pathlib import Path

import pytest
from astropy import units as u
from astropy.coordinates import FK5, ICRS, SkyCoord
from astropy.time import Time

from crowdsky.frames import Pointing, read_frame_header
from crowdsky.frames.pointing import julian_epoch
from crowdsky.frames.sphere import angle_deg, direction

ARCSEC_DEG = 1.0 / 3600.0


def separation_deg(a: tuple[float, float], b: tuple[float, float]) -> float:
    return angle_deg(direction(*a), direction(*b))


@pytest.mark.parametrize("year", [2020, 2025, 2050])
@pytest.mark.parametrize(
    "position",
    [(193.0, 41.0), (0.0, 0.0), (359.9999, -30.0), (45.0, 90.0), (45.0, -89.99), (123.4, 89.9)],
)
def test_precession_agrees_with_astropy(year: int, position: tuple[float, float]) -> None:
    time = datetime(year, 7, 1, 3, 4, 5, tzinfo=UTC)
    ours = Pointing(*position, time).icrs_of_date()
    equinox = Time(julian_epoch(time), format="jyear")
    theirs = SkyCoord(*position, unit=u.deg, frame=FK5(equinox=equinox)).transform_to(ICRS())
    # FK5 precesses by the older IAU 1976 model, a few hundredths of an arcsecond away.
    assert separation_deg(ours, (theirs.ra.deg, theirs.dec.deg)) < 0.2 * ARCSEC_DEG
    assert 0.0 <= ours[0] < 360.0


def test_precession_moves_a_quarter_century_by_a_third_of_a_degree() -> None:
    time = datetime(2025, 3, 27, tzinfo=UTC)
    pointing = Pointing(0.0, 0.0, time)
    ra, dec = pointing.icrs_of_date()
    # 50.3 arcsec a year along the ecliptic, backwards in time: to lower right ascension.
    assert ra == pytest.approx(360.0 - 25.23 * 46.12 * ARCSEC_DEG, abs=2e-3)
    assert dec == pytest.approx(-25.23 * 20.04 * ARCSEC_DEG, abs=2e-3)
    assert pointing.icrs_of_j2000() == (0.0, 0.0)


def test_epoch_agrees_with_astropy() -> None:
    time = datetime(2025, 3, 27, 1, 20, 32, 955368, UTC)
    assert julian_epoch(time) == pytest.approx(Time(time).jyear, abs=1e-5)
    assert julian_epoch(datetime(2000, 1, 1, 12, tzinfo=UTC)) == 2000.0


@pytest.mark.real
def test_real_pointings_are_of_date(real_frames: list[Path], real_data_dir: Path) -> None:
    truth = json.loads((real_data_dir / "truth_wcs.json").read_text(encoding="utf-8"))
    of_date, of_j2000 = [], []
    for path in real_frames:
        solved = truth[path.relative_to(real_data_dir).as_posix()]
        centre = (solved["center_ra"], solved["center_dec"])
        pointing = read_frame_header(path).pointing
        assert pointing is not None
        of_date.append(60.0 * separation_deg(pointing.icrs_of_date(), centre))
        of_j2000.append(60.0 * separation_deg(pointing.icrs_of_j2000(), centre))
    assert statistics.median(of_date) < 1.2
    assert max(of_date) < 3.4
    assert min(of_j2000) > 5.0
    assert math.isfinite(max(of_j2000))
