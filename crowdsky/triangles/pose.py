"""Attitudes from two matched stars, and how unlikely it is that the others agree by chance.

The camera frame has z along the optical axis and x, y along the image's rows and columns,
mirrored in x for a telescope of negative parity. An image star at tangent-plane position (X, Y)
radians looks along (X, Y, 1). An attitude is a rotation matrix that takes camera vectors to the
sky, and a stretch: the ratio of the true plate scale to the assumed one.

The odds follow Lang et al. 2010 (AJ 139, 1782), section 2.3: a star of the image is false with
probability FALSE, else it lies within a Gaussian of its catalogue star; by chance it lies
anywhere. The stars from which the attitude was made earn nothing for being there (their place was
chosen to fit); only how closely they agree inside the window in which they were sought counts.
"""

from __future__ import annotations

import numpy as np

from crowdsky.kernels import njit

__all__ = ["FALSE", "STAR_SIGMA_ARCSEC", "attitude_from_pair", "log_odds_of_others", "to_camera"]

RAD_TO_ARCSEC = 648000.0 / np.pi
STAR_SIGMA_ARCSEC = 0.65  # centroid, and catalogue without proper motion, on each axis
BRIGHTNESS_SIGMA = 0.35  # instrumental against catalogue magnitude, colours and saturation included
ODD_BRIGHTNESS = 0.15  # share of true matches whose brightness says nothing
FALSE = 0.5  # share of detections that are no catalogue stars, a priori
FAINT_LISTED = 0.05  # share of those too faint for the catalogue that are in it all the same


@njit()
def attitude_from_pair(x, y, i, j, sky, p, q, scale_sigma, rotation):
    """Attitude that lays image stars ``i``, ``j`` on sky vectors ``p``, ``q``; returns the stretch.

    The TRIAD method (Black 1964) in its symmetric form: the middle of the pair and its direction.
    The stretch is the pair's own, drawn to 1 as its length is uncertain beside ``scale_sigma``.
    """
    dx, dy = x[j] - x[i], y[j] - y[i]
    length = np.sqrt(dx * dx + dy * dy)
    sx = sky[q, 0] - sky[p, 0]
    sy = sky[q, 1] - sky[p, 1]
    sz = sky[q, 2] - sky[p, 2]
    # The image's chord on the unit sphere, not its length in the plane, is compared with the sky.
    ni = np.sqrt(1.0 + x[i] * x[i] + y[i] * y[i])
    nj = np.sqrt(1.0 + x[j] * x[j] + y[j] * y[j])
    cx, cy, cz = x[j] / nj - x[i] / ni, y[j] / nj - y[i] / ni, 1.0 / nj - 1.0 / ni
    chord = np.sqrt(cx * cx + cy * cy + cz * cz)
    ratio = np.sqrt(sx * sx + sy * sy + sz * sz) / max(chord, 1e-12)
    noise = STAR_SIGMA_ARCSEC / RAD_TO_ARCSEC / max(length, 1e-12)
    weight = scale_sigma**2 / (scale_sigma**2 + 4.0 * noise * noise)
    stretch = 1.0 + weight * (ratio - 1.0)

    c = np.empty((2, 3, 3))
    for side in range(2):
        if side == 0:
            ax, ay, az = x[i] * stretch, y[i] * stretch, 1.0
            bx, by, bz = x[j] * stretch, y[j] * stretch, 1.0
            n = np.sqrt(ax * ax + ay * ay + az * az)
            ax, ay, az = ax / n, ay / n, az / n
            n = np.sqrt(bx * bx + by * by + bz * bz)
            bx, by, bz = bx / n, by / n, bz / n
        else:
            ax, ay, az = sky[p, 0], sky[p, 1], sky[p, 2]
            bx, by, bz = sky[q, 0], sky[q, 1], sky[q, 2]
        mx, my, mz = ax + bx, ay + by, az + bz
        n = np.sqrt(mx * mx + my * my + mz * mz)
        mx, my, mz = mx / n, my / n, mz / n
        ex, ey, ez = bx - ax, by - ay, bz - az
        dot = ex * mx + ey * my + ez * mz
        ex, ey, ez = ex - dot * mx, ey - dot * my, ez - dot * mz
        n = np.sqrt(ex * ex + ey * ey + ez * ez)
        if n < 1e-12:
            return 0.0
        ex, ey, ez = ex / n, ey / n, ez / n
        c[side, 0, 0], c[side, 1, 0], c[side, 2, 0] = mx, my, mz
        c[side, 0, 1], c[side, 1, 1], c[side, 2, 1] = ex, ey, ez
        c[side, 0, 2] = my * ez - mz * ey
        c[side, 1, 2] = mz * ex - mx * ez
        c[side, 2, 2] = mx * ey - my * ex
    for row in range(3):
        for column in range(3):
            rotation[row, column] = (
                c[1, row, 0] * c[0, column, 0]
                + c[1, row, 1] * c[0, column, 1]
                + c[1, row, 2] * c[0, column, 2]
            )
    return stretch


@njit()
def to_camera(sky, m, rotation, stretch, half_x, half_y, plane):
    """Camera-plane positions of the first ``m`` sky vectors; returns how many fall in the field.

    Those outside or behind get a NaN, so that nothing ever matches them.
    """
    inside = 0
    for s in range(m):
        z = rotation[0, 2] * sky[s, 0] + rotation[1, 2] * sky[s, 1] + rotation[2, 2] * sky[s, 2]
        plane[s, 0] = np.nan
        plane[s, 1] = np.nan
        if z <= 0.5:
            continue
        f = 1.0 / (z * stretch)
        px = f * (
            rotation[0, 0] * sky[s, 0] + rotation[1, 0] * sky[s, 1] + rotation[2, 0] * sky[s, 2]
        )
        if abs(px) > half_x:
            continue
        py = f * (
            rotation[0, 1] * sky[s, 0] + rotation[1, 1] * sky[s, 1] + rotation[2, 1] * sky[s, 2]
        )
        if abs(py) > half_y:
            continue
        plane[s, 0] = px
        plane[s, 1] = py
        inside += 1
    return inside


