"""What a block becomes: the image, where it is on the sky, its stars, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import NothingToStack
from crowdsky.stacking.running import FrameFigures, StackedImage

if TYPE_CHECKING:
    from crowdsky.astrometry import PlateSolution
    from crowdsky.frames import FrameHeader

__all__ = ["STAR_COLUMNS", "StackFacts", "StackProduct", "StackQuality", "empty_star_table"]

#: Columns of STAR-TAB: name, type, unit, meaning. The order of the first thirteen is fixed.
STAR_COLUMNS: tuple[tuple[str, str, str, str], ...] = (
    ("x", "f8", "pix", "centroid, 0-based"),
    ("y", "f8", "pix", "centroid, 0-based"),
    ("flux", "f8", "adu", "aperture flux, (R + 2 G + B) / 4, mean of a sub"),
    ("a", "f4", "pix", "semi-major axis, rms of the profile"),
    ("b", "f4", "pix", "semi-minor axis, rms of the profile"),
    ("theta", "f4", "rad", "angle of a from +x towards +y"),
    ("flag", "i4", "", "SEP extraction and aperture flags"),
    ("peak", "f4", "adu", "highest pixel over sky"),
    ("ra", "f8", "deg", "ICRS at the epoch of observation"),
    ("dec", "f8", "deg", "ICRS at the epoch of observation"),
    ("gaia_id", "i8", "", "Gaia DR3 source, 0 = none"),
    ("gaia_gmag", "f4", "mag", "Gaia G, NaN = none"),
    ("match_dist_arcsec", "f4", "arcsec", "distance to the catalogue star, NaN = none"),
    ("flux_err", "f8", "adu", "standard error of flux"),
    ("flux_red", "f8", "adu", "aperture flux, red"),
    ("flux_red_err", "f8", "adu", "standard error"),
    ("flux_green", "f8", "adu", "aperture flux, green"),
    ("flux_green_err", "f8", "adu", "standard error"),
    ("flux_blue", "f8", "adu", "aperture flux, blue"),
    ("flux_blue_err", "f8", "adu", "standard error"),
    ("fwhm", "f4", "pix", "full width at half maximum"),
    ("vt_mag", "f4", "mag", "catalogue magnitude, NaN = none"),
    ("n_frames", "i4", "", "frames that cover the star"),
)


def empty_star_table(n: int = 0) -> NDArray[np.void]:
    """A star table of n rows that say 'nothing known'."""
    table = np.zeros(n, dtype=[(name, kind) for name, kind, _, _ in STAR_COLUMNS])
    for name, kind, _, _ in STAR_COLUMNS:
        if kind.startswith("f"):
            table[name] = np.nan
    return table


@dataclass(frozen=True)
class StackQuality:
    """Figures of merit; triples are red, green, blue.

    Attributes
    ----------
    fwhm_px : tuple of float
        Median over the well-measured stars, NaN without any.
    sky_level_adu, sky_rms_adu : tuple of float
        Median sky and its pixel-to-pixel standard deviation, mean of a sub.
    aperture_px : float
        Radius of the photometric aperture.
    zero_point_mag, zero_point_rms_mag : float
        Green: magnitude (catalogue VT) of a star of 1 ADU a sub, and the scatter of the stars
        about it; NaN with fewer than five.
    n_zero_point : int
        Stars behind it.
    """

    fwhm_px: tuple[float, float, float]
    sky_level_adu: tuple[float, float, float]
    sky_rms_adu: tuple[float, float, float]
    aperture_px: float = float("nan")
    zero_point_mag: float = float("nan")
    zero_point_rms_mag: float = float("nan")
    n_zero_point: int = 0


@dataclass(frozen=True)
class StackFacts:
    """What the frames' headers say of the block as a whole.

    Attributes
    ----------
    target, telescope, filter : str
        `telescope` is the model; the serial number names somebody's device and stays out.
    exposure_s : float
        Of one sub.
    gain : float
        Camera units, NaN if unknown.
    exposure_total_s : float
        Sum over the frames in the mean.
    n_frames, n_used : int
        Frames of the block, and frames in the mean.
    start_utc, end_utc : datetime
        Start of the first exposure and end of the last one that went into the mean.
    site_lat_deg, site_lon_deg : float
        As given by the headers (NaN if not); `write_stack` rounds them.
    ccd_temp_c : float
        Mean.
    name, tile : str
        Names of the block.
    """

    target: str = ""
    telescope: str = ""
    filter: str = ""
    exposure_s: float = float("nan")
    gain: float = float("nan")
    exposure_total_s: float = float("nan")
    n_frames: int = 0
    n_used: int = 0
    start_utc: datetime | None = None
    end_utc: datetime | None = None
    site_lat_deg: float = float("nan")
    site_lon_deg: float = float("nan")
    ccd_temp_c: float = float("nan")
    name: str = ""
    tile: str = ""

    @classmethod
    def from_headers(
        cls, used: Sequence[FrameHeader], *, n_frames: int, name: str = "", tile: str = ""
    ) -> StackFacts:
        """Sum up the headers of the frames that went into the mean.

        Parameters
        ----------
        used : sequence of FrameHeader
        n_frames : int
            Frames of the whole block, rejected ones included.
        name, tile : str
            The block's names.

        Raises
        ------
        NothingToStack
            If `used` is empty.
        """
        if not used:
            raise NothingToStack("a stack needs at least one frame", n_frames=n_frames)
        first = min(used, key=lambda h: h.start_utc)
        return cls(
            target=first.target,
            telescope=first.telescope.name,
            filter=first.filter,
            exposure_s=first.exposure_s,
            gain=first.gain,
            exposure_total_s=float(sum(h.exposure_s for h in used)),
            n_frames=n_frames,
            n_used=len(used),
            start_utc=first.start_utc,
            end_utc=max(h.start_utc + timedelta(seconds=h.exposure_s) for h in used),
            site_lat_deg=first.site_lat_deg,
            site_lon_deg=first.site_lon_deg,
            ccd_temp_c=_mean([h.ccd_temp_c for h in used]),
            name=name,
            tile=tile,
        )


def _mean(values: list[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True)
class StackProduct:
    """A stack, complete.

    Attributes
    ----------
    image : StackedImage
        Planes, footprint, per-frame figures.
    stars : structured ndarray
        See `STAR_COLUMNS`.
    solution : PlateSolution or None
        ``None`` where the stack could not be solved.
    quality : StackQuality
    facts : StackFacts
    method : str
        How it was combined, for the card STACKMET.
    """

    image: StackedImage
    stars: NDArray[np.void]
    solution: PlateSolution | None
    quality: StackQuality
    facts: StackFacts
    method: str = "weighted mean, reference rejection"
    extra_cards: tuple[tuple[str, Any, str], ...] = field(default=())

    @property
    def red(self) -> NDArray[np.float32]:
        """Red plane, shape (ny, nx), ADU of a sub."""
        return self.image.planes[0]

    @property
    def green(self) -> NDArray[np.float32]:
        """Green plane."""
        return self.image.planes[1]

    @property
    def blue(self) -> NDArray[np.float32]:
        """Blue plane."""
        return self.image.planes[2]

    @property
    def footprint(self) -> NDArray[np.int32]:
        """Frames that cover each pixel."""
        return self.image.footprint

    @property
    def figures(self) -> tuple[FrameFigures, ...]:
        """What was measured on each frame."""
        return self.image.figures
