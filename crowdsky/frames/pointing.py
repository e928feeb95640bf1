"""Where a frame's header says the telescope pointed, in the sky's own coordinates.

A Seestar writes RA and DEC in degrees *at the equinox of date*, and no card says so. Read as J2000
they are 5 to 17 arcmin away from the solved centre; read as of date, about one arcminute.

The rotation is the bias-precession matrix of IAU 2006 (`erfa.pmat06`, Capitaine et al. 2003, A&A
412, 567; Wallace & Capitaine 2006, A&A 459, 981). Nutation and aberration, 17 and 20 arcsec at
most, are left out: the cards are rounded to a second of right ascension (15 arcsec), the pointing
is good to an arcminute, and no card says whether the telescope applied them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import erfa

__all__ = ["Pointing", "julian_date", "julian_epoch"]

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_J2000_JD = 2451545.0
_DAYS_PER_JULIAN_YEAR = 365.25


def julian_date(time_utc: datetime) -> tuple[float, float]:
    """Julian date of an aware time as ``(2451545.0, days)``, on the scale of the clock it is in.

    UTC differs from TT by about 69 s, in which precession turns the sky by 0.1 milliarcseconds.
    """
    return _J2000_JD, (time_utc - _J2000).total_seconds() / 86400.0


def julian_epoch(time_utc: datetime) -> float:
    """Julian epoch in years, 2000.0 at noon of 2000-01-01."""
    return 2000.0 + julian_date(time_utc)[1] / _DAYS_PER_JULIAN_YEAR


@dataclass(frozen=True, slots=True)
class Pointing:
    """The position in a header and the time at which it was meant.

    Attributes
    ----------
    ra_card_deg, dec_card_deg : float
        As in the cards, degrees; right ascension in [0, 360).
    time_utc : datetime
        Aware; the equinox of the cards.
    """

    ra_card_deg: float
    dec_card_deg: float
    time_utc: datetime

    def icrs_of_date(self) -> tuple[float, float]:
        """ICRS position in degrees if the cards are at the mean equinox of date (they are)."""
        matrix = erfa.pmat06(*julian_date(self.time_utc))
        ra, dec = math.radians(self.ra_card_deg), math.radians(self.dec_card_deg)
        x, y, z = math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)
        # The matrix turns GCRS into mean-of-date vectors, so its transpose turns them back.
        (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = matrix.tolist()
        u = m00 * x + m10 * y + m20 * z
        v = m01 * x + m11 * y + m21 * z
        w = m02 * x + m12 * y + m22 * z
        return math.degrees(math.atan2(v, u)) % 360.0, math.degrees(math.atan2(w, math.hypot(u, v)))

    def icrs_of_j2000(self) -> tuple[float, float]:
        """ICRS position in degrees if the cards are J2000 already (other software writes this).

        The frame bias between J2000 and ICRS, 0.02 arcsec, is neglected.
        """
        return self.ra_card_deg, self.dec_card_deg
