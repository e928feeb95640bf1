"""Learn the sensor's fixed pattern from frames read once more, and take it out of the stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import FrameError
from crowdsky.stacking.accumulate import EXTRA_UNIT_ADU
from crowdsky.stacking.fixed_pattern import (
    LEAST_FRAMES,
    add_pattern,
    add_residuals,
    mask_model,
    shrunk_pattern,
    subtract_mean,
)
from crowdsky.stacking.inputs import FrameInput
from crowdsky.stacking.mosaic import HotPixels, bayer_planes, mend, same_colour_noise
from crowdsky.stacking.options import StackSettings
from crowdsky.stacking.resample import EDGE_PX, Placement

__all__ = ["Added", "remove_pattern", "spread"]


def spread(n: int, k: int) -> list[int]:
    """Places of k items spread evenly over n."""
    if k >= n:
        return list(range(n))
    return [round((i + 0.5) * n / k - 0.5) for i in range(k)]


@dataclass(frozen=True)
class Added:
    """A frame that is in the mean: how it was laid there.

    Attributes
    ----------
    frame : FrameInput
    placement : Placement
    weight : float
        Normalised.
    sky : ndarray of float64, shape (3, 6)
        The polynomial it lost.
    """

    frame: FrameInput
    placement: Placement
    weight: float
    sky: NDArray[np.float64]


def remove_pattern(
    stack: NDArray[np.float32],
    scratch: NDArray[np.float32],
    extra: NDArray[np.uint16],
    added: Sequence[Added],
    mean_sky: NDArray[np.float64],
    bad: HotPixels,
    red: tuple[int, int],
    settings: StackSettings,
) -> float:
    """Take the mean of the fixed pattern over the frames out of a finished stack, in place.

    Parameters
    ----------
    stack : ndarray of float32, shape (3, ny, nx)
    scratch : ndarray of float32, shape (3, ny, nx)
        Overwritten.
    extra : ndarray of uint16, shape (3, ny, nx)
        Allowance of the rejection: tells where the stack is no model of a frame.
    added : sequence of Added
    mean_sky : ndarray of float64, shape (3, 6)
        Given back to the stack.
    bad : ndarray of int64
        Hot pixels.
    red : tuple of int
        Site of the red pixel.
    settings : StackSettings

    Returns
    -------
    float
        Standard deviation of the pattern found, ADU; 0 where none was or none was looked for.
    """
    if min(settings.n_pattern, len(added)) < LEAST_FRAMES:
        return 0.0
    total = count = np.zeros((0, 0), np.float32)
    squares = limit = 0.0
    for j in spread(len(added), settings.n_pattern):
        one = added[j]
        try:
            mosaic = one.frame.load()
        except FrameError:
            continue  # it was there a moment ago; the others show its pattern too
        mend(mosaic, bad)
        if not limit:
            total, count = np.zeros(mosaic.shape, np.float32), np.zeros(mosaic.shape, np.float32)
            limit = 4.0 * same_colour_noise(mosaic)
            mask_model(stack, extra, limit / EXTRA_UNIT_ADU, scratch)
        forward = Placement.of(one.frame.matrix, (stack.shape[1], stack.shape[2]))
        squares += add_residuals(
            mosaic, red[0], red[1], forward.turn(scratch), forward.inverse, settings.cubic_a,
            EDGE_PX, one.frame.scale, one.sky - mean_sky, limit, total, count,
        )  # fmt: skip
    pattern, rms = shrunk_pattern(total, count, squares)
    if pattern is None:
        return rms
    planes = np.empty((3, *pattern.shape), np.float32)
    bayer_planes(pattern, red[0], red[1], planes)
    scratch[:] = 0.0
    for one in added:
        place = one.placement
        add_pattern(
            place.turn(planes), place.inverse, EDGE_PX, one.weight * one.frame.scale, scratch
        )
    subtract_mean(scratch, *as_arrays(added), EDGE_PX, stack)
    return rms


def as_arrays(
    added: Sequence[Added],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Transforms (n, 2, 3), shapes (n, 2) and weights (n,) of the frames in a mean."""
    return (
        np.array([one.placement.inverse for one in added]),
        np.array([one.placement.shape for one in added], dtype=np.int64),
        np.array([one.weight for one in added]),
    )