@njit()
def nearest(plane, m, px, py):
    """Nearest of the first ``m`` plane positions and the squared distance, radians squared."""
    best, where = 1e30, -1
    for s in range(m):
        dx, dy = plane[s, 0] - px, plane[s, 1] - py
        d2 = dx * dx + dy * dy
        if d2 < best:
            best, where = d2, s
    return where, best


@njit(inline="always")
def sigma_squared(x, y, i, j, t, star_sigma):
    """Variance (one axis, arcsec squared) of star ``t`` about where pair ``i``, ``j`` puts it."""
    mx, my = 0.5 * (x[i] + x[j]), 0.5 * (y[i] + y[j])
    reach2 = (x[t] - mx) ** 2 + (y[t] - my) ** 2
    length2 = (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2
    return star_sigma * star_sigma * (1.5 + 2.0 * reach2 / max(length2, 1e-16))


@njit()
def brightness_log_odds(g, mags, m, pairs, n_pairs):
    """Log of (probability of the matched magnitudes if the matches are true / if by chance).

    ``g`` are instrumental magnitudes of the image, ``mags`` the ``m`` judging stars', ``pairs`` the
    matches. True ones share one zero point (the median; the star that sets it is left out of the
    sum, which pays for the free parameter) with ``BRIGHTNESS_SIGMA`` about it, or are blends and
    colours one knows nothing of. Chance draws its magnitudes from the judging stars themselves, a
    kernel density over them.
    """
    if n_pairs < 3:
        return 0.0
    offset = np.empty(n_pairs)
    for p in range(n_pairs):
        offset[p] = mags[pairs[p, 1]] - g[pairs[p, 0]]
    order = np.argsort(offset)
    middle = order[n_pairs // 2]
    zero = offset[middle]
    norm = 1.0 / (np.sqrt(2.0 * np.pi) * BRIGHTNESS_SIGMA)
    total = 0.0
    for p in range(n_pairs):
        if p == middle:
            continue
        here = mags[pairs[p, 1]]
        chance = 0.0
        for s in range(m):
            d = (mags[s] - here) / BRIGHTNESS_SIGMA
            chance += np.exp(-0.5 * d * d)
        chance *= norm / m
        d = (offset[p] - zero) / BRIGHTNESS_SIGMA
        true = norm * np.exp(-0.5 * d * d)
        total += np.log((1.0 - ODD_BRIGHTNESS) * true / chance + ODD_BRIGHTNESS)
    return total


@njit()
def _depth(plane, mags, m, inside):
    """Magnitude to which the judging stars are complete: three quarters are brighter."""
    here = np.empty(inside)
    n = 0
    for s in range(m):
        if plane[s, 0] == plane[s, 0] and n < inside:
            here[n] = mags[s]
            n += 1
    return np.partition(here[:n], (3 * n) // 4)[(3 * n) // 4] if n > 0 else 99.0


@njit()
def log_odds_of_others(
    x, y, g, n, i, j, k, plane, mags, m, inside, half_x, half_y, star_sigma
):  # fmt: skip
    """Log of (probability of the left-out stars if the attitude is right / if by chance).

    Returns it and the number of left-out stars that agree (within 3 sigma). Stars ``i``, ``j``,
    ``k`` and the catalogue stars on which they lie earn nothing for their places; their
    brightness, which had no part in choosing them, counts like that of the others, and gives the
    zero point that tells which stars the catalogue is deep enough to hold.
    """
    if inside == 0:
        return -1e9, 0
    area = 4.0 * half_x * half_y * RAD_TO_ARCSEC * RAD_TO_ARCSEC
    density = inside / area
    taken = np.zeros(m, dtype=np.uint8)
    pairs = np.empty((n, 2), np.int64)
    n_pairs = 0
    depth = _depth(plane, mags, m, inside)
    zero = np.empty(3)
    for t in (i, j, k):
        s, _ = nearest(plane, m, x[t], y[t])
        if s >= 0:
            taken[s] = 1
            pairs[n_pairs, 0], pairs[n_pairs, 1] = t, s
            zero[n_pairs] = mags[s] - g[t]
            n_pairs += 1
    zero_point = np.median(zero[:n_pairs]) if n_pairs > 0 else 0.0
    total, matched = 0.0, 0
    for t in range(n):
        if t in (i, j, k):
            continue
        s2 = sigma_squared(x, y, i, j, t, star_sigma)
        s, d2 = nearest(plane, m, x[t], y[t])
        # A star fainter than the judging stars reach is not expected to be among them.
        margin = depth + 0.5 - (g[t] + zero_point)
        listed = (1.0 - FALSE) * min(1.0, max(FAINT_LISTED, margin))
        ratio = 1.0 - listed
        d2 *= RAD_TO_ARCSEC * RAD_TO_ARCSEC
        if s >= 0 and taken[s] == 0 and d2 < 16.0 * s2:
            ratio += listed * np.exp(-0.5 * d2 / s2) / (2.0 * np.pi * s2 * density)
            if d2 < 9.0 * s2:
                matched += 1
                taken[s] = 1
                pairs[n_pairs, 0], pairs[n_pairs, 1] = t, s
                n_pairs += 1
        total += np.log(ratio)
    return total + brightness_log_odds(g, mags, m, pairs, n_pairs), matched
