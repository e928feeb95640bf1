"""Blind matching: triangles sought on the file of the whole sky, judged by the whole catalogue."""

from __future__ import annotations

import numpy as np

from crowdsky.astrometry.catalogue import gather_cone
from crowdsky.astrometry.sky_cells import cells_in_cone
from crowdsky.kernels import njit
from crowdsky.triangles.index import vertices, words_like
from crowdsky.triangles.match import SURE
from crowdsky.triangles.pose import (
    RAD_TO_ARCSEC,
    attitude_from_pair,
    log_odds_of_others,
    sigma_squared,
    to_camera,
)
from crowdsky.triangles.sides import directions_and_sides, orientation, sort_triangle

__all__ = ["match_on_index"]

SHORTEST_SIDE_ARCSEC = 90.0
MOST_CANDIDATES = 4096  # of one image triangle; a handful is usual


@njit()
def brightest_inside(xyz, mags, rotation, stretch, half_x, half_y, most, plane):
    """Move the ``most`` brightest stars in the field to the front; returns how many there are."""
    to_camera(xyz, xyz.shape[0], rotation, stretch, half_x, half_y, plane)
    histogram = np.zeros(512, np.int64)
    for s in range(xyz.shape[0]):
        if plane[s, 0] == plane[s, 0]:
            histogram[min(511, max(0, int(mags[s] * 20.0)))] += 1
    total, cut = 0, 0
    while cut < 512 and total + histogram[cut] <= most:
        total += histogram[cut]
        cut += 1
    n = 0
    for s in range(xyz.shape[0]):
        if plane[s, 0] == plane[s, 0] and int(mags[s] * 20.0) < cut:
            plane[n, 0] = plane[s, 0]
            plane[n, 1] = plane[s, 1]
            mags[n] = mags[s]
            n += 1
    return n


@njit()
def _another_on_file(
    x, y, n, i, j, k, rotation, stretch, half_x, half_y, star_sigma,
    stars, cell_start, cells_in_band, band_first, cells,
):  # fmt: skip
    """Whether any further image star lies on a star of the index: a first, cheap judgement."""
    ra, dec = _pointing(rotation)
    radius = np.arctan(np.sqrt(half_x * half_x + half_y * half_y)) * 180.0 / np.pi
    n_cells = cells_in_cone(
        ra, dec, radius, cells_in_band, band_first, cells[0], cells[1], cells[2]
    )
    for c in range(n_cells):
        for s in range(cell_start[cells[0, c]], cell_start[cells[0, c] + 1]):
            v0, v1, v2 = stars[s, 0], stars[s, 1], stars[s, 2]
            z = rotation[0, 2] * v0 + rotation[1, 2] * v1 + rotation[2, 2] * v2
            if z <= 0.9:
                continue
            f = 1.0 / (z * stretch)
            px = f * (rotation[0, 0] * v0 + rotation[1, 0] * v1 + rotation[2, 0] * v2)
            if abs(px) > half_x:
                continue
            py = f * (rotation[0, 1] * v0 + rotation[1, 1] * v1 + rotation[2, 1] * v2)
            if abs(py) > half_y:
                continue
            for t in range(n):
                if t in (i, j, k):
                    continue
                d2 = ((px - x[t]) ** 2 + (py - y[t]) ** 2) * RAD_TO_ARCSEC * RAD_TO_ARCSEC
                if d2 < 9.0 * sigma_squared(x, y, i, j, t, star_sigma):
                    return True
    return False


@njit()
def _miss_squared(px, py, sky, s, rotation, stretch):
    """Squared distance (arcsec) of camera-plane point ``(px, py)`` from sky vector ``s``."""
    z = rotation[0, 2] * sky[s, 0] + rotation[1, 2] * sky[s, 1] + rotation[2, 2] * sky[s, 2]
    x = rotation[0, 0] * sky[s, 0] + rotation[1, 0] * sky[s, 1] + rotation[2, 0] * sky[s, 2]
    y = rotation[0, 1] * sky[s, 0] + rotation[1, 1] * sky[s, 1] + rotation[2, 1] * sky[s, 2]
    f = 1.0 / (z * max(stretch, 1e-9))
    return ((x * f - px) ** 2 + (y * f - py) ** 2) * RAD_TO_ARCSEC * RAD_TO_ARCSEC


@njit()
def _pointing(rotation):
    """ICRS degrees of the optical axis."""
    ra = np.arctan2(rotation[1, 2], rotation[0, 2]) * 180.0 / np.pi
    return ra % 360.0, np.arcsin(min(1.0, max(-1.0, rotation[2, 2]))) * 180.0 / np.pi


