"""Match a list of image stars to a short list of stars on the sphere, by triangles of known size.

An edge of the image is sought among the edges of the catalogue by its absolute length; the pair
fixes an attitude; a third star in its place closes the triangle, which is the hypothesis. The
other stars judge it (``pose``). The same engine lays a frame on the sky (``sky`` = catalogue near
the hint) and a frame on a frame (``sky`` = the reference's stars through the same camera).
"""

from __future__ import annotations

import numpy as np

from crowdsky.kernels import njit
from crowdsky.triangles.pose import (
    RAD_TO_ARCSEC,
    attitude_from_pair,
    log_odds_of_others,
    nearest,
    sigma_squared,
    to_camera,
)
from crowdsky.triangles.sides import chord_arcsec, directions_and_sides

__all__ = ["match_in_list"]

EDGE_BIN_ARCSEC = 16.0
SHORTEST_EDGE_ARCSEC = 90.0
SURE = 30.0  # log-odds at which the search need not go on


@njit()
def _sorted_edges(sky, m, longest_arcsec):
    """Edges among the first ``m`` stars, binned by length: bin starts, lengths, both ends."""
    n_bins = int(longest_arcsec / EDGE_BIN_ARCSEC) + 2
    start = np.zeros(n_bins + 1, np.int64)
    total = m * (m - 1) // 2
    length = np.empty(total, np.float64)
    place = np.empty(total, np.int64)
    e = 0
    for p in range(m):
        for q in range(p + 1, m):
            side = chord_arcsec(sky, p, sky, q)
            length[e] = side
            place[e] = int(side / EDGE_BIN_ARCSEC) if side < longest_arcsec else -1
            if place[e] >= 0:
                start[place[e] + 1] += 1
            e += 1
    for b in range(n_bins):
        start[b + 1] += start[b]
    fill = start.copy()
    sides = np.empty(start[n_bins], np.float64)
    ends = np.empty((start[n_bins], 2), np.int64)
    e = 0
    for p in range(m):
        for q in range(p + 1, m):
            b = place[e]
            if b >= 0:
                sides[fill[b]] = length[e]
                ends[fill[b], 0] = p
                ends[fill[b], 1] = q
                fill[b] += 1
            e += 1
    return start, sides, ends


@njit()
def match_in_list(  # noqa: C901 - the hot loop, compiled as a whole
    x, y, g, n_try, sky, mags, m_edges, m_judge, centre, cos_radius, prior_sigma_rad,
    half_x, half_y, slack_arcsec, slack_relative, scale_sigma, star_sigma,
):  # fmt: skip
    """Best attitude of image stars ``(x, y)`` on the stars ``sky``.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Image stars in the camera plane, radians, most trustworthy first.
    g : ndarray, shape (n,)
        Their instrumental magnitudes.
    n_try : int
        How many of them may form triangles; all judge.
    sky : ndarray, shape (m, 3)
        Unit vectors, brightest first; ``m_edges`` of them form edges, ``m_judge`` judge.
    mags : ndarray, shape (m,)
        Their magnitudes.
    centre : ndarray, shape (3,)
        Where the optical axis is thought to point, and ``cos_radius`` how far off it may be.
    prior_sigma_rad : float
        Expected error of that pointing; 0 for none known inside the radius.
    half_x, half_y : float
        Half the field in the camera plane, radians.
    slack_arcsec, slack_relative : float
        By how much an edge may differ: a constant and a share of its length.
    scale_sigma : float
        Uncertainty of the plate scale, relative.
    star_sigma : float
        Uncertainty of one star's place, image and catalogue together, arcsec on each axis.

    Returns
    -------
    log_odds : float
        Of the best hypothesis, trials already paid for.
    rotation : ndarray, shape (3, 3)
    stretch : float
    triangle : tuple of int
        Image stars of the hypothesis.
    n_matched, n_tried : int
    """
    n = x.shape[0]
    best = -1e9
    best_rotation = np.eye(3)
    best_stretch = 1.0
    best_triangle = (-1, -1, -1)
    best_matched = 0
    tried = 0
    rotation = np.empty((3, 3))
    plane = np.empty((m_judge, 2))
    longest = 2.0 * np.sqrt(half_x * half_x + half_y * half_y) * RAD_TO_ARCSEC * 1.02
    start, sides, ends = _sorted_edges(sky, m_edges, longest)
    n_bins = start.shape[0] - 1
    window2 = (1.0 - cos_radius) * 2.0
    _, chord = directions_and_sides(x, y, n_try)

    for j in range(1, n_try):
        for i in range(j):
            side = chord[i, j]
            if side < SHORTEST_EDGE_ARCSEC:
                continue
            slack = slack_arcsec + slack_relative * side
            low = max(0, int((side - slack) / EDGE_BIN_ARCSEC))
            high = min(n_bins - 1, int((side + slack) / EDGE_BIN_ARCSEC))
            if low > high:
                continue
            for e in range(start[low], start[high + 1]):
                if abs(sides[e] - side) > slack:
                    continue
                for turn in range(2):
                    p, q = ends[e, turn], ends[e, 1 - turn]
                    stretch = attitude_from_pair(x, y, i, j, sky, p, q, scale_sigma, rotation)
                    if stretch == 0.0:
                        continue
                    dot = (
                        rotation[0, 2] * centre[0]
                        + rotation[1, 2] * centre[1]
                        + rotation[2, 2] * centre[2]
                    )
                    if dot < cos_radius:
                        continue
                    inside = to_camera(sky, m_judge, rotation, stretch, half_x, half_y, plane)
                    third = -1
                    closing = 0.0
                    for t in range(n_try):
                        if t in (i, j):
                            continue
                        s2 = sigma_squared(x, y, i, j, t, star_sigma)
                        s, d2 = nearest(plane, m_judge, x[t], y[t])
                        d2 *= RAD_TO_ARCSEC * RAD_TO_ARCSEC
                        if s >= 0 and s != p and s != q and d2 < 9.0 * s2:
                            third = t
                            # Gaussian against even within the window of 3 sigma
                            closing = np.log(4.5) - 0.5 * d2 / s2
                            break
                    if third < 0:
                        continue
                    tried += 1
                    odds, matched = log_odds_of_others(
                        x, y, g, n, i, j, third, plane, mags, m_judge, inside,
                        half_x, half_y, star_sigma,
                    )  # fmt: skip
                    odds += closing
                    if prior_sigma_rad > 0.0:
                        off2 = (1.0 - dot) * 2.0
                        s2 = prior_sigma_rad * prior_sigma_rad
                        odds += np.log(0.5 + 0.5 * 0.5 * window2 / s2 * np.exp(-0.5 * off2 / s2))
                    if odds > best:
                        best = odds
                        best_rotation[:, :] = rotation
                        best_stretch = stretch
                        best_triangle = (i, j, third)
                        best_matched = matched
                        if best - np.log(tried) > SURE:
                            return (
                                best - np.log(tried), best_rotation, best_stretch,
                                best_triangle, best_matched, tried,
                            )  # fmt: skip
    return (
        best - np.log(max(tried, 1)), best_rotation, best_stretch,
        best_triangle, best_matched, tried,
    )  # fmt: skip
