"""A region, a time window and the rest of a query, as parameters of the service."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from crowdsky.errors import SettingsError

__all__ = ["query_params"]

SCOPES = ("mine", "public", "all")


def query_params(
    *,
    ra: float | None = None,
    dec: float | None = None,
    size: float | None = None,
    radius: float | None = None,
    ra_from: float | None = None,
    ra_to: float | None = None,
    dec_from: float | None = None,
    dec_to: float | None = None,
    from_utc: datetime | str | None = None,
    to_utc: datetime | str | None = None,
    target: str | None = None,
    filter: str | None = None,  # noqa: A002 - the field's own name
    telescope: str | None = None,
    scope: str = "all",
) -> dict[str, Any]:
    """Parameters of a query; see `Client.stacks`.

    Raises
    ------
    SettingsError
        If they contradict one another.

    Examples
    --------
    >>> query_params(ra=0.0, dec=60.0, size=2.0)["ra_from"]
    358.0
    """
    if scope not in SCOPES:
        raise _wrong(f"scope must be one of {', '.join(SCOPES)}", scope)
    params: dict[str, Any] = {"scope": scope}
    params |= _region(ra, dec, size, radius, (ra_from, ra_to, dec_from, dec_to))
    params |= {"from": _iso(from_utc), "to": _iso(to_utc)}
    params |= {"target": target, "filter": filter, "telescope": telescope}
    return {name: value for name, value in params.items() if value is not None}


def _region(
    ra: float | None,
    dec: float | None,
    size: float | None,
    radius: float | None,
    rectangle: tuple[float | None, ...],
) -> dict[str, float]:
    numbers = [value for value in (ra, dec, size, radius, *rectangle) if value is not None]
    if not all(map(math.isfinite, numbers)):
        raise _wrong("the region must be given in finite numbers", numbers)
    if all(value is not None for value in rectangle) and ra is dec is None:
        names = ("ra_from", "ra_to", "dec_from", "dec_to")
        return {
            name: value for name, value in zip(names, rectangle, strict=True) if value is not None
        }
    if any(value is not None for value in rectangle):
        raise _wrong("a rectangle is ra_from, ra_to, dec_from and dec_to, without ra and dec", None)
    if ra is None and dec is None and size is None and radius is None:
        return {}
    if ra is None or dec is None or (size is None) == (radius is None):
        raise _wrong("a region is ra and dec with either size or radius", None)
    if not -90.0 <= dec <= 90.0:
        raise _wrong("dec must be from -90 to 90", dec)
    if (size if radius is None else radius or 0.0) <= 0.0:  # type: ignore[operator]
        raise _wrong("size and radius must be more than 0", size or radius)
    if radius is not None:
        return {"ra": ra % 360.0, "dec": dec, "radius": radius}
    assert size is not None
    return _box(ra % 360.0, dec, size / 2.0)


def _box(ra_deg: float, dec_deg: float, half_deg: float) -> dict[str, float]:
    """The rectangle that holds a square; a whole cap where that reaches over a pole."""
    south, north = max(dec_deg - half_deg, -90.0), min(dec_deg + half_deg, 90.0)
    nearest_pole = max(abs(south), abs(north))
    shrink = math.cos(math.radians(dec_deg))
    if nearest_pole >= 90.0 or half_deg / max(shrink, 1e-9) >= 180.0:
        return {"ra_from": 0.0, "ra_to": 360.0, "dec_from": south, "dec_to": north}
    wide = half_deg / shrink
    return {
        "ra_from": round((ra_deg - wide) % 360.0, 9),
        "ra_to": round((ra_deg + wide) % 360.0, 9),
        "dec_from": south,
        "dec_to": north,
    }


def _iso(time: datetime | str | None) -> str | None:
    if time is None:
        return None
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            raise _wrong("a time must be ISO 8601", time) from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time.isoformat().replace("+00:00", "Z")


def _wrong(rule: str, value: object) -> SettingsError:
    return SettingsError(rule, value=value)
