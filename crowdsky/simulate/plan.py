"""What to simulate: everything about a session, decided before the first frame is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import isfinite

from crowdsky.errors import SimulationError
from crowdsky.simulate.extended import Galaxy, Nebula
from crowdsky.simulate.instrument import APERTURE_MM
from crowdsky.simulate.scene import Transient, VariableStar

__all__ = ["Flaw", "Mount", "SessionPlan"]


class Mount(StrEnum):
    """How the telescope stands."""

    ALTAZ = "altaz"
    EQUATORIAL = "equatorial"


class Flaw(StrEnum):
    """What can be wrong with a frame."""

    CLOUD = "cloud"
    TRAILED = "trailed"
    DEFOCUSED = "defocused"
    BLACK = "black"
    DARK = "dark"
    SATURATED = "saturated"
    DOME = "dome"


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """A session of raw subs of one target; the same plan always gives the same bytes.

    Attributes
    ----------
    target : str
        Name in the OBJECT card and in file names; printable ASCII, at most 60 characters.
    ra_deg, dec_deg : float
        Where the telescope is sent, ICRS degrees.
    start_utc : datetime
        Start of the first exposure, with a time zone.
    n_frames : int
        How many subs.
    model, serial, firmware : str
        ``'S50'``, ``'S30'`` or ``'S30 Pro'``; serial number, which seeds the unit's faults;
        version. Firmware below 3 writes no serial into the files, from 4.5 on it writes EQMODE.
    filter_name : str
        ``'IRCUT'`` or ``'LP'``.
    gain : int
        Camera gain in 0.1 dB.
    exposure_s, overhead_s : float
        Exposure, and time from its end to the next start.
    dither_every : int
        Frames between dithers; 0 for none. A dither takes another five seconds.
    dither_arcsec, drift_arcsec_per_min : float
        Size of a dither (standard deviation), and how fast the field drifts in between.
    recentre_before : tuple of int
        Frames before which the telescope re-centres: the pointing cards step by about 86 arcsec.
    pointing_error_arcsec : float
        How far the cards are off the true centre.
    mount : Mount
        Alt-azimuth (the field rotates) or equatorial (it stays).
    rotation_deg : float
        Position angle of the direction of growing y in the first frame.
    site_lat_deg, site_lon_deg, utc_offset_h : float
        Where the telescope stands (East positive); local time less UTC.
    seeing : float
        Factor on the best FWHM of the optics.
    sky_level, moonlight : float
        Brightness of the sky in units of a suburban one; light of the Moon on top in the same unit.
    gradient : tuple of float
        Relative rise of the sky from the centre to the right and to the lower rim.
    flaws : tuple of (int, Flaw)
        Frames (counted from 0) that something is wrong with.
    satellites : tuple of int
        Frames that a satellite crosses.
    satellite_chance : float
        Chance of one in every other frame.
    n_hot_pixels : int
        Hot pixels that the subtracted dark no longer removes.
    faintest_mag : float
        Faintest star drawn.
    objects : tuple of Galaxy or Nebula, optional
        Extended objects; by default the well-known ones in the field.
    variables, transients : tuple
        Sources that change.
    seed : int
        Seeds all that differs from night to night.
    """

    target: str
    ra_deg: float
    dec_deg: float
    start_utc: datetime
    n_frames: int = 12
    model: str = "S50"
    serial: str = "51a0c0de"
    firmware: str = "4.27"
    filter_name: str = "IRCUT"
    gain: int = 80
    exposure_s: float = 10.0
    overhead_s: float = 1.29
    dither_every: int = 5
    dither_arcsec: float = 20.0
    drift_arcsec_per_min: float = 12.0
    recentre_before: tuple[int, ...] = ()
    pointing_error_arcsec: float = 50.0
    mount: Mount = Mount.ALTAZ
    rotation_deg: float = 0.0
    site_lat_deg: float = 48.21
    site_lon_deg: float = 16.37
    utc_offset_h: float = 2.0
    seeing: float = 1.0
    sky_level: float = 1.0
    moonlight: float = 0.0
    gradient: tuple[float, float] = (0.006, -0.01)
    flaws: tuple[tuple[int, Flaw], ...] = ()
    satellites: tuple[int, ...] = ()
    satellite_chance: float = 0.0
    n_hot_pixels: int = 8
    faintest_mag: float = 16.0
    objects: tuple[Galaxy | Nebula, ...] | None = None
    variables: tuple[VariableStar, ...] = ()
    transients: tuple[Transient, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        def check(holds: bool, rule: str, value: object) -> None:
            if not holds:
                raise SimulationError(rule, value=value)

        check(self.model in APERTURE_MM, f"model must be one of {tuple(APERTURE_MM)}", self.model)
        check(self.filter_name in ("IRCUT", "LP"), "filter must be IRCUT or LP", self.filter_name)
        check(
            0 < len(self.target) <= 60 and self.target.isascii() and self.target.isprintable(),
            "target must be 1 to 60 printable ASCII characters",
            self.target,
        )
        check(self.n_frames >= 1, "a session has at least one frame", self.n_frames)
        check(isfinite(self.ra_deg), "RA must be a finite number of degrees", self.ra_deg)
        check(-90 <= self.dec_deg <= 90, "Dec must be within -90 and 90 degrees", self.dec_deg)
        check(0 < self.exposure_s <= 600, "exposure must be within 0 and 600 s", self.exposure_s)
        check(self.overhead_s >= 0, "overhead must not be negative", self.overhead_s)
        check(self.start_utc.tzinfo is not None, "start must carry a time zone", self.start_utc)
        check(self.seeing > 0, "seeing must be positive", self.seeing)
        frames = (*self.satellites, *self.recentre_before, *(i for i, _ in self.flaws))
        for index in frames:
            check(0 <= index < self.n_frames, "no such frame in a session of this length", index)

    def flaw_of(self, index: int) -> Flaw | None:
        """What is wrong with a frame, if anything."""
        return next((Flaw(flaw) for i, flaw in self.flaws if i == index), None)

    def start_of(self, index: int) -> datetime:
        """UTC start of a frame's exposure."""
        seconds = index * (self.exposure_s + self.overhead_s)
        if self.dither_every:
            seconds += 5.2 * (index // self.dither_every)
        return self.start_utc.astimezone(UTC) + timedelta(seconds=seconds)
