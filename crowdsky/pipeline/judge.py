"""Which frames are too bad to be averaged in, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crowdsky.pipeline.measure import MeasuredFrame
from crowdsky.pipeline.recipe import FrameLimits

__all__ = ["judge_alone", "judge_among", "judge_transparency"]

FEWEST_FOR_COMPARISON = 4
FEWEST_TO_BE_TRAILED = 20


def judge_alone(frame: MeasuredFrame, limits: FrameLimits) -> str:
    """Reason to reject a frame by its own figures; empty if there is none."""
    quality = frame.quality
    if quality.saturated_fraction > limits.most_saturated:
        return (
            f"saturated: {quality.saturated_fraction:.0%} of the pixels are at the sensor's limit,"
            f" at most {limits.most_saturated:.0%} may be"
        )
    zero = min(quality.zero_fraction)
    if zero > limits.most_zero:
        return f"black: {zero:.0%} of the pixels are zero, at most {limits.most_zero:.0%} may be"
    # Of all detections, not of those that look like stars: few trailed ones do, and they mislead.
    # A handful may be anything.
    elongation = float(np.median(frame.stars.elongation)) if len(frame.stars) else np.nan
    elongation = float(np.fmax(elongation, quality.elongation))
    if quality.n_stars >= FEWEST_TO_BE_TRAILED and elongation > limits.most_elongation:
        return (
            f"trailed: stars are {elongation:.1f} times as long as wide, at most"
            f" {limits.most_elongation:g} may be"
        )
    if quality.n_starlike < limits.least_stars:
        return (
            f"too few stars: {quality.n_starlike} look like stars, at least {limits.least_stars}"
            " are needed (clouds, or not the sky)"
        )
    if not np.isfinite(quality.fwhm_px):
        return f"saturated: none of its {quality.n_starlike} stars can be measured"
    if quality.fwhm_px > limits.most_fwhm_px:
        return (
            f"out of focus or trailed: stars are {quality.fwhm_px:.1f} px wide, at most"
            f" {limits.most_fwhm_px:g} px may be"
        )
    return ""


def judge_among(frames: Sequence[MeasuredFrame], limits: FrameLimits) -> list[str]:
    """Reasons to reject frames by comparison with the good quarter of the block."""
    if len(frames) < FEWEST_FOR_COMPARISON:
        return [""] * len(frames)
    fwhm = np.array([frame.quality.fwhm_px for frame in frames])
    elongation = np.array([frame.quality.elongation for frame in frames])
    good_fwhm = float(np.nanquantile(fwhm, 0.25))
    good_elongation = float(np.nanquantile(elongation, 0.25))
    reasons = []
    for width, length in zip(fwhm, elongation, strict=True):
        if length > max(limits.elongation_worse * good_elongation, 1.5):
            reasons.append(
                f"trailed: stars are {length:.2f} times as long as wide, the block's good frames"
                f" have {good_elongation:.2f}"
            )
        elif width > limits.fwhm_worse * good_fwhm:
            reasons.append(
                f"out of focus or poor seeing: stars are {width:.1f} px wide, the block's good"
                f" frames have {good_fwhm:.1f} px"
            )
        else:
            reasons.append("")
    return reasons


def judge_transparency(scales: Sequence[float], limits: FrameLimits) -> list[str]:
    """Reasons to reject frames whose stars are too faint, from the factors on their fluxes."""
    if len(scales) < 2:
        return [""] * len(scales)
    transparency = 1.0 / np.asarray(scales)
    good = float(np.quantile(transparency, 0.75))
    return [
        f"clouds: stars have {value / good:.0%} of the flux in the block's good frames, at least"
        f" {limits.least_transparency:.0%} is needed"
        if value < limits.least_transparency * good
        else ""
        for value in transparency
    ]
