"""Hinted matching: the triangle engine on the catalogue near a pointing."""

from __future__ import annotations

import numpy as np

from crowdsky.astrometry.catalogue import gather_cone
from crowdsky.kernels import njit
from crowdsky.triangles.match import match_in_list

__all__ = ["match_near"]

MOST_EDGE_STARS = 50


@njit()
def match_near(
    x, y, g, n_try, ra_deg, dec_deg, radius_deg, prior_sigma_deg,
    half_x, half_y, slack_arcsec, slack_relative, scale_sigma, star_sigma,
    years, cells_in_band, band_first, cell_start, gaia_start, offset, mag, pm_mas,
):  # fmt: skip
    """Best attitude of image stars within ``radius_deg`` of a pointing (ICRS degrees).

    Arguments and result as `crowdsky.triangles.match.match_in_list`.
    """
    deg = np.pi / 180.0
    field_deg = np.arctan(np.sqrt(half_x * half_x + half_y * half_y)) / deg
    reach_deg = field_deg + radius_deg
    # The region holds this many times the stars of the image's field.
    excess = np.pi * (reach_deg * deg) ** 2 / (4.0 * half_x * half_y)
    most = int((2 * x.shape[0] + 10) * excess)
    xyz, mags, _, _ = gather_cone(
        ra_deg, dec_deg, reach_deg, years, 99.0, most,
        cells_in_band, band_first, cell_start, gaia_start, offset, mag, pm_mas,
    )  # fmt: skip
    order = np.argsort(mags)[:most]
    m = order.shape[0]
    sky = np.empty((m, 3))
    bright = np.empty(m)
    for s in range(m):
        sky[s, 0], sky[s, 1], sky[s, 2] = xyz[order[s], 0], xyz[order[s], 1], xyz[order[s], 2]
        bright[s] = mags[order[s]]
    centre = np.empty(3)
    centre[0] = np.cos(dec_deg * deg) * np.cos(ra_deg * deg)
    centre[1] = np.cos(dec_deg * deg) * np.sin(ra_deg * deg)
    centre[2] = np.sin(dec_deg * deg)
    return match_in_list(
        x, y, g, n_try, sky, bright, min(m, MOST_EDGE_STARS), m, centre,
        np.cos(radius_deg * deg), prior_sigma_deg * deg,
        half_x, half_y, slack_arcsec, slack_relative, scale_sigma, star_sigma,
    )  # fmt: skip
