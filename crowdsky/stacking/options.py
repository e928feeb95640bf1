"""What a stack can be told to do, each number with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass

from crowdsky.errors import SettingsError

__all__ = ["StackSettings"]


@dataclass(frozen=True, slots=True)
class StackSettings:
    """Tunables of the stacker.

    Attributes
    ----------
    n_reference : int
        Frames (spread over the block) whose median is the reference that outliers are told from.
        Bounds the memory: each costs six bytes a pixel while the reference is made.
    reject_sigma : float
        A value further than this many noise sigmas from the reference is rejected, *plus* the
        gradient allowance below. Zero turns rejection off.
    reject_sigma_few : float
        The same for blocks of two or three frames, where the reference is itself noisy.
    gradient_allowance : float
        Multiple of the local range of the reference (largest minus smallest value within a pixel,
        two for red and blue) added to the threshold, so that seeing, registration and the sampling
        of the Bayer cell do not clip stars.
    grow_px : int
        Rejected pixels take their neighbours within this distance with them (wings of trails); 0-2.
    hot_sigma : float
        Excess over the same-colour neighbours, in noise sigmas of the median raw frame, from
        which a pixel is a candidate for a hot (or cold) pixel.
    hot_neighbour_ratio : float
        A candidate whose direct neighbours rise by more than this fraction of its own excess is
        the image of a star and stays.
    cubic_a : float
        Parameter of the cubic convolution kernel. -0.5 is Keys'; at -0.8 stars are as narrow as
        with Lanczos-4, which costs six times as much.
    sky_order : int
        Order (0, 1 or 2) of the polynomial that matches a frame's sky to the reference's.
    n_pattern : int
        Frames (spread over the block) from which the sensor's fixed pattern is learned; they are
        read a second time. Fewer than 8 turn it off, and it is off by default: in dithered blocks
        it raises the signal to noise of stars by one per cent and costs a tenth of the time more.
    max_rejected_fraction : float
        A frame that loses more of its pixels than this is reported as suspect.
    """

    n_reference: int = 7
    reject_sigma: float = 4.5
    reject_sigma_few: float = 6.0
    gradient_allowance: float = 1.5
    grow_px: int = 1
    hot_sigma: float = 6.0
    hot_neighbour_ratio: float = 0.2
    cubic_a: float = -0.8
    sky_order: int = 2
    n_pattern: int = 0
    max_rejected_fraction: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.n_reference <= 15:
            raise SettingsError("n_reference is between 1 and 15", value=self.n_reference)
        if self.sky_order not in (0, 1, 2):
            raise SettingsError("sky_order is 0, 1 or 2", value=self.sky_order)
        if self.grow_px not in (0, 1, 2):
            raise SettingsError("grow_px is 0, 1 or 2", value=self.grow_px)
        if self.reject_sigma < 0 or self.reject_sigma_few < 0:
            raise SettingsError("rejection thresholds are not negative", value=self.reject_sigma)
        if not -1.0 <= self.cubic_a <= 0.0:
            raise SettingsError("cubic_a is between -1 and 0", value=self.cubic_a)
