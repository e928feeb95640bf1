"""Flux scales and weights of frames, from their stars.

A frame's flux scale comes from the fluxes of its stars, never from its background: sky brightness
and its dispersion change with the moon and not with the transparency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdsky.errors import StackError

__all__ = ["FluxScale", "common_scales", "flux_scale", "point_source_weights"]

#: A scale closer to one than this many of its standard errors is one.
_SIGNIFICANT_SIGMA = 2.0


@dataclass(frozen=True, slots=True)
class FluxScale:
    """Factor that puts a frame's fluxes on the reference's scale.

    Attributes
    ----------
    scale : float
        Reference flux over frame flux; exactly 1 where the difference is not significant.
    error : float
        Its standard error (infinite where too few stars are paired).
    n_pairs : int
        Stars behind it.
    """

    scale: float
    error: float
    n_pairs: int


def flux_scale(
    reference_flux_adu: ArrayLike,
    flux_adu: ArrayLike,
    *,
    usable: ArrayLike | None = None,
    least: int = 5,
    most: int = 40,
) -> FluxScale:
    """Median ratio of the fluxes of paired stars.

    Parameters
    ----------
    reference_flux_adu, flux_adu : array_like, shape (n,)
        Fluxes of the same stars in the reference and in the frame.
    usable : array_like of bool, shape (n,), optional
        Pairs to consider (leave out saturated stars).
    least, most : int
        Fewer pairs than `least` tell nothing; of more than `most` only the brightest count.

    Returns
    -------
    FluxScale
    """
    reference = np.asarray(reference_flux_adu, dtype=np.float64)
    flux = np.asarray(flux_adu, dtype=np.float64)
    good = np.isfinite(reference) & np.isfinite(flux) & (reference > 0) & (flux > 0)
    if usable is not None:
        good &= np.asarray(usable, dtype=bool)
    reference, flux = reference[good], flux[good]
    if len(reference) < least:
        return FluxScale(1.0, float("inf"), len(reference))
    brightest = np.argsort(-reference, kind="stable")[:most]
    ratio = reference[brightest] / flux[brightest]
    median = float(np.median(ratio))
    spread = float(np.median(np.abs(ratio - median))) / 0.6745
    # the standard error of a median is 1.2533 times that of a mean
    error = 1.2533 * spread / np.sqrt(len(ratio))
    if abs(median - 1.0) <= _SIGNIFICANT_SIGMA * error:
        return FluxScale(1.0, float(error), len(ratio))
    return FluxScale(median, float(error), len(ratio))


def common_scales(scales: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """Move scales from the reference's to the mean frame's.

    With these factors the flux of a star in the weighted mean of the scaled frames equals the
    weighted mean of its fluxes in the single frames: no frame's accidental transparency sets the
    zero point.

    Parameters
    ----------
    scales : array_like, shape (n,)
        Relative to one reference (`flux_scale`).
    weights : array_like, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    s = np.asarray(scales, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    if not (np.all(np.isfinite(s)) and np.all(s > 0)):
        raise StackError("flux scales are finite and positive", value=s.tolist())
    return s * float(np.sum(w / s) / np.sum(w))


def point_source_weights(
    scales: ArrayLike,
    noise_adu: ArrayLike,
    fwhm_px: ArrayLike | None = None,
    *,
    range_limit: float = 10.0,
) -> NDArray[np.float64]:
    """Weights that maximise the signal to noise of point sources in a weighted mean.

    Each frame, once scaled, is weighted by the inverse variance of a star's flux measured on it:
    ``1 / (scale * noise * FWHM)^2``, the sky under the star being proportional to FWHM squared
    (Zackay & Ofek 2017, ApJ 836, 187, eq. 20 for direct coaddition).

    Parameters
    ----------
    scales : array_like, shape (n,)
        Flux scales; the inverse of the transparency.
    noise_adu : array_like, shape (n,)
        Pixel noise of the unscaled frames.
    fwhm_px : array_like, shape (n,), optional
        Seeing of each frame; not used where not finite.
    range_limit : float
        Largest ratio of a weight to the median weight, either way.

    Returns
    -------
    ndarray of float64, shape (n,)
        With a mean of one.
    """
    s = np.asarray(scales, dtype=np.float64)
    noise = np.asarray(noise_adu, dtype=np.float64)
    known = np.isfinite(noise) & (noise > 0)
    noise = np.where(known, noise, np.median(noise[known]) if known.any() else 1.0)
    width = np.ones_like(s)
    if fwhm_px is not None:
        f = np.asarray(fwhm_px, dtype=np.float64)
        seen = np.isfinite(f) & (f > 0)
        if seen.any():
            width = np.where(seen, f, np.median(f[seen]))
    weights = 1.0 / (s * noise * width) ** 2
    middle = float(np.median(weights))
    weights = np.clip(weights, middle / range_limit, middle * range_limit)
    return np.asarray(weights / weights.mean())


def pair_fluxes(
    reference_flux: Sequence[float] | NDArray[np.float64],
    flux: Sequence[float] | NDArray[np.float64],
    pairs: NDArray[np.integer],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fluxes of paired stars; in `pairs` the index in the reference comes first."""
    places = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    return (
        np.asarray(reference_flux, dtype=np.float64)[places[:, 0]],
        np.asarray(flux, dtype=np.float64)[places[:, 1]],
    )
