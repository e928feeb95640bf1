"""The limits that a file must keep to be looked at: one place, each with its unit and reason."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DoorLimits"]


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """What the door lets in.

    Attributes
    ----------
    max_cards : int
        Cards of one header. A Seestar writes 41; a solved and heavily commented one a few hundred.
    min_axis_px, max_axis_px : int
        Length of an image axis. The largest on-board mosaics are a few thousand pixels wide.
    max_planes : int
        Colour planes.
    max_data_bytes : int
        Pixel data of one image.
    max_trailing_bytes : int
        Bytes behind the image (padding, small extensions), which are ignored.
    """

    max_cards: int = 2000
    min_axis_px: int = 16
    max_axis_px: int = 16_384
    max_planes: int = 3
    max_data_bytes: int = 512 * 1024 * 1024
    max_trailing_bytes: int = 1024 * 1024
