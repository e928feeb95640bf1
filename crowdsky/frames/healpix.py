"""A pixel of the HEALPix grid (Górski et al. 2005, ApJ 622, 759), without a library's start-up.

Naming a block asks for one pixel index. The library that CrowdSky uses for the grid elsewhere loads
half of astropy for it, which is a tenth of the time a whole stack takes; the tests hold the two
together.
"""

from __future__ import annotations

import math

__all__ = ["ring_index"]


def ring_index(nside: int, ra_deg: float, dec_deg: float) -> int:
    """Index, in the RING scheme, of the pixel that holds a position.

    Parameters
    ----------
    nside : int
        Pixels along a side of one of the twelve base pixels.
    ra_deg, dec_deg : float
        Degrees, -90 <= dec <= 90.
    """
    z = math.sin(math.radians(dec_deg))
    quarter = (ra_deg % 360.0) / 90.0 % 4.0
    if abs(z) <= 2.0 / 3.0:
        rising = nside * (0.5 + quarter)
        slope = nside * 0.75 * z
        up, down = math.floor(rising - slope), math.floor(rising + slope)
        ring = nside + 1 + up - down
        shift = 1 - (ring & 1)
        column = ((up + down - nside + shift + 1) // 2) % (4 * nside)
        return 2 * nside * (nside - 1) + (ring - 1) * 4 * nside + column
    within = quarter - math.floor(quarter)
    # 1 - |z| from the cosine, which does not lose its digits at the pole
    reach = nside * math.cos(math.radians(dec_deg)) / math.sqrt((1.0 + abs(z)) / 3.0)
    ring = math.floor(within * reach) + math.floor((1.0 - within) * reach) + 1
    column = math.floor(quarter * ring) % (4 * ring)
    if z > 0:
        return 2 * ring * (ring - 1) + column
    return 12 * nside * nside - 2 * ring * (ring + 1) + column