@njit()
def _judge(
    x, y, g, n, i, j, k, rotation, stretch, half_x, half_y, star_sigma, most,
    years, cells_in_band, band_first, cell_start, gaia_start, offset, mag, pm_mas,
):  # fmt: skip
    """Odds of a hypothesis by the brightest ``most`` stars that the whole catalogue has there."""
    ra, dec = _pointing(rotation)
    radius_deg = np.arctan(np.sqrt(half_x * half_x + half_y * half_y)) * 180.0 / np.pi
    xyz, mags, _, _ = gather_cone(
        ra, dec, radius_deg * 1.02, years, 99.0, most,
        cells_in_band, band_first, cell_start, gaia_start, offset, mag, pm_mas,
    )  # fmt: skip
    plane = np.empty((xyz.shape[0], 2))
    inside = brightest_inside(xyz, mags, rotation, stretch, half_x, half_y, most, plane)
    return log_odds_of_others(
        x, y, g, n, i, j, k, plane, mags, inside, inside, half_x, half_y, star_sigma
    )


@njit()
def match_on_index(
    x, y, g, n_try, n_judge, half_x, half_y, slack_arcsec, slack_relative, scale_sigma, star_sigma,
    most, first_look, longest_arcsec,
    stars, index_cells, first, words, pair_start,
    years, cells_in_band, band_first, cell_start, gaia_start, offset, mag, pm_mas,
):  # fmt: skip
    """Best attitude of image stars anywhere on the sky.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Image stars in the camera plane, radians, most trustworthy first.
    g : ndarray, shape (n,)
        Their instrumental magnitudes.
    n_try, n_judge : int
        How many of them form triangles, and how many judge.
    half_x, half_y : float
        Half the field, radians.
    slack_arcsec, slack_relative : float
        By how much a side may differ: a constant and a share of its length.
    scale_sigma, star_sigma : float
        As for `crowdsky.triangles.match.match_in_list`.
    most : int
        Brightest catalogue stars of a field against which the image's stars are judged.
    first_look : bool
        Ask first whether a fourth star agrees with the index before the whole catalogue is asked.
    longest_arcsec : float
        Longest side on file.

    Returns
    -------
    As `crowdsky.triangles.match.match_in_list`.
    """
    best = -1e9
    best_rotation = np.eye(3)
    best_stretch = 1.0
    best_triangle = (-1, -1, -1)
    best_matched = 0
    tried = 0
    rotation = np.empty((3, 3))
    cells = np.empty((3, 2048), np.int64)
    found = np.empty(MOST_CANDIDATES, np.uint64)
    u, side = directions_and_sides(x, y, n_try)
    for k in range(2, n_try):
        for j in range(1, k):
            if not SHORTEST_SIDE_ARCSEC < side[j, k] < longest_arcsec:
                continue
            for i in range(j):
                if not SHORTEST_SIDE_ARCSEC < side[i, k] < longest_arcsec:
                    continue
                if not SHORTEST_SIDE_ARCSEC < side[i, j] < longest_arcsec:
                    continue
                ia, ib, ic, a, b, c = sort_triangle(i, j, k, side[j, k], side[i, k], side[i, j])
                slack_a = slack_arcsec + slack_relative * a
                slack_b = slack_arcsec + slack_relative * b
                slack_c = slack_arcsec + slack_relative * c
                turn = orientation(u, ia, ib, ic)
                n_found = words_like(
                    a, b, c, turn, slack_a, slack_b, slack_c, first, words, pair_start, found
                )
                tried += n_found
                for w in range(n_found):
                    va, vb, vc = vertices(found[w])
                    stretch = attitude_from_pair(x, y, ia, ib, stars, va, vb, scale_sigma, rotation)
                    s2 = sigma_squared(x, y, ia, ib, ic, star_sigma)
                    d2 = _miss_squared(x[ic], y[ic], stars, vc, rotation, stretch)
                    if stretch == 0.0 or d2 > 12.0 * s2:
                        continue
                    if first_look and not _another_on_file(
                        x, y, n_try, ia, ib, ic, rotation, stretch, half_x, half_y,
                        star_sigma, stars, index_cells, cells_in_band, band_first, cells,
                    ):  # fmt: skip
                        continue
                    odds, matched = _judge(
                        x, y, g, n_judge, ia, ib, ic, rotation, stretch, half_x, half_y,
                        star_sigma, most, years, cells_in_band, band_first, cell_start,
                        gaia_start, offset, mag, pm_mas,
                    )  # fmt: skip
                    # Gaussian against even over the window that the sides leave open
                    odds += np.log(4.0 * slack_a * slack_b / (2.0 * np.pi * s2)) - 0.5 * d2 / s2
                    if odds > best:
                        best = odds
                        best_rotation[:, :] = rotation
                        best_stretch = stretch
                        best_triangle = (ia, ib, ic)
                        best_matched = matched
                if best - np.log(max(tried, 1)) > SURE:
                    return (
                        best - np.log(tried), best_rotation, best_stretch,
                        best_triangle, best_matched, tried,
                    )  # fmt: skip
    return (
        best - np.log(max(tried, 1)), best_rotation, best_stretch,
        best_triangle, best_matched, tried,
    )  # fmt: skip
