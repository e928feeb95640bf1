"""From an attitude that is right to a few arcsec to the WCS that fits the stars best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.astrometry.plate_solution import Sip
from crowdsky.kernels import njit

__all__ = [
    "AT_THE_POLE",
    "first_guess",
    "fit_plate",
    "fit_sip",
    "move_centre",
    "scale_and_elongation",
]

# Even in the Milky Way, 70 stars a square degree, one star in 150 has a stranger this near.
FIRST_RADIUS_ARCSEC = 20.0
LAST_RADIUS_ARCSEC = 3.0
N_PASSES = 5
MIN_FOR_AFFINE = 6
AT_THE_POLE = 1e-12  # radians from it: RA is taken to be 0
MIN_FOR_SIP = 40


@njit()
def _cross(a, b):
    c = np.empty(3)
    c[0] = a[1] * b[2] - a[2] * b[1]
    c[1] = a[2] * b[0] - a[0] * b[2]
    c[2] = a[0] * b[1] - a[1] * b[0]
    return c


@njit()
def _axes(centre):
    """Unit vectors to the East and North of a direction; at a pole those that belong to RA 0."""
    east = np.zeros(3)
    rho = np.sqrt(centre[0] ** 2 + centre[1] ** 2)
    if rho < AT_THE_POLE:
        east[1] = 1.0
    else:
        east[0], east[1] = -centre[1] / rho, centre[0] / rho
    return east, _cross(centre, east)


@njit()
def _carry(centre, east, north, shift_x, shift_y):
    """Move a direction by standard coordinates (radians), and its axes along with it."""
    moved = centre + shift_x * east + shift_y * north
    centre[:] = moved / np.sqrt(np.sum(moved * moved))
    east -= np.sum(east * centre) * centre
    east /= np.sqrt(np.sum(east * east))
    north[:] = _cross(centre, east)


@njit()
def _turn(centre, east, north, cd):
    """Refer a CD matrix from the given axes to East and North; returns the cosine and sine."""
    true_east, _ = _axes(centre)
    cosine, sine = np.sum(true_east * east), np.sum(true_east * north)
    for column in range(2):
        c0, c1 = cd[0, column], cd[1, column]
        cd[0, column], cd[1, column] = cosine * c0 + sine * c1, cosine * c1 - sine * c0
    return cosine, sine


@njit()
def move_centre(centre, cd, shift):
    """Move a plate's centre by standard coordinates (radians); its CD matrix turns with it."""
    east, north = _axes(centre)
    _carry(centre, east, north, shift[0], shift[1])
    _turn(centre, east, north, cd)


@njit()
def first_guess(rotation, unit, parity):
    """Direction of the image's centre and CD matrix (``unit`` radians a pixel) of an attitude."""
    centre = rotation[:, 2].copy()
    cd = np.empty((2, 2))
    east, north = _axes(centre)
    for column in range(2):
        factor = unit * parity if column == 0 else unit
        cd[0, column] = factor * np.sum(east * rotation[:, column])
        cd[1, column] = factor * np.sum(north * rotation[:, column])
    return centre, cd


@njit()
def scale_and_elongation(cd):
    """Square root of a pixel's area, and the ratio of the matrix's singular values."""
    even = np.sqrt((cd[0, 0] + cd[1, 1]) ** 2 + (cd[1, 0] - cd[0, 1]) ** 2)
    odd = np.sqrt((cd[0, 0] - cd[1, 1]) ** 2 + (cd[1, 0] + cd[0, 1]) ** 2)
    largest, smallest = (even + odd) / 2, max(1e-30, abs(even - odd) / 2)
    return np.sqrt(largest * smallest), largest / smallest


