"""From a star list, or a frame, to a plate solution."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from time import perf_counter

import numpy as np

from crowdsky.astrometry.catalogue import Catalogue, bundled_catalogue
from crowdsky.astrometry.fit_wcs import (
    AT_THE_POLE,
    first_guess,
    fit_plate,
    fit_sip,
    move_centre,
    scale_and_elongation,
)
from crowdsky.astrometry.plate_solution import PlateSolution
from crowdsky.astrometry.scale_memory import ScaleMemory
from crowdsky.astrometry.search import ACCEPT_LOG_ODDS, Camera, Finding, Hint, attempts, search
from crowdsky.astrometry.tangent_plane import ra_dec_of
from crowdsky.errors import NoSolution, NotARawFrame, PlateError
from crowdsky.frames import FrameHeader, read_frame, read_rgb
from crowdsky.stars import DetectionSettings, StarList, detect_stars, detect_stars_image

__all__ = ["hints_of", "solve_frame", "solve_stars"]

FEWEST_STARS = 4
CENTROID_SIGMA_ARCSEC = 0.25
# Tycho-2 without proper motion is uncertain by 0.4 arcsec a quarter of a century on, Gaia by 0.08.
TYCHO_WEIGHT = 1.0 / (0.4**2 + CENTROID_SIGMA_ARCSEC**2)
GAIA_WEIGHT = 1.0 / (0.08**2 + CENTROID_SIGMA_ARCSEC**2)
# The catalogue has up to 70 stars a square degree; fainter ones only cost time.
FOR_SOLVING = DetectionSettings(max_stars=100)
FURTHEST_SCALE = 0.03
SCALE_LIMITS_ARCSEC = (0.1, 60.0)
MOST_SHEAR = 0.01


def solve_stars(
    stars: StarList,
    *,
    scale_arcsec_per_px: float,
    hint: tuple[float, float] | Hint | list[Hint] | None = None,
    blind: bool = False,
    epoch_jyear: float = 2025.0,
    catalogue: Catalogue | None = None,
) -> PlateSolution:
    """Solve a star list by triangles of known size.

    Parameters
    ----------
    stars : StarList
        0-based pixels, most trustworthy star first.
    scale_arcsec_per_px : float
        Plate scale, right to about one per cent (the closer, the quicker).
    hint : tuple of float, Hint or list of Hint, optional
        Rough centre, ICRS degrees. The whole sky is searched where it leads nowhere.
    blind : bool
        Leave hints unused.
    epoch_jyear : float
        Julian year of the exposure, to which proper motions are applied.
    catalogue : Catalogue, optional
        Judges and fits; default: the bundled one, of which the triangles of the blind search are in
        any case.

    Returns
    -------
    PlateSolution

    Raises
    ------
    NoSolution
        When no attitude is significant; with the counts and the best attempt.
    PlateError
        If the scale is not one of a telescope.
    """
    began = perf_counter()
    catalogue = bundled_catalogue() if catalogue is None else catalogue
    hints = [hint] if isinstance(hint, Hint) else hint
    if isinstance(hints, tuple):
        hints = [Hint(float(hints[0]), float(hints[1]), "j2000")]
    finite = np.isfinite(stars.x_px) & np.isfinite(stars.y_px)
    n_stars = int(finite.sum())
    if n_stars < FEWEST_STARS:
        raise NoSolution(
            f"a solution needs at least {FEWEST_STARS} stars",
            value=f"{n_stars} stars",
            n_stars=n_stars,
            n_candidates=0,
            best=None,
        )
    if not SCALE_LIMITS_ARCSEC[0] <= scale_arcsec_per_px <= SCALE_LIMITS_ARCSEC[1]:
        raise PlateError(
            f"a plate scale is from {SCALE_LIMITS_ARCSEC[0]:g} to {SCALE_LIMITS_ARCSEC[1]:g}"
            " arcsec a pixel",
            value=scale_arcsec_per_px,
        )
    ny, nx = stars.shape
    camera = Camera(
        dx_px=stars.x_px - (nx - 1) / 2,
        dy_px=stars.y_px - (ny - 1) / 2,
        magnitude=-2.5 * np.log10(np.where(stars.flux_adu > 1e-6, stars.flux_adu, 1e-6)),
        shape=stars.shape,
        scale_arcsec_per_px=float(scale_arcsec_per_px),
    )
    used = np.flatnonzero(finite)
    if n_stars < len(stars):
        camera = replace(
            camera,
            dx_px=camera.dx_px[used],
            dy_px=camera.dy_px[used],
            magnitude=camera.magnitude[used],
        )
    plan = attempts(hints or [], n_stars, blind=blind or not hints)
    solutions: list[PlateSolution] = []
    fit_s = 0.0

    def fits(found: Finding) -> bool:
        nonlocal fit_s
        at = perf_counter()
        solution = _fit(camera, catalogue, epoch_jyear, found, used)
        fit_s += perf_counter() - at
        if solution is not None:
            solutions.append(solution)
        return solution is not None

    found = search(camera, catalogue, epoch_jyear, plan, fits)
    if not solutions:
        raise _no_solution(found, n_stars)
    match_s = perf_counter() - began - fit_s
    return replace(solutions[0], ms={"match": 1e3 * match_s, "fit": 1e3 * fit_s})


def _no_solution(found: Finding | None, n_stars: int) -> NoSolution:
    if found is None:
        return NoSolution(
            "no triangle of the stars is one of the sky's",
            value=f"{n_stars} stars",
            n_stars=n_stars,
            n_candidates=0,
            best=None,
        )
    return NoSolution(
        f"no attitude is significant: the best of {found.n_tried} tried has log-odds"
        f" {found.log_odds:.1f} with {found.n_matched} stars, {ACCEPT_LOG_ODDS:g} are needed",
        value=f"{n_stars} stars",
        n_stars=n_stars,
        n_candidates=found.n_tried,
        best={"log_odds": found.log_odds, "n_matched": found.n_matched},
    )


def _fit(
    camera: Camera,
    catalogue: Catalogue,
    epoch_jyear: float,
    found: Finding,
    used: np.ndarray,
) -> PlateSolution | None:
    """The plate that fits best, or None where none of sane scale and shape fits."""
    unit = math.radians(camera.scale_arcsec_per_px / 3600.0) * found.attempt.stretch * found.stretch
    centre, cd = first_guess(found.rotation, unit, found.attempt.parity)
    ra, dec = _direction(centre)
    ny, nx = camera.shape
    radius_deg = math.degrees(math.atan(unit * math.hypot(nx, ny) / 2)) + 0.01
    xyz, _, rows, gaia_rows = catalogue.gather(ra, dec, radius_deg, epoch_jyear=epoch_jyear)
    weight = np.where(gaia_rows >= 0, GAIA_WEIGHT, TYCHO_WEIGHT)
    n = len(camera.dx_px)
    pair = np.empty(n, dtype=np.int64)
    residual = np.empty((n, 2))
    n_pairs = fit_plate(camera.dx_px, camera.dy_px, xyz, weight, centre, cd, pair, residual)
    scale, elongation = scale_and_elongation(cd)
    if (
        n_pairs < FEWEST_STARS
        or abs(scale / unit - 1) > FURTHEST_SCALE
        or elongation - 1 > MOST_SHEAR
    ):
        return None

    ra, dec = _direction(centre)
    index = np.flatnonzero(pair >= 0)
    cd = np.degrees(cd)
    dx, dy, residual = camera.dx_px[index], camera.dy_px[index], np.degrees(residual[index])
    standard = np.stack([dx, dy], axis=1) @ cd.T - residual
    sip = None
    bent = fit_sip(dx, dy, standard, camera.shape)
    if bent is not None:
        shift, cd, sip = bent
        move_centre(centre, cd, np.radians(shift))
        ra, dec = _direction(centre)
    solution = PlateSolution(
        shape=camera.shape, ra_deg=ra, dec_deg=dec, cd=cd,
        mode=found.attempt.hint.mode if found.attempt.hint else "blind",
        n_stars=n, star_index=used[index], catalogue_row=rows[pair[index]],
        residual_arcsec=residual * 3600.0, log_odds=float(found.log_odds),
        n_tried=int(found.n_tried), sip=sip,
    )  # fmt: skip
    if sip is not None:
        residual = _residual(solution, dx, dy, xyz[pair[index]])
        solution = replace(solution, residual_arcsec=residual)
    return solution


def _direction(xyz: np.ndarray) -> tuple[float, float]:
    """ICRS degrees of one vector."""
    x, y, z = xyz.tolist()
    if math.hypot(x, y) < AT_THE_POLE:
        return 0.0, math.copysign(90.0, z)
    ra = math.degrees(math.atan2(y, x)) % 360.0
    return (0.0 if ra >= 360.0 else ra), math.degrees(math.atan2(z, math.hypot(x, y)))


def _residual(
    solution: PlateSolution, dx: np.ndarray, dy: np.ndarray, xyz: np.ndarray
) -> np.ndarray:
    ra, dec = solution.pixel_to_sky(dx + solution.crpix[0], dy + solution.crpix[1])
    true_ra, true_dec = ra_dec_of(xyz)
    d_ra = (ra - true_ra + 180.0) % 360.0 - 180.0
    return np.stack([d_ra * np.cos(np.radians(dec)), dec - true_dec], axis=1) * 3600.0


def hints_of(header: FrameHeader) -> list[Hint]:
    """What a header's pointing may mean, likeliest first; empty where it has none."""
    if header.pointing is None:
        return []
    of_date, j2000 = header.pointing.icrs_of_date(), header.pointing.icrs_of_j2000()
    return [Hint(*of_date, "of_date"), Hint(*j2000, "j2000")]


