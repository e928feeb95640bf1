"""One frame's header, interpreted: what every later step knows about a frame."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from crowdsky.frames.pointing import Pointing, julian_epoch
from crowdsky.frames.telescopes import TelescopeModel

__all__ = ["FrameHeader", "MountMode"]


class MountMode(Enum):
    """How the mount followed the sky; most firmware does not say."""

    ALTAZ = "altaz"
    EQUATORIAL = "equatorial"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """One frame's header, interpreted.

    Attributes
    ----------
    path : Path
    nx, ny, n_planes : int
        Image size in pixels, colour planes (1 raw, 3 stacked).
    bitpix : int
    bzero, bscale : float
    data_offset, file_bytes : int
    telescope : TelescopeModel
    telescope_id : str
        ``'S50_1d3fe189'``; the model's name where the telescope gives no serial, so that two such
        telescopes cannot be told apart.
    firmware, filter, target : str
        Empty if absent.
    exposure_s : float
        Of one sub, also in a stack.
    gain : float
        Camera units; NaN if absent.
    binning : int
    bayer : str
        Colour pattern with rows as stored.
    start_utc : datetime
        Aware; start of the exposure. In an on-board stack uncertain by the length of the session.
    mount : MountMode
    n_stacked : int
        1 for a sub; 0 for a stack of unknown depth.
    pointing : Pointing or None
        ``None`` if the header gives no usable position.
    site_lat_deg, site_lon_deg, ccd_temp_c : float
        NaN if absent.
    notes : tuple of str
        Odd values that were set aside, in plain words.
    """

    path: Path
    nx: int
    ny: int
    n_planes: int
    bitpix: int
    bzero: float
    bscale: float
    data_offset: int
    file_bytes: int
    telescope: TelescopeModel
    telescope_id: str
    firmware: str
    filter: str
    exposure_s: float
    gain: float
    binning: int
    bayer: str
    start_utc: datetime
    target: str
    mount: MountMode
    n_stacked: int
    pointing: Pointing | None
    site_lat_deg: float
    site_lon_deg: float
    ccd_temp_c: float
    notes: tuple[str, ...] = ()

    @property
    def is_stack(self) -> bool:
        """Whether the telescope combined several exposures into this image."""
        return self.n_planes > 1 or self.n_stacked != 1

    @property
    def scale_arcsec_per_px(self) -> float:
        """Expected plate scale of this image: the model's times the binning; NaN if unknown."""
        return self.telescope.scale_arcsec_per_px * self.binning

    @property
    def mid_utc(self) -> datetime:
        """Middle of the (single) exposure."""
        return self.start_utc + timedelta(seconds=self.exposure_s / 2)

    @property
    def epoch_jyear(self) -> float:
        """Julian epoch of the middle of the exposure, in years."""
        return julian_epoch(self.mid_utc)