@njit()
def fit_plate(  # noqa: C901 - one loop over passes, compiled as a whole
    dx, dy, xyz, weight, centre, cd, pair, residual
):
    """Match all stars and fit six constants, in passes of shrinking radius.

    The tangent point is kept at the image's centre: after each pass it moves to where the fit puts
    that centre. With fewer than six pairs the fit is a similarity (four constants).

    Parameters
    ----------
    dx, dy : ndarray, shape (n,)
        Image stars relative to the image's centre, pixels.
    xyz : ndarray, shape (m, 3)
        Catalogue unit vectors.
    weight : ndarray, shape (m,)
        Inverse variance of each catalogue star as seen in this image.
    centre : ndarray, shape (3,)
        In: first guess of the centre's direction. Out: the fitted one.
    cd : ndarray, shape (2, 2)
        In: first guess, radians a pixel. Out: the fitted matrix.
    pair : ndarray of int64, shape (n,)
        Out: catalogue row in ``xyz`` of each star, -1 for none.
    residual : ndarray, shape (n, 2)
        Out: image minus catalogue, radians.

    Returns
    -------
    int
        Number of pairs.
    """
    n, m = dx.shape[0], xyz.shape[0]
    arcsec = np.pi / 648000.0
    plane = np.empty((m, 2))
    owner = np.empty(m, np.int64)
    distance = np.empty(n)
    n_pairs = 0
    # The axes are carried along as the centre moves: near a pole, East turns with every step.
    east, north = _axes(centre)
    for step in range(N_PASSES):
        for s in range(m):
            z = xyz[s, 0] * centre[0] + xyz[s, 1] * centre[1] + xyz[s, 2] * centre[2]
            plane[s, 0] = (xyz[s, 0] * east[0] + xyz[s, 1] * east[1] + xyz[s, 2] * east[2]) / z
            plane[s, 1] = (xyz[s, 0] * north[0] + xyz[s, 1] * north[1] + xyz[s, 2] * north[2]) / z
            owner[s] = -1
        share = step / (N_PASSES - 1.0)
        radius = (FIRST_RADIUS_ARCSEC + share * (LAST_RADIUS_ARCSEC - FIRST_RADIUS_ARCSEC)) * arcsec
        if step > 0 and n_pairs >= 8:
            spread = np.sort(distance[:n_pairs])[n_pairs // 2]
            radius = min(radius, max(1.2 * arcsec, 3.5 * spread))
        for t in range(n):
            px = cd[0, 0] * dx[t] + cd[0, 1] * dy[t]
            py = cd[1, 0] * dx[t] + cd[1, 1] * dy[t]
            best, where = radius * radius, -1
            for s in range(m):
                d2 = (plane[s, 0] - px) ** 2 + (plane[s, 1] - py) ** 2
                if d2 < best:
                    best, where = d2, s
            pair[t] = where
            residual[t, 0] = best
            if where >= 0:
                rival = owner[where]
                if rival < 0 or residual[rival, 0] > best:
                    if rival >= 0:
                        pair[rival] = -1
                    owner[where] = t
                else:
                    pair[t] = -1
        # Normal equations of xi = p0 + p1 dx + p2 dy, eta = q0 + q1 dx + q2 dy.
        normal = np.zeros((3, 3))
        right = np.zeros((3, 2))
        n_pairs = 0
        for t in range(n):
            if pair[t] < 0:
                continue
            n_pairs += 1
            w = weight[pair[t]]
            row = (1.0, dx[t] / 1000.0, dy[t] / 1000.0)
            for a in range(3):
                for b in range(3):
                    normal[a, b] += w * row[a] * row[b]
                right[a, 0] += w * row[a] * plane[pair[t], 0]
                right[a, 1] += w * row[a] * plane[pair[t], 1]
        if n_pairs < 3:
            return n_pairs
        if n_pairs >= MIN_FOR_AFFINE:
            normal[1, 1] += 1e-9 * normal[0, 0]
            normal[2, 2] += 1e-9 * normal[0, 0]
            solution = np.linalg.solve(normal, right)
            shift_x, shift_y = solution[0, 0], solution[0, 1]
            cd[0, 0], cd[0, 1] = solution[1, 0] / 1000.0, solution[2, 0] / 1000.0
            cd[1, 0], cd[1, 1] = solution[1, 1] / 1000.0, solution[2, 1] / 1000.0
        else:
            shift_x, shift_y = _fit_similarity(dx, dy, plane, weight, pair, cd)
        k = 0
        for t in range(n):
            if pair[t] >= 0:
                residual[t, 0] = shift_x + cd[0, 0] * dx[t] + cd[0, 1] * dy[t] - plane[pair[t], 0]
                residual[t, 1] = shift_y + cd[1, 0] * dx[t] + cd[1, 1] * dy[t] - plane[pair[t], 1]
                distance[k] = np.sqrt(residual[t, 0] ** 2 + residual[t, 1] ** 2)
                k += 1
        _carry(centre, east, north, shift_x, shift_y)
    cosine, sine = _turn(centre, east, north, cd)
    for t in range(n):
        r0, r1 = residual[t, 0], residual[t, 1]
        residual[t, 0], residual[t, 1] = cosine * r0 + sine * r1, cosine * r1 - sine * r0
    return n_pairs


@njit()
def _fit_similarity(dx, dy, plane, weight, pair, cd):
    """Shift, rotation and scale with the parity that ``cd`` has; returns the shift."""
    sign = 1.0 if cd[0, 0] * cd[1, 1] - cd[0, 1] * cd[1, 0] > 0 else -1.0
    total = mx = my = mp = mq = 0.0
    for t in range(dx.shape[0]):
        if pair[t] >= 0:
            w = weight[pair[t]]
            total += w
            mx += w * dx[t]
            my += w * dy[t] * sign
            mp += w * plane[pair[t], 0]
            mq += w * plane[pair[t], 1]
    mx, my, mp, mq = mx / total, my / total, mp / total, mq / total
    dot = cross = square = 0.0
    for t in range(dx.shape[0]):
        if pair[t] >= 0:
            w = weight[pair[t]]
            x, y = dx[t] - mx, dy[t] * sign - my
            p, q = plane[pair[t], 0] - mp, plane[pair[t], 1] - mq
            dot += w * (x * p + y * q)
            cross += w * (x * q - y * p)
            square += w * (x * x + y * y)
    c, s = dot / square, cross / square
    cd[0, 0], cd[0, 1] = c, -s * sign
    cd[1, 0], cd[1, 1] = s, c * sign
    return mp - (c * mx - s * my), mq - (s * mx + c * my)


def fit_sip(
    dx: NDArray[np.float64],
    dy: NDArray[np.float64],
    standard_deg: NDArray[np.float64],
    shape: tuple[int, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64], Sip] | None:
    """Linear part and quadratic distortion together, if the stars justify the distortion.

    Justified means: at least 40 stars, and a Bayesian information criterion (Schwarz 1978) that six
    more constants lower by 10 at least.

    Parameters
    ----------
    dx, dy : ndarray, shape (n,)
        Matched stars relative to the centre, pixels.
    standard_deg : ndarray, shape (n, 2)
        Where the catalogue has them in the tangent plane, degrees.
    shape : tuple of int
        ``(ny, nx)``: the way back is fitted over this field.

    Returns
    -------
    tuple or None
        Standard coordinates of the centre (degrees), the CD matrix and the distortion.
    """
    n = len(dx)
    if n < MIN_FOR_SIP:
        return None
    size = max(shape) / 2
    u, v = dx / size, dy / size
    base = _quadratic(u, v)
    linear, *_ = np.linalg.lstsq(base[:, :3], standard_deg, rcond=None)
    whole = np.asarray(np.linalg.lstsq(base, standard_deg, rcond=None)[0], dtype=np.float64)
    before = np.sum((standard_deg - base[:, :3] @ linear) ** 2)
    after = np.sum((standard_deg - base @ whole) ** 2)
    if 2 * n * np.log(before / max(after, 1e-30)) < 6 * np.log(2 * n) + 10.0:
        return None
    cd = whole[1:3].T / size
    bent = np.linalg.solve(cd, whole[3:].T) / size**2  # pixels, rows a and b
    gv, gu = np.mgrid[-1:1:21j, -1:1:21j]
    grid = np.stack([gu.ravel() * shape[1] / 2, gv.ravel() * shape[0] / 2])
    moved = grid + bent @ _quadratic(*grid)[:, 3:].T
    back, *_ = np.linalg.lstsq(_quadratic(*(moved / size)), (grid - moved).T, rcond=None)
    a, b, ap, bp = (np.zeros((3, 3)) for _ in range(4))
    for matrix, row in ((a, 0), (b, 1)):
        matrix[2, 0], matrix[1, 1], matrix[0, 2] = bent[row]
    for matrix, column in ((ap, 0), (bp, 1)):
        matrix[0, 0] = back[0, column]
        matrix[1, 0], matrix[0, 1] = back[1:3, column] / size
        matrix[2, 0], matrix[1, 1], matrix[0, 2] = back[3:, column] / size**2
    return whole[0], cd, Sip(a, b, ap, bp)


def _quadratic(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)
