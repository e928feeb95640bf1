"""The truth that is written beside simulated frames."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from crowdsky.errors import SimulationError
from crowdsky.simulate.plan import Flaw
from crowdsky.simulate.starfield import SkyStars
from crowdsky.simulate.tan_wcs import TanWcs
from crowdsky.simulate.weather import Trail

__all__ = ["FrameTruth", "LightCurve", "Truth", "read_truth", "write_truth"]

TRUTH_FILE = "truth.json"
FORMAT = "crowdsky-truth-1"


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """What is true of one frame.

    Attributes
    ----------
    file : str
        Name of the file.
    start_utc : datetime
        Start of the exposure.
    wcs : TanWcs
        Where every pixel is on the sky.
    flaw : Flaw or None
        What is wrong with the frame.
    fwhm_px, transparency : float
        Optical FWHM at the centre; share of starlight that arrives.
    sky_adu : tuple of 3 floats
        Sky above the pedestal at the centre, in red, green, blue.
    altitude_deg : float
        Height above the horizon.
    trails : tuple of Trail
        Satellites.
    """

    file: str
    start_utc: datetime
    wcs: TanWcs
    flaw: Flaw | None
    fwhm_px: float
    transparency: float
    sky_adu: tuple[float, float, float]
    altitude_deg: float
    trails: tuple[Trail, ...]

    def as_dict(self) -> dict[str, Any]:
        """The entry of this frame in ``truth.json``."""
        return {
            **self.wcs.as_dict(),
            "start_utc": self.start_utc.isoformat(),
            "flaw": None if self.flaw is None else str(self.flaw),
            "fwhm_px": self.fwhm_px,
            "transparency": self.transparency,
            "sky_adu": list(self.sky_adu),
            "altitude_deg": self.altitude_deg,
            "trails": [asdict(trail) for trail in self.trails],
        }

    @classmethod
    def from_dict(cls, file: str, entry: dict[str, Any]) -> FrameTruth:
        """Inverse of `as_dict`."""
        red, green, blue = entry["sky_adu"]
        return cls(
            file=file,
            start_utc=datetime.fromisoformat(entry["start_utc"]),
            wcs=TanWcs(
                entry["center_ra"], entry["center_dec"], entry["rotation_deg_E_of_N_of_plusY"],
                entry["scale_arcsec"], entry["nx"], entry["ny"],
            ),
            flaw=None if entry["flaw"] is None else Flaw(entry["flaw"]),
            fwhm_px=entry["fwhm_px"],
            transparency=entry["transparency"],
            sky_adu=(red, green, blue),
            altitude_deg=entry["altitude_deg"],
            trails=tuple(Trail(**trail) for trail in entry["trails"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LightCurve:
    """A source that changes: where it is, and its magnitude and green flux in every frame.

    ``green_adu`` is what a clear sky would give; a frame's transparency is not in it. Magnitudes
    are infinite where there is nothing yet.
    """

    kind: str
    ra_deg: float
    dec_deg: float
    mag: tuple[float, ...]
    green_adu: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is true of one simulated session.

    Attributes
    ----------
    target, model, serial : str
        As in the plan.
    folder : Path
        Where the frames are.
    frames : tuple of FrameTruth
        In the order of time.
    stars : SkyStars
        Stars of constant light.
    green_adu : ndarray of float64, shape (n,)
        Total flux of each star in a frame under a clear sky, were every pixel green and lit like
        the centre; those in red and blue are this times the star's ``red`` and ``blue``.
    light_curves : tuple of LightCurve
        Variable stars and transients.
    hot_pixels : tuple of (x, y, adu)
        Hot pixels that the telescope does not remove.
    """

    target: str
    model: str
    serial: str
    folder: Path
    frames: tuple[FrameTruth, ...]
    stars: SkyStars
    green_adu: np.ndarray[Any, np.dtype[np.float64]]
    light_curves: tuple[LightCurve, ...]
    hot_pixels: tuple[tuple[int, int, float], ...]

    def frame(self, file: str | Path) -> FrameTruth:
        """Truth of a file, by its name."""
        name = Path(file).name
        for frame in self.frames:
            if frame.file == name:
                return frame
        raise SimulationError("no such frame in this session", file=name)

    def _stars_file(self) -> str:
        return f"truth_stars_{self.frames[0].start_utc:%Y%m%dT%H%M%S}_{self.serial}.csv"

    def _as_dict(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "model": self.model,
            "serial": self.serial,
            "stars": self._stars_file(),
            "light_curves": [
                # JSON knows no infinity: a source that is not there has no magnitude.
                {**asdict(c), "mag": [m if np.isfinite(m) else None for m in c.mag]}
                for c in self.light_curves
            ],
            "hot_pixels": [list(pixel) for pixel in self.hot_pixels],
            "frames": {frame.file: frame.as_dict() for frame in self.frames},
        }


def write_truth(truth: Truth) -> Path:
    """Write ``truth.json`` and a table of stars beside the frames; returns the path of the former.

    Another session in the same folder keeps its entry.
    """
    path = truth.folder / TRUTH_FILE
    entry = truth._as_dict()
    others = []
    if path.exists():
        others = [s for s in _load(path)["sessions"] if s["stars"] != entry["stars"]]
    with (truth.folder / entry["stars"]).open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_STAR_COLUMNS, "green_adu"])
        columns = [getattr(truth.stars, name) for name in _STAR_COLUMNS]
        for row in zip(*columns, truth.green_adu, strict=True):
            writer.writerow([repr(float(v)) for v in row])
    partial = path.with_name(path.name + ".part")
    content = {"format": FORMAT, "sessions": [*others, entry]}
    partial.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="ascii")
    partial.replace(path)
    return path


_STAR_COLUMNS = ("ra_deg", "dec_deg", "mag", "red", "blue", "catalogue_mag")


def read_truth(folder: str | Path) -> list[Truth]:
    """Read back the truth of every session in a folder of simulated frames.

    Raises
    ------
    SimulationError
        If the folder has no ``truth.json`` of this format.
    """
    folder = Path(folder)
    return [_truth_from(folder, entry) for entry in _load(folder / TRUTH_FILE)["sessions"]]


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise SimulationError(f"the truth cannot be read ({error})", file=path) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SimulationError(f"the file is not of format {FORMAT}", file=path)
    return content


def _truth_from(folder: Path, entry: dict[str, Any]) -> Truth:
    table = np.loadtxt(
        folder / entry["stars"], delimiter=",", skiprows=1, ndmin=2, dtype=np.float64
    ).reshape(-1, len(_STAR_COLUMNS) + 1)
    return Truth(
        target=entry["target"],
        model=entry["model"],
        serial=entry["serial"],
        folder=folder,
        frames=tuple(FrameTruth.from_dict(f, e) for f, e in entry["frames"].items()),
        stars=SkyStars(*table.T[:-1].copy()),
        green_adu=table[:, -1].copy(),
        light_curves=tuple(
            LightCurve(
                c["kind"], c["ra_deg"], c["dec_deg"],
                tuple(float("inf") if m is None else m for m in c["mag"]),
                tuple(c["green_adu"]),
            )
            for c in entry["light_curves"]
        ),
        hot_pixels=tuple((int(x), int(y), float(a)) for x, y, a in entry["hot_pixels"]),
    )  # fmt: skip
