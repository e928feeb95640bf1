"""The whole sky on an ellipse: the Hammer-Aitoff projection, forward and back.

This is the projection that FITS calls ``AIT`` and maps of the sky call Aitoff (Calabretta & Greisen
2002, A&A 395, 1077, section 5.3.4), so that what is drawn here falls where astropy's WCS puts it.
Aitoff's own, of 1889, is another one: it does not keep areas equal, and no FITS code stands for it.

``x`` grows to the East and ``y`` to the North, in degrees, as a FITS header counts. The sky is seen
from inside, with East to the left, so whoever draws it negates ``x``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["HALF_HEIGHT_DEG", "HALF_WIDTH_DEG", "aitoff_from_sky", "sky_from_aitoff"]

_DEG = np.pi / 180.0

#: Half axes of the ellipse, degrees.
HALF_WIDTH_DEG = 2.0 * np.sqrt(2.0) / _DEG
HALF_HEIGHT_DEG = np.sqrt(2.0) / _DEG

_RIM = 1e-12  # what rounding may put a point of the rim outside, of the ellipse's own measure


def aitoff_from_sky(
    ra_deg: ArrayLike, dec_deg: ArrayLike, *, centre_ra_deg: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project positions.

    Parameters
    ----------
    ra_deg, dec_deg : array-like
        Longitude, of any turn, and latitude; they broadcast. Any frame will do.
    centre_ra_deg : float
        What stands in the middle. A point half a turn away is put on the eastern rim.

    Returns
    -------
    x_deg, y_deg : ndarray of float64
        To the East and to the North of the middle.

    Examples
    --------
    >>> x, y = aitoff_from_sky([0.0, 90.0], [90.0, 0.0])
    >>> x.round(4), y.round(4)
    (array([ 0.    , 87.7046]), array([81.0285,  0.    ]))
    """
    longitude = 180.0 - np.remainder(180.0 + centre_ra_deg - np.asarray(ra_deg, np.float64), 360.0)
    half, latitude = longitude * (_DEG / 2.0), np.asarray(dec_deg, np.float64) * _DEG
    cos_latitude = np.cos(latitude)
    reach = np.sqrt(2.0 / (1.0 + cos_latitude * np.cos(half))) / _DEG
    x = 2.0 * reach * cos_latitude * np.sin(half)
    y = reach * np.sin(latitude)
    return np.asarray(x), np.asarray(y)


def sky_from_aitoff(
    x_deg: ArrayLike, y_deg: ArrayLike, *, centre_ra_deg: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the positions that are drawn somewhere.

    Parameters
    ----------
    x_deg, y_deg : array-like
        As `aitoff_from_sky` gives them; they broadcast.
    centre_ra_deg : float

    Returns
    -------
    ra_deg, dec_deg : ndarray of float64
        0 <= ra < 360; NaN for what lies outside of the ellipse.

    Examples
    --------
    >>> ra, dec = sky_from_aitoff([0.0, 170.0], [-30.0, 0.0], centre_ra_deg=180.0)
    >>> ra, dec.round(4)
    (array([180.,  nan]), array([-30.3537,      nan]))
    """
    x, y = np.asarray(x_deg, np.float64) * _DEG, np.asarray(y_deg, np.float64) * _DEG
    outside = ~((x / 4.0) ** 2 + (y / 2.0) ** 2 <= 0.5 + _RIM)
    x, y = np.where(outside, 0.0, x), np.where(outside, 0.0, y)
    z2 = 1.0 - (x / 4.0) ** 2 - (y / 2.0) ** 2
    z = np.sqrt(z2)
    # cos(dec) times cosine and sine of half the longitude, so that no arcsine loses the digits
    # that a latitude near the pole has.
    cosine, sine = 2.0 * z2 - 1.0, x * z / 2.0
    latitude = np.arctan2(y * z, np.hypot(cosine, sine)) / _DEG
    longitude = 2.0 * np.arctan2(sine, cosine) / _DEG + centre_ra_deg
    ra = np.remainder(longitude, 360.0)
    return (
        np.where(outside, np.nan, np.where(ra == 360.0, 0.0, ra)),
        np.where(outside, np.nan, latitude),
    )
