"""Everything that can be tuned between a folder of frames and its stacks, in one place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from crowdsky.errors import SettingsError
from crowdsky.stacking import StackSettings
from crowdsky.stars import DetectionSettings

__all__ = ["FrameLimits", "Recipe"]


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """When a whole frame is left out of a stack.

    Limits with ``worse`` in their name compare with the good quarter of the block: the seeing and
    the shape of a telescope's stars are its own, a bad frame is worse than its fellows.

    Attributes
    ----------
    least_stars : int
        Detections that look like stars.
    most_saturated : float
        Share of saturated pixels.
    most_zero : float
        Share of pixels at zero, in every colour at once (one colour may be clipped by a dark sky).
    most_fwhm_px, most_elongation : float
        Absolute limits on the median star.
    fwhm_worse, elongation_worse : float
        Factor on the good quarter's.
    least_transparency : float
        Flux of the stars, relative to the good quarter's.
    most_registration_rms_px : float
        Misfit of the stars on the reference's.
    """

    least_stars: int = 5
    most_saturated: float = 0.2
    most_zero: float = 0.5
    most_fwhm_px: float = 12.0
    most_elongation: float = 3.0
    fwhm_worse: float = 1.6
    elongation_worse: float = 1.4
    least_transparency: float = 0.4
    most_registration_rms_px: float = 1.5


@dataclass(frozen=True, slots=True)
class Recipe:
    """How blocks are made and stacked.

    Attributes
    ----------
    limits : FrameLimits
    detection : DetectionSettings
    stacking : StackSettings
    registration_stars : int
        Stars kept of each frame: enough to register and to scale, few enough that thousands of
        frames fit in memory.
    exact_site : bool
        Write the observing site as the telescope did, instead of rounded to 0.1 degree.
    preview_suffix : str
        ``".webp"`` or ``".png"``.
    """

    limits: FrameLimits = field(default_factory=FrameLimits)
    detection: DetectionSettings = field(default_factory=lambda: DetectionSettings(max_stars=150))
    stacking: StackSettings = field(default_factory=StackSettings)
    registration_stars: int = 100
    exact_site: bool = False
    preview_suffix: str = ".webp"

    def __post_init__(self) -> None:
        if self.preview_suffix not in (".webp", ".png"):
            raise SettingsError("a preview is .webp or .png", value=self.preview_suffix)
        if self.registration_stars < 10:
            raise SettingsError(
                "registration needs ten stars or more", value=self.registration_stars
            )

    def digest(self) -> str:
        """A short key that changes with every setting."""
        return hashlib.blake2b(repr(self).encode(), digest_size=8).hexdigest()
