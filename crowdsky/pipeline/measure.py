"""One frame, looked at: its stars and its quality, or the reason why it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crowdsky.errors import CrowdSkyError
from crowdsky.frames import FrameHeader, read_frame
from crowdsky.pipeline.recipe import Recipe
from crowdsky.stars import FrameQuality, StarList, detect_stars, grade_frame

__all__ = ["MeasuredFrame", "measure_frame"]


@dataclass(frozen=True, slots=True)
class MeasuredFrame:
    """A frame's header with what its pixels say.

    Attributes
    ----------
    header : FrameHeader
    stars : StarList
        The first of its stars only.
    quality : FrameQuality
    """

    header: FrameHeader
    stars: StarList
    quality: FrameQuality

    @property
    def depth(self) -> float:
        """How faint a star the frame shows, up to a factor: flux over noise and area."""
        quality = self.quality
        noise = quality.noise_adu[1] * quality.fwhm_px
        return quality.flux_adu / noise if noise > 0 and np.isfinite(noise) else 0.0


def measure_frame(header: FrameHeader, recipe: Recipe) -> MeasuredFrame | str:
    """Read a frame, find and grade its stars.

    Returns
    -------
    MeasuredFrame or str
        The reason, where the file turns out not to be readable.
    """
    try:
        frame = read_frame(header.path)
        stars = detect_stars(frame.mosaic, header.bayer, settings=recipe.detection)
        quality = grade_frame(frame.mosaic, stars, header.bayer)
    except CrowdSkyError as error:
        return str(error)
    return MeasuredFrame(header, _first(stars, recipe.registration_stars), quality)


def _first(stars: StarList, n: int) -> StarList:
    """The first ``n`` stars, copied, so that the whole list can be let go."""
    columns = (
        "x_px", "y_px", "flux_adu", "fwhm_px", "elongation", "peak_adu", "snr", "saturated",
        "starlike",
    )  # fmt: skip
    return replace(stars, **{name: getattr(stars, name)[:n].copy() for name in columns})
