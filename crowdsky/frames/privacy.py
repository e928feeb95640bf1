"""Where an observer lives is nobody's business."""

from __future__ import annotations

import math

__all__ = ["rounded_site"]


def rounded_site(lat_deg: float, lon_deg: float, step_deg: float = 0.1) -> tuple[float, float]:
    """Round a site to a grid.

    A tenth of a degree moves a site by 8 km at most, which is 26 microseconds of light travel:
    nothing that is measured with a Seestar needs it finer.

    Parameters
    ----------
    lat_deg, lon_deg : float
        Degrees, north and east positive; NaN (unknown) stays NaN.
    step_deg : float
        Width of the grid, more than 0.

    Returns
    -------
    lat_deg, lon_deg : float
        Latitude in [-90, 90], longitude in (-180, 180].

    Examples
    --------
    >>> rounded_site(32.8965, -79.7625)
    (32.9, -79.8)
    """
    if not step_deg > 0.0:
        raise ValueError(f"step_deg is more than 0, not {step_deg}")
    lat = min(max(_to_grid(lat_deg, step_deg), -90.0), 90.0)
    lon = _to_grid(lon_deg, step_deg)
    if math.isfinite(lon):
        lon = 180.0 - (180.0 - lon) % 360.0
    # The second rounding drops the binary dust of the multiplication, the zero its sign.
    return round(lat, 6) + 0.0, round(lon, 6) + 0.0


def _to_grid(value: float, step: float) -> float:
    return round(value / step) * step if math.isfinite(value) else math.nan
