"""CrowdSky stacks and plate-solves the frames of ZWO Seestar smart telescopes.

The way of the data, and of the imports::

    frames -> stars -> triangles -> astrometry -> stacking -> pipeline

==================== ===============================================================================
`read_frame`         a file -> its Bayer mosaic and header
`detect_stars`       a mosaic -> a `StarList`, most trustworthy star first
`solve_frame`        a file -> its `PlateSolution`: where on the sky every pixel is
`solve_stars`        a `StarList` -> its `PlateSolution`
`group_blocks`       a pile of headers -> blocks of fifteen minutes, one target and one setting each
`stack_paths`        files and folders -> one solved stack a block, and a report on every frame
`simulate_session`   a plan -> a session of raw frames, with the truth beside it
`CrowdSkyError`      the root of every error raised on purpose; its tree is in `crowdsky.errors`
==================== ===============================================================================

Conventions, settled once
-------------------------
Pixels
    ``(0, 0)`` is the centre of the first pixel. Arrays are ``(ny, nx)``, points are ``(x, y)``.
    Rows stay in the order of the file, top-down, and are never flipped. FITS counts from one: its
    pixel is ours plus one, and only what is written as a header card or printed as ``wcs.crpix``
    is FITS.
Sky
    ICRS degrees, at the epoch of the frame. Position angles run from North through East.
    A Seestar image is mirrored or not as its CD matrix says: parity +1 is ``det(CD) > 0``.
Pointing
    The ``RA`` and ``DEC`` cards are degrees at the equinox of date and are turned into ICRS on
    reading; nothing else carries coordinates of date.
Time
    UTC, as `datetime` with a zone. A frame's time is the start of its exposure.
Units
    In the name: ``_px _deg _arcsec _adu _s``.
Errors
    Everything wrong with the input raises a `CrowdSkyError` naming file, value and rule. "Nothing
    found" is an empty list, never ``None``.
Offline
    Nothing here opens a socket. Only `crowdsky.lookup`, an extra, does, and only when asked.

Importing this module is cheap: each name is loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crowdsky.errors import CrowdSkyError

if TYPE_CHECKING:
    from crowdsky.astrometry import PlateSolution, solve_frame, solve_stars
    from crowdsky.frames import group_blocks, read_frame
    from crowdsky.pipeline import stack_paths
    from crowdsky.simulate import simulate_session
    from crowdsky.stars import StarList, detect_stars

__version__ = "0.3.0"

__all__ = [
    "CrowdSkyError",
    "PlateSolution",
    "StarList",
    "__version__",
    "detect_stars",
    "group_blocks",
    "read_frame",
    "simulate_session",
    "solve_frame",
    "solve_stars",
    "stack_paths",
]

_HOME = {
    "PlateSolution": "crowdsky.astrometry",
    "StarList": "crowdsky.stars",
    "detect_stars": "crowdsky.stars",
    "group_blocks": "crowdsky.frames",
    "read_frame": "crowdsky.frames",
    "simulate_session": "crowdsky.simulate",
    "solve_frame": "crowdsky.astrometry",
    "solve_stars": "crowdsky.astrometry",
    "stack_paths": "crowdsky.pipeline",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
