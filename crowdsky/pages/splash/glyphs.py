"""Small line drawings, in the page's own colours: the steps, and what changes in the sky.

Written by hand: class ``s`` is drawn in the colour of stars, ``a`` in the accent, the rest in quiet
lines. They say nothing that the words beside them do not, so screen readers pass over them.
"""

from __future__ import annotations

import math

from crowdsky.pages.splash.markup import Markup, tag

__all__ = ["CHANGES", "STEPS", "light_curve"]


def _drawing(inside: str, width: int = 160, height: int = 96) -> Markup:
    return tag(
        "svg",
        Markup(inside),
        class_="cs-splash-glyph",
        viewBox=f"0 0 {width} {height}",
        aria_hidden="true",
    )


_STARS = (
    '<g class="s dot"><circle cx="112" cy="20" r="2"/><circle cx="134" cy="38" r="1.4"/>'
    '<circle cx="96" cy="36" r="1.2"/><circle cx="145" cy="16" r="1.2"/></g>'
)

#: Observe, drop the folder, stacking, look.
STEPS = (
    _drawing(
        '<path d="M62 84l-12 8M62 84l12 8M62 84v8M48 84h28"/>'
        '<path class="a" d="M52 84V64a10 10 0 0 1 20 0v20zM57 58l24-26 12 11-24 27z"/>'
        '<path class="s thin" d="M90 35l36-24M95 42l46-14"/>' + _STARS
    ),
    _drawing(
        '<path d="M20 88h120"/><path class="a" d="M44 40h26l8 9h38v33H44z"/>'
        '<path class="s" d="M80 8v32M70 30l10 11 10-11"/>'
        '<path class="thin" d="M56 62h48M56 71h34"/>'
    ),
    _drawing(
        '<path d="M16 22h42v32H16zM26 30h42v32H26zM36 38h42v32H36z" class="thin"/>'
        '<path class="s" d="M86 54h16M97 47l7 7-7 7"/>'
        '<path class="a" d="M110 30h40v48h-40z"/>'
        '<g class="s dot"><circle cx="130" cy="54" r="3.4"/><circle cx="119" cy="42" r="1.6"/>'
        '<circle cx="143" cy="66" r="1.6"/><circle cx="141" cy="40" r="1.2"/></g>'
    ),
    _drawing(
        '<ellipse class="a" cx="56" cy="46" rx="42" ry="24"/>'
        '<path class="thin" d="M56 22v48M14 46h84M56 22c-30 12-30 36 0 48M56 22c30 12 30 36 0 48"/>'
        '<g class="s dot"><circle cx="42" cy="38" r="3"/><circle cx="68" cy="52" r="2.2"/>'
        '<circle cx="78" cy="36" r="1.7"/></g>'
        '<path class="s" d="M128 20v48M117 58l11 11 11-11"/><path d="M110 80h36"/>'
    ),
)

_SMALL = (64, 48)


def light_curve() -> Markup:
    """A star that another one passes in front of: points about the true curve."""
    points, line = [], []
    for i in range(49):
        phase = i / 48.0
        x = 4.0 + 56.0 * phase
        depth = max(0.0, min(1.0, (0.13 - abs(phase - 0.5)) / 0.07))
        y = 12.0 + 24.0 * depth
        line.append(f"{x:.1f} {y:.1f}")
        if i % 3 == 0:
            off = 1.7 * math.sin(7.3 * i)  # scatter that is the same every time
            points.append(f'<circle cx="{x:.1f}" cy="{y + off:.1f}" r="1.5"/>')
    return _drawing(
        f'<path class="a thin" d="M{"L".join(line)}"/><g class="s dot">{"".join(points)}</g>',
        *_SMALL,
    )


#: By what it is: its drawing.
CHANGES = {
    "variable": _drawing(
        '<path class="a" d="M4 24c4.5-21 9.5-21 14 0s9.5 21 14 0 9.5-21 14 0 9.5 21 14 0"/>'
        '<g class="s dot"><circle cx="8" cy="11" r="1.6"/><circle cx="18" cy="24" r="1.6"/>'
        '<circle cx="26" cy="39" r="1.6"/><circle cx="40" cy="9" r="1.6"/>'
        '<circle cx="50" cy="36" r="1.6"/></g>',
        *_SMALL,
    ),
    "nova": _drawing(
        '<path class="s" d="M32 6c1.7 13 5 16.3 18 18-13 1.7-16.3 5-18 18-1.7-13-5-16.3-18'
        '-18 13-1.7 16.3-5 18-18z"/><path class="a thin" d="M32 2v4M32 42v4M8 24h6M50 24h6"/>',
        *_SMALL,
    ),
    "comet": _drawing(
        '<path class="a thin" d="M18 34C30 26 44 14 58 4M22 38c14-8 26-16 36-26M15 29C28 18 40 10 '
        '50 3"/><circle class="s dot" cx="17" cy="34" r="5"/>',
        *_SMALL,
    ),
    "asteroid": _drawing(
        '<path class="a thin dash" d="M4 40L60 10"/>'
        '<g class="s dot"><circle cx="14" cy="34.7" r="2.2"/><circle cx="30" cy="26" r="2.2"/>'
        '<circle cx="46" cy="17.5" r="2.2"/></g><g class="dot q"><circle cx="12" cy="12" '
        'r="1.3"/><circle cx="50" cy="38" r="1.3"/><circle cx="28" cy="42" r="1.1"/></g>',
        *_SMALL,
    ),
    "transit": light_curve(),
    "satellite": _drawing(
        '<path class="a thin" d="M2 44L62 4"/><path class="s" d="M28 21l6-4 5 7-6 4z"/>'
        '<path d="M18 24l8-5 3 5-8 5zM37 13l8-5 3 5-8 5z" class="thin"/>',
        *_SMALL,
    ),
}
