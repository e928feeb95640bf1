"""The search for an attitude: which attempts are made, in which order, and what they cost the odds.

Every hypothesis of every attempt made so far is a trial that chance was given, so the logarithm
of their number is taken off the odds of the best one, whichever attempt found it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crowdsky.astrometry.blind import match_on_index
from crowdsky.astrometry.catalogue import GAIA_EPOCH_JYEAR, Catalogue
from crowdsky.astrometry.hinted import match_near
from crowdsky.astrometry.sky_cells import BAND_FIRST_CELL, CELLS_IN_BAND
from crowdsky.astrometry.sky_index import REACH_ARCSEC, blind_index
from crowdsky.triangles.index import PAIR_START
from crowdsky.triangles.pose import STAR_SIGMA_ARCSEC
from crowdsky.triangles.sides import ARCSEC_PER_RADIAN

__all__ = ["ACCEPT_LOG_ODDS", "Attempt", "Camera", "Finding", "Hint", "attempts", "search"]

ACCEPT_LOG_ODDS = 12.0
N_JUDGE = 40
POINTING_SIGMA_DEG = 1 / 60
LONGEST_ON_FILE_ARCSEC = float(REACH_ARCSEC.max())

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hint:
    """Where the telescope may point.

    Attributes
    ----------
    ra_deg, dec_deg : float
        ICRS degrees.
    mode : str
        ``"of_date"`` or ``"j2000"``: how the header was read to get there.
    """

    ra_deg: float
    dec_deg: float
    mode: str


@dataclass(frozen=True, slots=True)
class Camera:
    """A star list as a pinhole camera of known scale sees it.

    Attributes
    ----------
    dx_px, dy_px : ndarray, shape (n,)
        Stars relative to the image's centre.
    magnitude : ndarray, shape (n,)
        Instrumental.
    shape : tuple of int
        ``(ny, nx)``.
    scale_arcsec_per_px : float
    """

    dx_px: FloatArray
    dy_px: FloatArray
    magnitude: FloatArray
    shape: tuple[int, int]
    scale_arcsec_per_px: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to search.

    Attributes
    ----------
    hint : Hint or None
        Where; None is everywhere.
    radius_deg : float
        How far the hint may be off.
    stretch : float
        Factor on the assumed plate scale.
    parity : int
        +1 as every Seestar, -1 mirrored.
    n_try : int
        Stars that may form triangles.
    slack_arcsec, slack_relative : float
        Tolerance on a side: constant and share of its length.
    first_look : bool
        Ask the index for a fourth star before the whole catalogue is asked (blind only).
    """

    hint: Hint | None
    radius_deg: float = 0.1
    stretch: float = 1.0
    parity: int = 1
    n_try: int = 40
    slack_arcsec: float = 2.5
    slack_relative: float = 0.0015
    first_look: bool = True

    @property
    def scale_sigma(self) -> float:
        """Uncertainty of the scale that goes with the tolerance."""
        return max(0.001, self.slack_relative)


@dataclass(frozen=True, slots=True)
class Finding:
    """The best attitude of all attempts.

    Attributes
    ----------
    attempt : Attempt
        The one that found it.
    log_odds : float
        Of its left-out stars, trials of all attempts paid for.
    rotation : ndarray, shape (3, 3)
        Camera to ICRS.
    stretch : float
        True plate scale over the attempt's.
    n_matched, n_tried : int
        Stars that agree, those of the hypothesis included; hypotheses tried.
    """

    attempt: Attempt
    log_odds: float
    rotation: FloatArray
    stretch: float
    n_matched: int
    n_tried: int


