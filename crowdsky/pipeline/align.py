"""Lay the frames of a block on one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crowdsky.errors import RegistrationError
from crowdsky.pipeline.measure import MeasuredFrame
from crowdsky.stacking import FluxScale, flux_scale
from crowdsky.triangles import Registration, register_stars

__all__ = ["Alignment", "align"]

REFERENCES_TRIED = 3
GOOD_ENOUGH = 0.5  # share of the frames that a reference must hold


@dataclass(frozen=True, slots=True)
class Alignment:
    """Every frame on the reference.

    Attributes
    ----------
    reference : int
        Place of the reference in the list.
    registrations : list of Registration or str
        In the order of the frames; a string says why a frame could not be registered.
    scales : list of FluxScale or None
        Factors that bring each frame's fluxes to the reference's; None where not registered.
    """

    reference: int
    registrations: list[Registration | str]
    scales: list[FluxScale | None]


def align(frames: Sequence[MeasuredFrame], most_rms_px: float) -> Alignment:
    """Register all frames on the best one that holds at least half of them.

    Parameters
    ----------
    frames : sequence of MeasuredFrame
        In order of time; at least one.
    most_rms_px : float
        Largest misfit.

    Returns
    -------
    Alignment
    """
    best: Alignment | None = None
    best_held = -1
    for reference in _references(frames):
        found = [_register(frames[reference], frame, most_rms_px) for frame in frames]
        held = sum(isinstance(one, Registration) for one in found)
        if held > best_held:
            scales = [
                _scale(frames[reference], frame, one) if isinstance(one, Registration) else None
                for frame, one in zip(frames, found, strict=True)
            ]
            best, best_held = Alignment(reference, found, scales), held
        if held >= GOOD_ENOUGH * len(frames):
            break
    assert best is not None, "there is at least one frame"
    return best


def _references(frames: Sequence[MeasuredFrame]) -> list[int]:
    """Candidates: of the deeper half, those nearest the middle of the block."""
    depth = np.array([frame.depth for frame in frames])
    deep = np.flatnonzero(depth >= np.median(depth))
    order = np.argsort(np.abs(deep - (len(frames) - 1) / 2), kind="stable")
    return [int(i) for i in deep[order][:REFERENCES_TRIED]]


def _register(
    reference: MeasuredFrame, frame: MeasuredFrame, most_rms_px: float
) -> Registration | str:
    try:
        found = register_stars(reference.stars, frame.stars)
    except RegistrationError as error:
        return f"not on the reference: {error}"
    if found.rms_px > most_rms_px:
        return (
            f"not on the reference: stars miss by {found.rms_px:.2f} px, at most"
            f" {most_rms_px:g} px may be"
        )
    return found


def _scale(reference: MeasuredFrame, frame: MeasuredFrame, found: Registration) -> FluxScale:
    of_reference, of_frame = found.pairs[:, 0], found.pairs[:, 1]
    usable = ~reference.stars.saturated[of_reference] & ~frame.stars.saturated[of_frame]
    return flux_scale(
        reference.stars.flux_adu[of_reference], frame.stars.flux_adu[of_frame], usable=usable
    )
