"""RA and DEC cards into a pointing, or into the reason why there is none."""

from __future__ import annotations

import math
import re
from datetime import datetime

from crowdsky.errors import BadHeaderCard
from crowdsky.frames.cards import CardValue
from crowdsky.frames.pointing import Pointing
from crowdsky.frames.typed_cards import TypedCards

__all__ = ["read_pointing"]

_SEXAGESIMAL = re.compile(r"([+-]?)(\d{1,3})[:\s](\d{1,2})[:\s](\d{1,2}(?:\.\d*)?)")


def read_pointing(cards: TypedCards, time_utc: datetime, notes: list[str]) -> Pointing | None:
    """Read RA and DEC.

    Parameters
    ----------
    cards : TypedCards
    time_utc : datetime
        Equinox of the position.
    notes : list of str
        Gets one line for a position that is missing or breaks a rule.

    Returns
    -------
    Pointing or None
        ``None`` says that the frame is to be solved blind; a bad hint is no reason to lose a frame.
    """
    try:
        ra_deg = _angle_deg(cards, "RA", hours=True)
        dec_deg = _angle_deg(cards, "DEC", hours=False)
    except BadHeaderCard as error:
        notes.append(f"no pointing: {error.value}: {error.rule}")
        return None
    if ra_deg is None or dec_deg is None:
        notes.append("no pointing: RA and DEC are not both given")
        return None
    if not -360.0 <= ra_deg <= 720.0:
        notes.append(f"no pointing: RA={ra_deg:g}: right ascension is an angle within one turn")
        return None
    if not -90.0 <= dec_deg <= 90.0:
        notes.append(f"no pointing: DEC={dec_deg:g}: declination is -90 to 90 degrees")
        return None
    # The second remainder catches -1e-17 % 360, which rounds to 360 itself.
    return Pointing(ra_deg % 360.0 % 360.0, dec_deg, time_utc)


def _angle_deg(cards: TypedCards, keyword: str, *, hours: bool) -> float | None:
    value = cards.cards.get(keyword)
    if value is None or value == "":
        return None
    try:
        angle = _parse_angle(value, 15.0 if hours else 1.0)
    except (TypeError, ValueError, OverflowError):
        angle = math.nan
    if not math.isfinite(angle):
        raise BadHeaderCard(f"{keyword} is an angle", file=cards.path, value=f"{keyword}={value}")
    return angle


def _parse_angle(value: CardValue, degrees_per_unit: float) -> float:
    """Degrees; only sexagesimal text is in units of ``degrees_per_unit``."""
    if isinstance(value, bool) or value is None:
        raise TypeError("not a number")
    if not isinstance(value, str):
        return float(value)
    parts = _SEXAGESIMAL.fullmatch(value.strip())
    if parts is None:
        return float(value)
    minutes, seconds = int(parts[3]), float(parts[4])
    if minutes >= 60 or seconds >= 60.0:
        raise ValueError("minutes and seconds stay below 60")
    size = int(parts[2]) + minutes / 60.0 + seconds / 3600.0
    return (-size if parts[1] == "-" else size) * degrees_per_unit