def attempts(hints: list[Hint], n_stars: int, *, blind: bool) -> Iterator[Attempt]:
    """Attempts from the likeliest and cheapest to the last resort."""
    if not blind:
        for hint in hints:
            yield Attempt(hint)
        for hint in hints:
            yield Attempt(hint, radius_deg=0.4)
    few = n_stars <= 10
    tight = Attempt(None, slack_arcsec=1.8, slack_relative=0.0006, first_look=not few)
    loose = replace(tight, slack_arcsec=2.6, slack_relative=0.0015, n_try=24)
    yield tight
    yield loose
    if not few:
        yield replace(tight, n_try=12, first_look=False)
    # From here on something is not as a Seestar makes it: another scale, a mirrored image.
    others = (1.005, 0.995, 1.01, 0.99, 1.015, 0.985)
    if not blind:
        for hint in hints:
            for stretch in others:
                yield Attempt(hint, radius_deg=0.2, stretch=stretch)
            yield Attempt(hint, radius_deg=0.2, parity=-1)
    for stretch in others:
        yield replace(loose, n_try=14, stretch=stretch)
    yield replace(tight, n_try=24, parity=-1)


def search(
    camera: Camera,
    catalogue: Catalogue,
    epoch_jyear: float,
    plan: Iterator[Attempt],
    confirm: Callable[[Finding], bool],
) -> Finding | None:
    """Make attempts until one is significant and confirmed; return the best if none is.

    A finding is significant when its ``log_odds`` reaches ``ACCEPT_LOG_ODDS``. Whether a plate fits
    on it is for ``confirm`` to say; if not, the search goes on as if it had not been found. None
    where nothing was tried at all.
    """
    best_raw, n_tried = -math.inf, 0
    best: tuple[Attempt, FloatArray, float, int] | None = None
    for attempt in plan:
        log_odds, rotation, stretch, _, n_matched, tried = _match(
            camera, catalogue, epoch_jyear, attempt
        )
        raw = log_odds + math.log(max(tried, 1))
        n_tried += tried
        if tried and raw > best_raw:
            best, best_raw = (attempt, rotation, stretch, n_matched + 3), raw
        if best is None:
            continue
        if best_raw - math.log(max(n_tried, 1)) >= ACCEPT_LOG_ODDS:
            found = _finding(best, best_raw, n_tried)
            if confirm(found):
                return found
            best, best_raw = None, -math.inf
    return None if best is None else _finding(best, best_raw, n_tried)


def _finding(best: tuple[Attempt, FloatArray, float, int], raw: float, n_tried: int) -> Finding:
    attempt, rotation, stretch, n_matched = best
    log_odds = raw - math.log(max(n_tried, 1))
    return Finding(attempt, log_odds, rotation, stretch, n_matched, n_tried)


def _match(
    camera: Camera, catalogue: Catalogue, epoch_jyear: float, attempt: Attempt
) -> tuple[float, FloatArray, float, tuple[int, int, int], int, int]:
    n = min(len(camera.dx_px), N_JUDGE)
    n_try = min(n, attempt.n_try)
    unit = camera.scale_arcsec_per_px * attempt.stretch / ARCSEC_PER_RADIAN
    ny, nx = camera.shape
    stars = (camera.dx_px[:n] * (unit * attempt.parity), camera.dy_px[:n] * unit)
    half = (nx / 2 * unit, ny / 2 * unit)
    slack = (
        attempt.slack_arcsec, attempt.slack_relative, attempt.scale_sigma, STAR_SIGMA_ARCSEC
    )  # fmt: skip
    table = (
        epoch_jyear - GAIA_EPOCH_JYEAR, CELLS_IN_BAND, BAND_FIRST_CELL, catalogue.cell_start,
        catalogue.gaia_start, catalogue.offset, catalogue.mag, catalogue.pm_mas,
    )  # fmt: skip
    if attempt.hint is not None:
        return match_near(
            *stars, camera.magnitude[:n], n_try, attempt.hint.ra_deg, attempt.hint.dec_deg,
            attempt.radius_deg, POINTING_SIGMA_DEG, *half, *slack, *table,
        )  # fmt: skip
    index = blind_index()
    return match_on_index(
        *stars, camera.magnitude[:n], n_try, n, *half, *slack,
        2 * n + 10, attempt.first_look, LONGEST_ON_FILE_ARCSEC,
        index.stars, index.cell_start, index.first, index.words, PAIR_START, *table,
    )  # fmt: skip
