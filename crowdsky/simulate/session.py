"""A session of raw subs, drawn and written as a Seestar would leave it on its disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crowdsky.astrometry.catalogue import CatalogueSource
from crowdsky.astrometry.tangent_plane import unit_vectors
from crowdsky.simulate.fits_file import (
    CardValue,
    file_name,
    folder_name,
    header_cards,
    write_frame,
)
from crowdsky.simulate.instrument import Instrument, instrument_for
from crowdsky.simulate.mount import aims_of, julian_year
from crowdsky.simulate.plan import SessionPlan
from crowdsky.simulate.render import AVERAGE_COLOUR, FramePainter
from crowdsky.simulate.scene import Scene, build_scene
from crowdsky.simulate.truth import FrameTruth, LightCurve, Truth, write_truth
from crowdsky.simulate.weather import conditions_of

__all__ = ["DrawnFrame", "Session", "simulate_session"]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFrame:
    """One sub in memory.

    Attributes
    ----------
    mosaic : ndarray of uint16, shape (ny, nx)
        Raw Bayer data, rows in the order of the file.
    cards : list of (keyword, value, comment)
        Its header.
    truth : FrameTruth
        What is true of it.
    """

    mosaic: NDArray[np.uint16]
    cards: list[tuple[str, CardValue, str]]
    truth: FrameTruth


class Session:
    """A planned session, ready to be drawn frame by frame.

    Parameters
    ----------
    plan : SessionPlan
        What to simulate.
    catalogue : CatalogueSource, optional
        Where bright stars come from; the bundled catalogue by default.
    """

    def __init__(self, plan: SessionPlan, *, catalogue: CatalogueSource | None = None) -> None:
        self.plan = plan
        self.instrument: Instrument = instrument_for(
            plan.model, plan.serial, filter_name=plan.filter_name, gain=plan.gain
        )
        self.aims = aims_of(plan, self.instrument)
        self.conditions = conditions_of(plan, self.instrument, self.aims)
        self.scene: Scene = build_scene(
            plan.ra_deg,
            plan.dec_deg,
            self._reach_deg(),
            epoch_jyear=julian_year(plan.start_utc),
            faintest_mag=plan.faintest_mag,
            objects=plan.objects,
            variables=plan.variables,
            transients=plan.transients,
            catalogue=catalogue,
        )
        self.painter = FramePainter(plan, self.instrument, self.scene)

    def _reach_deg(self) -> float:
        """Radius about the target that holds every frame."""
        centre = unit_vectors(self.plan.ra_deg, self.plan.dec_deg)
        away = [
            np.linalg.norm(unit_vectors(aim.wcs.ra_deg, aim.wcs.dec_deg) - centre)
            for aim in self.aims
        ]
        return float(np.degrees(max(away))) + 1.02 * self.aims[0].wcs.radius_deg + 0.02

    def __len__(self) -> int:
        return self.plan.n_frames

    def frame_truth(self, index: int) -> FrameTruth:
        """What is true of one frame, without drawing it."""
        aim, conditions = self.aims[index], self.conditions[index]
        red, green, blue = (e / self.instrument.gain_e_per_adu for e in conditions.sky_e)
        return FrameTruth(
            file=file_name(self.plan, aim),
            start_utc=aim.start_utc,
            wcs=aim.wcs,
            flaw=self.plan.flaw_of(index),
            fwhm_px=conditions.fwhm_px,
            transparency=conditions.transparency,
            sky_adu=(red, green, blue),
            altitude_deg=aim.altitude_deg,
            trails=conditions.trails,
        )

    def draw(self, index: int) -> DrawnFrame:
        """Draw one frame; frames may be drawn in any order."""
        aim = self.aims[index]
        return DrawnFrame(
            mosaic=self.painter.draw(index, aim, self.conditions[index]),
            cards=header_cards(self.plan, self.instrument, aim, index),
            truth=self.frame_truth(index),
        )

    def __iter__(self) -> Iterator[DrawnFrame]:
        for index in range(len(self)):
            yield self.draw(index)

    def truth(self, folder: Path) -> Truth:
        """What is true of the whole session, its frames being in ``folder``."""
        gain, share = self.instrument.gain_e_per_adu, self.instrument.star_share[1]
        curves = []
        for variable in self.scene.variables:
            mags = tuple(variable.mag_at(aim.mid_utc) for aim in self.aims)
            curves.append(("variable", variable.ra_deg, variable.dec_deg, mags))
        for transient in self.scene.transients:
            mags = tuple(transient.mag_at(aim.mid_utc) for aim in self.aims)
            curves.append(("transient", transient.ra_deg, transient.dec_deg, mags))
        return Truth(
            target=self.plan.target,
            model=self.plan.model,
            serial=self.plan.serial,
            folder=folder,
            frames=tuple(self.frame_truth(index) for index in range(len(self))),
            stars=self.scene.stars,
            green_adu=self.instrument.star_electrons(self.scene.stars.mag, self.plan.exposure_s)
            * (share / gain),
            light_curves=tuple(
                LightCurve(
                    kind, ra, dec, mags,
                    tuple(float(self.painter.flux_e(m, AVERAGE_COLOUR)[1] / gain) for m in mags),
                )
                for kind, ra, dec, mags in curves
            ),
            hot_pixels=tuple((int(x), int(y), float(a)) for x, y, a in self.painter.sensor.hot),
        )  # fmt: skip


def simulate_session(
    plan: SessionPlan,
    folder: str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    catalogue: CatalogueSource | None = None,
) -> Truth:
    """Draw a session and write it as ``<folder>/<target>_sub/Light_*.fit``.

    Parameters
    ----------
    plan : SessionPlan
        What to simulate; the same plan gives the same bytes.
    folder : path-like
        Where to; made if absent.
    progress : callable, optional
        Called with (frames done, frames in all) after each frame.
    catalogue : CatalogueSource, optional
        Where bright stars come from; the bundled catalogue by default.

    Returns
    -------
    Truth
        Also written as ``truth.json`` and a table of stars beside the frames.
    """
    session = Session(plan, catalogue=catalogue)
    target_folder = Path(folder) / folder_name(plan)
    target_folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(session):
        write_frame(target_folder / frame.truth.file, frame.mosaic, frame.cards)
        if progress is not None:
            progress(index + 1, len(session))
    truth = session.truth(target_folder)
    write_truth(truth)
    return truth
