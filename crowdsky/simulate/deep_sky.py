"""A few well-known galaxies and nebulae, so that a field shows what one expects there.

Positions, magnitudes, sizes and angles are rounded from the RC3 (de Vaucouleurs et al. 1991) and
the NGC/IC; scale lengths and colours are chosen to look right on a ten-second frame.
"""

from __future__ import annotations

import numpy as np

from crowdsky.astrometry.tangent_plane import unit_vectors
from crowdsky.simulate.extended import Galaxy, Nebula

__all__ = ["DEEP_SKY", "objects_near"]

DEEP_SKY: dict[str, Galaxy | Nebula] = {
    thing.name: thing
    for thing in (
        Galaxy(
            "M 31", 10.6847, 41.2690, 3.9, 1100.0, 0.32, 35.0, 0.30, 240.0, arms=2, pitch_deg=9.0
        ),
        Galaxy("M 32", 10.6743, 40.8652, 8.5, 22.0, 0.8, 170.0, 0.6, 12.0),
        Galaxy(
            "M 33", 23.4621, 30.6602, 6.0, 560.0, 0.60, 23.0, 0.03, 40.0, arms=2, pitch_deg=28.0
        ),
        Galaxy(
            "M 51", 202.4696, 47.1952, 8.0, 72.0, 0.85, 10.0, 0.10, 12.0, arms=2, pitch_deg=20.0
        ),
        Galaxy("NGC 5195", 202.4983, 47.2661, 9.9, 18.0, 0.8, 79.0, 0.5, 12.0),
        Galaxy(
            "M 63", 198.9555, 42.0293, 8.9, 85.0, 0.56, 105.0, 0.18, 16.0, arms=3, pitch_deg=16.0
        ),
        Galaxy(
            "M 81", 148.8882, 69.0653, 7.2, 160.0, 0.53, 157.0, 0.34, 45.0, arms=2, pitch_deg=15.0
        ),
        Galaxy("M 82", 148.9685, 69.6797, 8.8, 75.0, 0.33, 65.0, 0.15, 20.0),
        Galaxy("M 94", 192.7215, 41.1203, 8.5, 70.0, 0.82, 105.0, 0.55, 17.0),
        Galaxy(
            "M 101", 210.8023, 54.3490, 8.1, 190.0, 0.93, 37.0, 0.04, 12.0, arms=3, pitch_deg=24.0
        ),
        Galaxy("M 104", 189.9976, -11.6231, 8.6, 85.0, 0.40, 90.0, 0.55, 35.0),
        Galaxy("NGC 253", 11.8880, -25.2882, 7.6, 280.0, 0.27, 52.0, 0.12, 40.0, 2),
        Nebula("NGC 7023", 315.4037, 68.1633, 420.0, 19.0, 0.78, 0.76, 0.5, 36.0),
        Nebula("M 8", 270.9042, -24.3867, 900.0, 19.6, 2.2, 0.75, 0.8),
        Nebula("M 20", 270.6750, -22.9717, 380.0, 20.0, 1.9, 0.9, 0.8),
        Nebula("M 42", 83.8221, -5.3911, 1000.0, 18.2, 1.5, 0.85, 0.8),
        Nebula("M 45", 56.7500, 24.1167, 1500.0, 22.0, 0.6, 0.95, 0.6),
        Nebula("NGC 7000", 314.7500, 44.3333, 2800.0, 21.4, 2.6, 0.55, 0.8),
        Nebula("IC 5146", 328.3708, 47.2667, 300.0, 21.4, 1.9, 0.7, 0.7),
    )
}
"""By name, as in the OBJECT card."""


def objects_near(ra_deg: float, dec_deg: float, radius_deg: float) -> tuple[Galaxy | Nebula, ...]:
    """Those of `DEEP_SKY` whose centre lies in a cone (ICRS degrees), widened by two degrees.

    Two degrees is more than the largest of them reaches.
    """
    centre = unit_vectors(ra_deg, dec_deg)
    limit = np.cos(np.radians(min(radius_deg + 2.0, 180.0)))
    return tuple(
        thing
        for thing in DEEP_SKY.values()
        if unit_vectors(thing.ra_deg, thing.dec_deg) @ centre >= limit
    )
