"""The small map of where the public stacks lie: the whole sky as one SVG drawing.

Hammer-Aitoff, East to the left, 0 h in the middle; see `crowdsky.pages.widgets.aitoff`. Cells that
hold stacks are dots, larger where there are more. Dots of one size are one path, so that a sky full
of them stays small.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdsky.pages.splash.markup import Markup, join, tag
from crowdsky.pages.splash.state import CELL_ORDER
from crowdsky.pages.widgets.aitoff import HALF_HEIGHT_DEG, HALF_WIDTH_DEG, aitoff_from_sky

__all__ = ["HEIGHT", "WIDTH", "cell_centres", "dot_sizes", "drawn_at", "sky_map"]

#: Of the drawing, in its own units.
WIDTH, HEIGHT = 1000, 500

_MARGIN = 6.0
_SIZES = (6.0, 8.5, 11.5, 15.0)  # of dots, from few stacks to many
_STEPS = (1, 4, 16, 64)  # stacks from which on a dot has each of them
_MERIDIANS_H = (0, 3, 6, 9, 15, 18, 21)  # 12 h is the rim
_PARALLELS_DEG = (-60, -30, 0, 30, 60)


def drawn_at(ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """Where a position is drawn, in units of the drawing: x to the right, y down."""
    x_deg, y_deg = aitoff_from_sky(ra_deg, dec_deg)
    x = WIDTH / 2 - x_deg / HALF_WIDTH_DEG * (WIDTH / 2 - _MARGIN)
    y = HEIGHT / 2 - y_deg / HALF_HEIGHT_DEG * (HEIGHT / 2 - _MARGIN)
    return x, y


def cell_centres(cells: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres of HEALPix cells (NESTED, `CELL_ORDER`): right ascension and declination, degrees."""
    from astropy_healpix import healpix_to_lonlat

    lon, lat = healpix_to_lonlat(np.asarray(cells, np.int64), nside=1 << CELL_ORDER, order="nested")
    return np.degrees(lon.value), np.degrees(lat.value)


def dot_sizes(counts: Sequence[int]) -> NDArray[np.int64]:
    """Index of each dot's size, by its number of stacks."""
    return np.searchsorted(_STEPS, np.asarray(counts, np.int64), side="right") - 1


def sky_map(cells: Iterable[tuple[int, int]], told: str, backdrop: str) -> Markup:
    """Draw the map.

    Parameters
    ----------
    cells : iterable of (int, int)
        Cells that hold stacks, and how many.
    told : str
        What the map shows, in words.
    backdrop : str
        Address of the picture of the whole sky: grey on black.

    Returns
    -------
    Markup
    """
    rx, ry = WIDTH / 2 - _MARGIN, HEIGHT / 2 - _MARGIN
    middle = {"cx": WIDTH // 2, "cy": HEIGHT // 2, "rx": _plain(rx), "ry": _plain(ry)}
    return tag(
        "svg",
        tag(
            "mask",
            tag(
                "image", href=backdrop, x=_plain(_MARGIN), y=_plain(_MARGIN), width=_plain(2 * rx),
                height=_plain(2 * ry), preserveAspectRatio="none",
            ),
            id="cs-splash-mask",
        ),
        tag("ellipse", class_="cs-splash-sphere", **middle),
        tag(
            "rect", class_="cs-splash-milky", width=WIDTH, height=HEIGHT,
            mask="url(#cs-splash-mask)",
        ),
        tag("path", class_="cs-splash-grid", d=_grid()),
        tag("ellipse", class_="cs-splash-rim", **middle),
        _labels(),
        _dots(list(cells)),
        class_="cs-splash-map", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=told,
    )  # fmt: skip


def _dots(cells: list[tuple[int, int]]) -> Markup:
    if not cells:
        return Markup("")
    x, y = drawn_at(*cell_centres([cell for cell, _ in cells]))
    by_size: dict[int, list[str]] = defaultdict(list)
    for px, py, size in zip(x, y, dot_sizes([n for _, n in cells]), strict=True):
        by_size[int(size)].append(f"M{px:.1f} {py:.1f}h0")
    groups = []
    for name, wider in (("halo", 1.9), ("dots", 1.0)):
        for size, steps in sorted(by_size.items()):
            width = _plain(_SIZES[size] * wider)
            groups.append(
                tag("path", class_=f"cs-splash-{name}", stroke_width=width, d="".join(steps))
            )
    return join(*groups)


def _grid() -> str:
    """Lines of equal right ascension, every 3 h, and of equal declination, every 30 degrees."""
    dec = np.linspace(-90.0, 90.0, 37)
    lines = [_line(*drawn_at(np.full_like(dec, 15.0 * hour), dec)) for hour in _MERIDIANS_H]
    # Half a turn to either side of the middle; the very end would jump to the other rim.
    turn = np.linspace(-180.0, 180.0, 73)
    turn[0] += 1e-9
    lines += [_line(*drawn_at(turn, np.full_like(turn, each))) for each in _PARALLELS_DEG]
    return "".join(lines)


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    points = [f"{px:.0f} {py:.0f}" for px, py in zip(x, y, strict=True)]
    return "M" + "L".join(points)


def _labels() -> Markup:
    texts = []
    for hour in (18, 21, 0, 3, 6):
        x, y = drawn_at(15.0 * hour, 0.0)
        texts.append(tag("text", f"{hour} h", x=f"{float(x) + 5:.0f}", y=f"{float(y) - 6:.0f}"))
    for dec in (-60, -30, 30, 60):
        x, y = drawn_at(0.0, dec)
        sign = "−" if dec < 0 else "+"
        texts.append(
            tag("text", f"{sign}{abs(dec)}°", x=f"{float(x) + 5:.0f}", y=f"{float(y) - 6:.0f}")
        )
    return tag("g", *texts, class_="cs-splash-labels", aria_hidden="true")


def _plain(number: float) -> str:
    return f"{number:g}"
