"""What goes into a stack, and what comes out: frames, their figures, the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import StackError
from crowdsky.stacking.resample import invert_affine

__all__ = ["FrameFigures", "FrameInput", "StackedImage", "check_frame"]

_UNKNOWN = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class FrameInput:
    """One frame to be stacked.

    Attributes
    ----------
    source : Path or callable
        A raw frame on disk, or a function that returns its mosaic (uint16, shape (ny, nx)); it is
        called once or twice and its result may be changed in place.
    matrix : ndarray of float64, shape (2, 3)
        Maps the frame's pixels (x, y) to the reference's.
    scale : float
        Flux scale: frame times scale is on the common flux scale (see `crowdsky.stacking.scale`).
    weight : float
        Relative weight (see `crowdsky.stacking.scale`).
    label : str
        Names the frame in figures and errors, and orders the frames, so that the result does not
        depend on the order in which they were given.
    """

    source: Path | Callable[[], NDArray[np.uint16]]
    matrix: NDArray[np.float64]
    scale: float = 1.0
    weight: float = 1.0
    label: str = ""

    def load(self) -> NDArray[np.uint16]:
        """The mosaic, writable."""
        if callable(self.source):
            mosaic = self.source()
        else:
            from crowdsky.frames import read_frame

            mosaic = read_frame(self.source).mosaic
        mosaic = np.ascontiguousarray(mosaic, dtype=np.uint16)
        return mosaic if mosaic.flags.writeable else mosaic.copy()

    @property
    def name(self) -> str:
        """The label, or the file's name."""
        if self.label:
            return self.label
        return "" if callable(self.source) else str(self.source)


@dataclass(frozen=True)
class FrameFigures:
    """What the stacker measured on one frame, for the ledger.

    Attributes
    ----------
    label : str
    used : bool
    reason : str
        Why it was not used, or what is suspect about it; empty when all is well.
    scale, weight : float
        As applied; weights are normalised to a mean of one.
    sky_adu : tuple of float
        Mean sky of the frame's red, green and blue (ADU, unscaled).
    noise_adu : tuple of float
        Standard deviation of frame minus reference on empty sky (scaled).
    rejected_fraction : float
        Values rejected, of those it covers, worst colour.
    covered_fraction : float
        Part of the reference's pixels that it covers.
    """

    label: str
    used: bool
    reason: str = ""
    scale: float = 1.0
    weight: float = 0.0
    sky_adu: tuple[float, float, float] = _UNKNOWN
    noise_adu: tuple[float, float, float] = _UNKNOWN
    rejected_fraction: float = 0.0
    covered_fraction: float = 0.0


@dataclass(frozen=True)
class StackedImage:
    """The mean of a block.

    Attributes
    ----------
    planes : ndarray of float32, shape (3, ny, nx)
        Red, green, blue in ADU per sub; 0 where the footprint is 0.
    footprint : ndarray of int32, shape (ny, nx)
        Frames that cover each pixel.
    figures : tuple of FrameFigures
        In the order of the input.
    hot_pixels : int
        Sensor pixels mended.
    noise_adu : tuple of float
        Expected pixel noise of the mean per colour where every frame covers (ADU).
    pattern_adu : float
        Standard deviation of the sensor's fixed pattern, as far as the frames show it.
    """

    planes: NDArray[np.float32]
    footprint: NDArray[np.int32]
    figures: tuple[FrameFigures, ...]
    hot_pixels: int
    noise_adu: tuple[float, float, float]
    pattern_adu: float = 0.0

    @property
    def n_used(self) -> int:
        """Frames in the mean."""
        return sum(f.used for f in self.figures)


def check_frame(frame: FrameInput) -> None:
    """Refuse a weight, a flux scale or a transform that no registration gives.

    Raises
    ------
    StackError, RegistrationError
    """
    if not (np.isfinite(frame.weight) and frame.weight > 0):
        raise StackError("a weight is finite and positive", file=frame.name, value=frame.weight)
    if not (np.isfinite(frame.scale) and 1e-3 < frame.scale < 1e3):
        raise StackError(
            "a flux scale is between 0.001 and 1000", file=frame.name, value=frame.scale
        )
    invert_affine(frame.matrix)
