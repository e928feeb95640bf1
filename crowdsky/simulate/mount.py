"""Where the telescope points, how its field is turned, and what it says about both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import erfa
import numpy as np
from numpy.typing import NDArray

from crowdsky.astrometry.tangent_plane import deproject, ra_dec_of, unit_vectors
from crowdsky.simulate.hashing import generator
from crowdsky.simulate.instrument import Instrument
from crowdsky.simulate.plan import Mount, SessionPlan
from crowdsky.simulate.tan_wcs import TanWcs

__all__ = ["Aim", "aims_of", "altitude_and_parallactic_angle", "equinox_of_date", "julian_year"]


@dataclass(frozen=True, slots=True)
class Aim:
    """Pointing of one frame.

    Attributes
    ----------
    start_utc, mid_utc : datetime
        Start and middle of the exposure.
    wcs : TanWcs
        The truth, at mid-exposure.
    ra_card_deg, dec_card_deg : float
        What the header says: degrees at the equinox of date, somewhat off.
    altitude_deg : float
        Height above the horizon.
    turn_deg : float
        Rotation of the field during the exposure.
    """

    start_utc: datetime
    mid_utc: datetime
    wcs: TanWcs
    ra_card_deg: float
    dec_card_deg: float
    altitude_deg: float
    turn_deg: float


TT_LESS_UTC_DAYS = 69.184 / 86400.0
"""Since 2017; before, and in times to come, some seconds less or more, which nothing here feels."""


def _julian_dates(time_utc: datetime) -> tuple[float, float, float, float]:
    """UTC and TT as two-part Julian dates (UT1 is taken as UTC: a second at most)."""
    days = (time_utc - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86400.0
    return 2451545.0, days, 2451545.0, days + TT_LESS_UTC_DAYS


def julian_year(time_utc: datetime) -> float:
    """Julian epoch of a time."""
    _, _, tt1, tt2 = _julian_dates(time_utc)
    return float(erfa.epj(tt1, tt2))


def equinox_of_date(ra_deg: float, dec_deg: float, time_utc: datetime) -> tuple[float, float]:
    """ICRS position -> true equator and equinox of date (IAU 2006/2000A), degrees."""
    _, _, tt1, tt2 = _julian_dates(time_utc)
    of_date: NDArray[np.float64] = erfa.pnm06a(tt1, tt2) @ unit_vectors(ra_deg, dec_deg)
    ra, dec = ra_dec_of(of_date)
    return float(ra), float(dec)


def altitude_and_parallactic_angle(
    ra_deg: float, dec_deg: float, time_utc: datetime, lat_deg: float, lon_deg: float
) -> tuple[float, float]:
    """Altitude of a position, and the position angle of the zenith seen from it, degrees.

    Source: Meeus, Astronomical Algorithms (1998), chapters 13 and 14.
    """
    ut1, ut2, tt1, tt2 = _julian_dates(time_utc)
    ra, dec = np.radians(equinox_of_date(ra_deg, dec_deg, time_utc))
    hour = erfa.gst06a(ut1, ut2, tt1, tt2) + np.radians(lon_deg) - ra
    lat = np.radians(lat_deg)
    altitude = np.arcsin(
        np.clip(np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(hour), -1, 1)
    )
    angle = np.arctan2(
        np.cos(lat) * np.sin(hour),
        np.sin(lat) * np.cos(dec) - np.cos(lat) * np.sin(dec) * np.cos(hour),
    )
    return float(np.degrees(altitude)), float(np.degrees(angle))


def aims_of(plan: SessionPlan, instrument: Instrument) -> list[Aim]:
    """Pointing of every frame of a session."""
    rng = generator("mount", plan.seed, plan.target, plan.serial)
    # Units differ in focal length by some hundredths of a percent.
    unit = float(generator("optics", plan.serial, plan.model).standard_normal())
    scale = instrument.telescope.scale_arcsec_per_px * (1 + 0.0003 * min(max(unit, -2.5), 2.5))

    error = _vector(rng, plan.pointing_error_arcsec)
    drift = _vector(rng, plan.drift_arcsec_per_min)
    offset = np.zeros(2)
    card = np.zeros(2)
    aims: list[Aim] = []
    angle_0: float | None = None
    for index in range(plan.n_frames):
        start = plan.start_of(index)
        if plan.dither_every and index and index % plan.dither_every == 0:
            # A dither leads from the place last held, not from where the drift has led.
            offset = plan.dither_arcsec * rng.standard_normal(2)
        elif index:
            offset = offset + drift * (start - plan.start_of(index - 1)).total_seconds() / 60.0
        if index in plan.recentre_before:
            card = card + _vector(rng, 86.0)
        ra, dec = _moved(plan.ra_deg, plan.dec_deg, error + offset)
        said = _moved(plan.ra_deg, plan.dec_deg, card)

        half = timedelta(seconds=plan.exposure_s / 2)
        site = (plan.site_lat_deg, plan.site_lon_deg)
        altitude, angle = altitude_and_parallactic_angle(ra, dec, start + half, *site)
        later = altitude_and_parallactic_angle(ra, dec, start + 2 * half, *site)[1]
        angle_0 = angle if angle_0 is None else angle_0
        turns = plan.mount is Mount.ALTAZ
        rotation = plan.rotation_deg + (angle - angle_0 if turns else 0.0)
        ra_card, dec_card = equinox_of_date(*said, start)
        aims.append(
            Aim(
                start_utc=start,
                mid_utc=start + half,
                wcs=TanWcs(
                    ra, dec, (rotation + 180.0) % 360.0 - 180.0, scale,
                    instrument.telescope.nx, instrument.telescope.ny,
                ),
                # Whole seconds of right ascension, in hours of six decimals; whole arcseconds.
                ra_card_deg=15.0 * (round(round(ra_card * 240.0) / 3600.0, 6) % 24.0),
                dec_card_deg=round(round(dec_card * 3600.0) / 3600.0, 6),
                altitude_deg=altitude,
                turn_deg=2 * ((later - angle + 180.0) % 360.0 - 180.0) if turns else 0.0,
            )
        )  # fmt: skip
    return aims


def _vector(rng: np.random.Generator, length: float) -> NDArray[np.float64]:
    """A vector of about a length (within a third) in any direction."""
    angle = rng.uniform(0.0, 2 * np.pi)
    vector: NDArray[np.float64] = (
        length * rng.uniform(0.67, 1.33) * np.array([np.cos(angle), np.sin(angle)])
    )
    return vector


def _moved(ra_deg: float, dec_deg: float, arcsec: NDArray[np.float64]) -> tuple[float, float]:
    """A position moved East and North by a vector."""
    ra, dec = deproject(arcsec[0] / 3600.0, arcsec[1] / 3600.0, ra_deg, dec_deg)
    return float(ra), float(dec)
