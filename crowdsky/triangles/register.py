"""Lay a star list on another: the same engine, with the reference in place of the sky."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import RegistrationError
from crowdsky.stars.star_list import StarList
from crowdsky.triangles.match import match_in_list
from crowdsky.triangles.similarity import apply_map, fit_affine, fit_similarity

__all__ = ["Registration", "register_stars"]

# Any camera will do, since both lists go through it; this one is the S50's.
PIXEL_ARCSEC = 2.374
PIXEL_RAD = np.radians(PIXEL_ARCSEC / 3600.0)
FEWEST_STARS = 4
FEWEST_PAIRS = 5
PAIRS_FOR_AFFINE = 10
N_TRY = 40
ACCEPT_LOG_ODDS = 7.0  # there is one reference, not a whole sky, to be mistaken on
FIRST_RADIUS_PX = 3.0
LAST_RADIUS_PX = 1.0
CENTROID_FLOOR_PX = 0.05

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Registration:
    """How a frame lies on its reference.

    Attributes
    ----------
    matrix : ndarray, shape (2, 3)
        Maps a pixel ``(x, y, 1)`` of the frame to ``(x, y)`` of the reference.
    pairs : ndarray of int64, shape (m, 2)
        Index in the reference's list, index in the frame's.
    rms_px : float
        Root mean square distance of the pairs after the fit.
    log_odds : float
        Of the match, against chance.
    """

    matrix: FloatArray
    pairs: NDArray[np.int64]
    rms_px: float
    log_odds: float

    @property
    def rotation_deg(self) -> float:
        """Rotation of the frame against the reference, from +x towards +y."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    @property
    def scale(self) -> float:
        """Size of a frame's pixel in the reference's."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))


def register_stars(
    reference: StarList, moving: StarList, *, scale_tolerance: float = 0.003
) -> Registration:
    """Find the map from one frame's pixels to another's.

    Parameters
    ----------
    reference, moving : StarList
        Most trustworthy stars first.
    scale_tolerance : float
        By how much the plate scales of the two may differ, relative.

    Returns
    -------
    Registration

    Raises
    ------
    RegistrationError
        If a list is too short, or no map is significant; with the counts and the odds.
    """
    reference_at, reference = _finite(reference)
    moving_at, moving = _finite(moving)
    for name, stars in (("reference", reference), ("frame", moving)):
        if len(stars) < FEWEST_STARS:
            raise RegistrationError(
                f"registration needs at least {FEWEST_STARS} stars on the {name}",
                value=f"{len(stars)} stars",
            )
    x, y = _camera_plane(moving, moving)
    rx, ry = _camera_plane(reference, moving)
    norm = np.sqrt(1.0 + rx * rx + ry * ry)
    sky = np.stack([rx / norm, ry / norm, 1.0 / norm], axis=1)[:80]
    ny, nx = moving.shape
    half_x, half_y = nx / 2 * PIXEL_RAD, ny / 2 * PIXEL_RAD
    n = min(len(moving), N_TRY)
    log_odds, rotation, stretch, _, n_matched, n_tried = match_in_list(
        x[:n], y[:n], _magnitude(moving)[:n], n, sky, _magnitude(reference)[: len(sky)],
        min(len(sky), 50), len(sky), np.array([0.0, 0.0, 1.0]), float(np.cos(2 * half_y)), 0.0,
        half_x, half_y, 1.5, scale_tolerance, scale_tolerance, 0.3 * PIXEL_ARCSEC,
    )  # fmt: skip
    if n_tried == 0:
        raise RegistrationError(
            "no triangle of the frame is one of the reference's",
            value=f"{len(moving)} stars on {len(reference)}",
        )
    if log_odds < ACCEPT_LOG_ODDS:
        raise RegistrationError(
            f"no map to the reference is significant: the best of {n_tried} tried has log-odds"
            f" {log_odds:.1f} with {n_matched + 3} stars, {ACCEPT_LOG_ODDS:g} are needed",
            value=f"{len(moving)} stars on {len(reference)}",
            log_odds=log_odds,
            n_matched=n_matched + 3,
        )
    found = _refine(reference, moving, _as_map(rotation, stretch, moving), float(log_odds))
    pairs = np.column_stack([reference_at[found.pairs[:, 0]], moving_at[found.pairs[:, 1]]])
    return replace(found, pairs=pairs)


def _finite(stars: StarList) -> tuple[NDArray[np.int64], StarList]:
    """Stars with a place, and where they stand in the list."""
    at = np.flatnonzero(np.isfinite(stars.x_px) & np.isfinite(stars.y_px))
    if len(at) == len(stars):
        return at, stars
    optional = {
        name: column[at] if len(column := getattr(stars, name)) == len(stars) else column
        for name in ("fwhm_px", "elongation", "peak_adu", "snr", "saturated", "starlike")
    }
    return at, replace(
        stars,
        x_px=stars.x_px[at],
        y_px=stars.y_px[at],
        flux_adu=stars.flux_adu[at],
        **optional,
    )


def _camera_plane(stars: StarList, frame: StarList) -> tuple[FloatArray, FloatArray]:
    ny, nx = frame.shape
    return (stars.x_px - (nx - 1) / 2) * PIXEL_RAD, (stars.y_px - (ny - 1) / 2) * PIXEL_RAD


def _magnitude(stars: StarList) -> FloatArray:
    return -2.5 * np.log10(np.where(stars.flux_adu > 1e-6, stars.flux_adu, 1e-6))


def _as_map(rotation: FloatArray, stretch: float, frame: StarList) -> FloatArray:
    """The attitude between two pinhole cameras as an affine map at the image's centre."""
    centre = rotation[:2, 2] / rotation[2, 2] / PIXEL_RAD
    linear = rotation[:2, :2] * stretch
    ny, nx = frame.shape
    middle = np.array([(nx - 1) / 2, (ny - 1) / 2])
    return np.column_stack([linear, middle + centre - linear @ middle])