def solve_frame(
    path: str | os.PathLike[str],
    *,
    blind: bool = False,
    scales: ScaleMemory | None = None,
    catalogue: Catalogue | None = None,
) -> PlateSolution:
    """Solve a raw sub or an on-board stack.

    Parameters
    ----------
    path : path-like
    blind : bool
        Leave the header's pointing unused.
    scales : ScaleMemory, optional
        Scales learned so far; the solution is added to it.
    catalogue : Catalogue, optional
        Default: the bundled one.

    Returns
    -------
    PlateSolution
        Its ``ms`` has the keys read, detect, match and fit.

    Raises
    ------
    FrameError
        If the file is not a frame.
    NoSolution
        If no attitude is significant.
    """
    began = perf_counter()
    try:
        frame = read_frame(path)
    except NotARawFrame:  # an on-board stack, perhaps; what is neither says so itself
        header, pixels = read_rgb(path)
        read = perf_counter()
        stars = detect_stars_image(pixels.mean(axis=0, dtype=np.float32), settings=FOR_SOLVING)
    else:
        header = frame.header
        read = perf_counter()
        stars = detect_stars(frame.mosaic, header.bayer, settings=FOR_SOLVING)
    detected = perf_counter()
    scale = header.scale_arcsec_per_px
    if scales is not None:
        scale = scales.guess(header.telescope_id, scale)
    try:
        solution = solve_stars(
            stars,
            scale_arcsec_per_px=scale,
            hint=hints_of(header),
            blind=blind,
            epoch_jyear=header.epoch_jyear,
            catalogue=catalogue,
        )
    except NoSolution as error:
        raise NoSolution(error.rule, file=path, value=error.value, **error.numbers) from error
    if scales is not None:
        scales.learn(header.telescope_id, solution.scale_arcsec_per_px, solution.n_matched)
    ms = {"read": 1e3 * (read - began), "detect": 1e3 * (detected - read), **solution.ms}
    return replace(solution, ms=ms)
