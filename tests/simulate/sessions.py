"""Small sessions and measurements that the tests of the simulator share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crowdsky.simulate import Session, SessionPlan

START = datetime(2025, 3, 27, 1, 20, 32, 955368, tzinfo=UTC)


def plan(**changes: Any) -> SessionPlan:
    """A field at the galactic pole, a few frames long, without galaxies."""
    settings: dict[str, Any] = {
        "target": "Pole field",
        "ra_deg": 192.78,
        "dec_deg": 41.12,
        "start_utc": START,
        "n_frames": 2,
        "site_lat_deg": 32.8965,
        "site_lon_deg": -79.7625,
        "utc_offset_h": -4.0,
        "rotation_deg": 30.0,
        "objects": (),
    }
    return SessionPlan(**{**settings, **changes})


def green_flux_adu(
    mosaic: NDArray[np.uint16],
    x_px: float,
    y_px: float,
    radius_px: float = 9.0,
    colour: tuple[float, float] = (0.76, 0.53),
    sky_from_px: float | None = None,
) -> float:
    """Green flux of a star in an aperture over a local background.

    Every pixel counts, divided by the star's ``colour`` (its flux in red and blue over that in
    green): the green pixels alone sample a star of two pixels' width too coarsely.
    """
    sky_from_px = radius_px + 3 if sky_from_px is None else sky_from_px
    reach = int(sky_from_px) + 6
    x0, y0 = round(x_px), round(y_px)
    cut = mosaic[y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1].astype(float)
    y, x = np.mgrid[y0 - reach : y0 + reach + 1, x0 - reach : x0 + reach + 1]
    place = (y % 2) * 2 + x % 2  # GRBG
    distance = np.hypot(x - x_px, y - y_px)
    total = 0.0
    for which, ratio in enumerate((1.0, colour[0], colour[1], 1.0)):
        ring = cut[(place == which) & (distance > sky_from_px)]
        for _ in range(4):  # stars in the ring
            ring = ring[np.abs(ring - np.median(ring)) < 3 * ring.std()]
        inside = cut[(place == which) & (distance <= radius_px)]
        total += float(np.sum(inside - ring.mean())) / ratio
    return total


def lone_stars(session: Session, index: int, brightest: float, faintest: float) -> NDArray[np.intp]:
    """Stars of a magnitude range that are well inside a frame and have no neighbour of weight."""
    stars, wcs = session.scene.stars, session.aims[index].wcs
    x, y = wcs.sky_to_pixel(stars.ra_deg, stars.dec_deg)
    chosen = []
    for i in np.flatnonzero((stars.mag > brightest) & (stars.mag < faintest)):
        distance = np.hypot(x - x[i], y - y[i])
        rivals = (distance < 30) & (distance > 0) & (stars.mag < stars.mag[i] + 3.5)
        if 40 < x[i] < wcs.nx - 40 and 40 < y[i] < wcs.ny - 40 and not rivals.any():
            chosen.append(i)
    return np.array(chosen, dtype=np.intp)