def _refine(
    reference: StarList, moving: StarList, matrix: FloatArray, log_odds: float
) -> Registration:
    source = np.column_stack([moving.x_px, moving.y_px])
    target = np.column_stack([reference.x_px, reference.y_px])
    weight = _weight(moving)
    pairs = np.empty((0, 2), dtype=np.int64)
    distance = np.empty(0)
    for radius in np.linspace(FIRST_RADIUS_PX, LAST_RADIUS_PX, 4):
        if len(distance) >= PAIRS_FOR_AFFINE:
            radius = min(radius, max(0.3, 4.0 * float(np.median(distance))))
        mapped = apply_map(matrix, source)
        # Lists are short: all distances at once cost less than a tree.
        apart = np.hypot(*(mapped[:, None] - target[None]).transpose(2, 0, 1))
        nearest = np.argmin(apart, axis=1)
        away = apart[np.arange(len(source)), nearest]
        frame_star = np.flatnonzero(away < radius)
        frame_star = frame_star[np.argsort(away[frame_star], kind="stable")]
        # One frame star for each reference star: the nearest.
        _, first = np.unique(nearest[frame_star], return_index=True)
        frame_star = np.sort(frame_star[first])
        pairs = np.column_stack([nearest[frame_star], frame_star])
        fewest = min(FEWEST_PAIRS, len(source), len(target))
        if len(pairs) < fewest:
            raise RegistrationError(
                f"a map to the reference needs at least {fewest} pairs of stars",
                value=f"{len(pairs)} pairs",
                log_odds=log_odds,
                n_matched=len(pairs),
            )
        fit = fit_affine if len(pairs) >= PAIRS_FOR_AFFINE else fit_similarity
        matrix = fit(source[pairs[:, 1]], target[pairs[:, 0]], weight[pairs[:, 1]])
        offset = apply_map(matrix, source[pairs[:, 1]]) - target[pairs[:, 0]]
        distance = np.hypot(offset[:, 0], offset[:, 1])
    return Registration(matrix, pairs, float(np.sqrt(np.mean(distance**2))), log_odds)


def _weight(stars: StarList) -> FloatArray:
    """Inverse variance of the centroids (King 1983: sigma of the profile over the SNR)."""
    if len(stars.snr) != len(stars) or len(stars.fwhm_px) != len(stars):
        return np.ones(len(stars))
    noise = np.nan_to_num(stars.fwhm_px, nan=3.0) / 2.355 / np.maximum(stars.snr, 1.0)
    return 1.0 / (CENTROID_FLOOR_PX**2 + noise**2)
