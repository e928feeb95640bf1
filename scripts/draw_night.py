"""Draw the stars behind the pages: the Summer Triangle from the bundled catalogue.

    python scripts/draw_night.py > voila_templates/crowdsky/src/pictures/stars.svg

Stars of one step of half a magnitude share one path and one width, which keeps the file small.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np

from crowdsky.astrometry import bundled_catalogue

RA_DEG, DEC_DEG = 296.0, 30.0  # between Vega, Deneb and Altair
WIDTH, HEIGHT = 1600, 700  # units of the drawing
UNITS_PER_RADIAN = 950.0
FAINTEST_MAG = 5.6


def main() -> None:
    """Print the drawing. East is left, as in the sky."""
    stars = bundled_catalogue().cone(RA_DEG, DEC_DEG, 50.0, limit=20_000, epoch_jyear=2026.0)
    bright = stars.mag < FAINTEST_MAG
    ra, dec = np.radians(stars.ra_deg[bright] - RA_DEG), np.radians(stars.dec_deg[bright])
    dec0 = np.radians(DEC_DEG)
    # Stereographic: constellations keep their shapes.
    scale = 2 / (1 + np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra))
    x = WIDTH / 2 - UNITS_PER_RADIAN * scale * np.cos(dec) * np.sin(ra)
    y = HEIGHT / 2 - UNITS_PER_RADIAN * scale * (
        np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra)
    )
    classes: dict[int, list[str]] = defaultdict(list)
    for at_x, at_y, mag in zip(x, y, stars.mag[bright], strict=True):
        if 0 <= at_x <= WIDTH and 0 <= at_y <= HEIGHT:
            classes[int(np.floor(2 * mag))].append(f"M{at_x:.0f} {at_y:.0f}h0")
    out = sys.stdout.write
    out(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">')
    out('<g stroke="#dfe8ff" stroke-linecap="round" fill="none">')
    for half_mag, paths in sorted(classes.items()):
        # The eye takes a star's light as its size: width goes with the root of the flux.
        width = max(1.1, 6.5 * 10 ** (-0.1 * half_mag / 2))
        opacity = min(1.0, max(0.3, 1.05 - 0.065 * half_mag))
        out(f'<path stroke-width="{width:.1f}" opacity="{opacity:.2f}" d="{"".join(paths)}"/>')
    out("</g></svg>\n")


if __name__ == "__main__":
    main()
