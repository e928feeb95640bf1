"""The gnomonic (TAN) projection of FITS WCS paper II (Calabretta & Greisen 2002, A&A 395, 1077)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdsky.errors import PlateError

__all__ = ["deproject", "project", "ra_dec_of", "unit_vectors"]

FloatArray = NDArray[np.float64]


def unit_vectors(ra_deg: ArrayLike, dec_deg: ArrayLike) -> FloatArray:
    """ICRS unit vectors of positions in degrees; adds a last axis of length 3."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    cos_dec = np.cos(dec)
    return np.stack([cos_dec * np.cos(ra), cos_dec * np.sin(ra), np.sin(dec)], axis=-1)


def ra_dec_of(xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
    """ICRS degrees (0 <= ra < 360) of vectors of any length, last axis 3."""
    ra = _wrapped(np.degrees(np.arctan2(xyz[..., 1], xyz[..., 0])))
    return ra, np.degrees(np.arctan2(xyz[..., 2], np.hypot(xyz[..., 0], xyz[..., 1])))


def project(
    ra_deg: ArrayLike, dec_deg: ArrayLike, ra0_deg: float, dec0_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Standard coordinates of sky positions.

    Parameters
    ----------
    ra_deg, dec_deg : array_like
        Positions, ICRS degrees.
    ra0_deg, dec0_deg : float
        Tangent point, ICRS degrees.

    Returns
    -------
    xi_deg, eta_deg : ndarray
        Offsets to the East and North in the tangent plane, degrees.

    Raises
    ------
    PlateError
        If a position lies 90 degrees or more from the tangent point.
    """
    d_ra = np.radians(np.asarray(ra_deg, dtype=np.float64) - ra0_deg)
    dec, dec0 = np.radians(np.asarray(dec_deg, dtype=np.float64)), np.radians(dec0_deg)
    cos_dec, sin_dec, cos_0, sin_0 = np.cos(dec), np.sin(dec), np.cos(dec0), np.sin(dec0)
    depth = sin_dec * sin_0 + cos_dec * cos_0 * np.cos(d_ra)
    if np.any(depth <= 0):
        raise PlateError(
            "a position must lie less than 90 degrees from the tangent point",
            value=f"ra0={ra0_deg}, dec0={dec0_deg}",
        )
    xi = cos_dec * np.sin(d_ra) / depth
    eta = (sin_dec * cos_0 - cos_dec * sin_0 * np.cos(d_ra)) / depth
    return np.degrees(xi), np.degrees(eta)


def deproject(
    xi_deg: ArrayLike, eta_deg: ArrayLike, ra0_deg: float, dec0_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Sky positions (ICRS degrees, 0 <= ra < 360) of standard coordinates in degrees."""
    xi, eta = np.radians(np.asarray(xi_deg)), np.radians(np.asarray(eta_deg))
    cos_0, sin_0 = np.cos(np.radians(dec0_deg)), np.sin(np.radians(dec0_deg))
    depth = cos_0 - eta * sin_0
    ra = ra0_deg + np.degrees(np.arctan2(xi, depth))
    dec = np.degrees(np.arctan2(sin_0 + eta * cos_0, np.hypot(xi, depth)))
    return _wrapped(ra), dec


def _wrapped(ra_deg: FloatArray) -> FloatArray:
    """Into 0 <= ra < 360; the remainder of a tiny negative number rounds to 360 itself."""
    wrapped = np.asarray(ra_deg % 360.0)
    scalars_stay: FloatArray = np.where(wrapped >= 360.0, 0.0, wrapped)[()]
    return scalars_stay
