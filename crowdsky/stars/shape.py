"""Widths, elongations, and which detections have the shape of the frame's stars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit
from crowdsky.stars.centroid import LOST, SATURATED, SHARP, VXX, VXY, VYY

__all__ = ["FWHM_PER_SIGMA", "Profile", "axes_px", "is_starlike", "typical_profile"]

#: Full width at half maximum of a Gaussian in units of its standard deviation.
FWHM_PER_SIGMA = 2.3548200450309493

#: A spot narrower than this on the sensor is not the image of a star through a lens.
MIN_FWHM_PX = 1.2
#: Stars longer than this are trailed; pieces of a satellite trail are.
_ROUND = 2.2


class Profile(NamedTuple):
    """The profile that the stars of one frame share: variances along x and y, and covariance."""

    vxx_px2: float
    vyy_px2: float
    vxy_px2: float

    @property
    def fwhm_px(self) -> float:
        """Full width at half maximum: geometric mean of the two axes."""
        det = self.vxx_px2 * self.vyy_px2 - self.vxy_px2**2
        return FWHM_PER_SIGMA * float(det**0.25)

    @property
    def elongation(self) -> float:
        """Ratio of the long axis to the short one."""
        _, ratio = axes_px(
            np.array([self.vxx_px2]), np.array([self.vyy_px2]), np.array([self.vxy_px2])
        )
        return float(ratio[0])


def axes_px(
    vxx: NDArray[np.float64], vyy: NDArray[np.float64], vxy: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return FWHM (geometric mean of the axes, pixels) and axis ratio a/b of Gaussian moments.

    Parameters
    ----------
    vxx, vyy, vxy : ndarray of float64, shape (n,)
        Variances and covariance in pixel^2.
    """
    mean = 0.5 * (vxx + vyy)
    gap = np.sqrt(0.25 * (vxx - vyy) ** 2 + vxy * vxy)
    minor = np.maximum(mean - gap, 1e-3)
    major = mean + gap
    return FWHM_PER_SIGMA * np.sqrt(np.sqrt(minor * major)), np.sqrt(major / minor)


@njit()
def _sort(values: NDArray[np.float64]) -> None:
    """Sort a few dozen numbers in place, by insertion."""
    for k in range(1, len(values)):
        value = values[k]
        place = k
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@njit()
def _half_sample_mode(ordered: NDArray[np.float64]) -> float:
    """Mode of a small sorted sample: the densest half, of that the densest half, and so on.

    Bickel & Frühwirth (2006, Comput. Stat. Data Anal. 50, 3500). Unlike the median it stays with
    the stars when most detections are pieces of a trail or of a nebula.
    """
    start = 0
    n = len(ordered)
    while n > 3:
        half = (n + 1) // 2
        best = start
        for k in range(start, start + n - half + 1):
            if ordered[k + half - 1] - ordered[k] < ordered[best + half - 1] - ordered[best]:
                best = k
        start = best
        n = half
    total = 0.0
    for k in range(start, start + n):
        total += ordered[k]
    return total / n


@njit()
def _log_fwhm(row: NDArray[np.float64], leniency: int) -> float:
    """Logarithm of the FWHM of a fit; -inf where it should not be asked what a star looks like."""
    if row[SHARP] > 0 or row[LOST] > 0 or (row[SATURATED] > 0 and leniency < 2):
        return -np.inf
    mean = 0.5 * (row[VXX] + row[VYY])
    gap = np.sqrt(0.25 * (row[VXX] - row[VYY]) ** 2 + row[VXY] ** 2)
    major = mean + gap
    minor = max(mean - gap, 1e-3)
    if leniency == 0 and major > _ROUND**2 * minor:
        return -np.inf
    fwhm = FWHM_PER_SIGMA * (major * minor) ** 0.25
    return np.log(fwhm) if fwhm >= MIN_FWHM_PX else -np.inf


@njit()
def _typical_moments(table: NDArray[np.float64]) -> tuple[float, float, float, int]:
    logs = np.empty(len(table))
    n = 0
    leniency = 0
    # Round ones that are not burnt out; where there are none of these, others will have to do.
    for leniency in range(3):
        n = 0
        for k in range(len(table)):
            value = _log_fwhm(table[k], leniency)
            if value > -np.inf:
                logs[n] = value
                n += 1
        if n >= 3:
            break
    if n == 0:
        return 0.0, 0.0, 0.0, 0
    ordered = logs[:n]
    _sort(ordered)
    few = max(4, int(0.15 * n))
    mode = _half_sample_mode(ordered)
    while True:
        narrower = 0
        while ordered[narrower] < mode - 0.5:
            narrower += 1
        # Nothing in the sky is narrower than a star: a second, narrower kind is the stars.
        if narrower < few:
            break
        ordered = ordered[:narrower]
        mode = _half_sample_mode(ordered)
    moments = np.empty((3, len(table)))
    n_near = 0
    for k in range(len(table)):
        if abs(_log_fwhm(table[k], leniency) - mode) < 0.25:
            moments[0, n_near] = table[k, VXX]
            moments[1, n_near] = table[k, VYY]
            moments[2, n_near] = table[k, VXY]
            n_near += 1
    if n_near == 0:
        return 0.0, 0.0, 0.0, 0
    for m in range(3):
        _sort(moments[m, :n_near])
    middle = n_near // 2
    return (
        moments[0, middle],
        moments[1, middle],
        moments[2, middle],
        n_near if leniency == 0 else 0,
    )


def typical_profile(table: NDArray[np.float64]) -> tuple[Profile, int]:
    """Profile that the stars among the brightest detections share.

    Parameters
    ----------
    table : ndarray of float64, shape (n, N_COLUMNS)
        Fits of the brightest detections (see `crowdsky.stars.centroid.fit_stars`).

    Returns
    -------
    Profile
        Medians over the round, unsaturated fits of the commonest width; a star of 2.9 pixels where
        no fit is of use.
    int
        How many fits it rests on; 0 where none was round and unsaturated.
    """
    vxx, vyy, vxy, n = _typical_moments(table)
    return (Profile(vxx, vyy, vxy) if vxx > 0 else Profile(1.5, 1.5, 0.0)), n


def is_starlike(
    fwhm_px: NDArray[np.float64],
    elongation: NDArray[np.float64],
    snr: NDArray[np.float64],
    saturated: NDArray[np.bool_],
    profile: Profile,
) -> NDArray[np.bool_]:
    """Whether each detection is as wide and as round as the frame's stars, within its errors.

    Parameters
    ----------
    fwhm_px, elongation, snr : ndarray of float64, shape (n,)
        Shape of each detection and its signal-to-noise ratio.
    saturated : ndarray of bool, shape (n,)
        Burnt-out stars may be wider: only their wings were fitted.
    profile : Profile
        What the stars of the frame look like.
    """
    # The relative error of a fitted width is about 1 / SNR; three of them are allowed for.
    slack = 3.0 / np.maximum(snr, 3.0)
    ratio = fwhm_px / profile.fwhm_px
    widest = np.where(saturated, 2.2, 1.4 + slack)
    narrowest = np.where(saturated, 0.4, 0.55)
    longest = np.maximum(1.5, 1.35 * profile.elongation) * (1.0 + slack)
    result: NDArray[np.bool_] = (
        (ratio < widest) & (ratio > narrowest) & (elongation < longest) & (fwhm_px >= MIN_FWHM_PX)
    )
    return result
