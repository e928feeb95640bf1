"""What is in the sky of one target, before any telescope looks at it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from crowdsky.astrometry.catalogue import CatalogueSource
from crowdsky.simulate.deep_sky import objects_near
from crowdsky.simulate.extended import Galaxy, Nebula, Patch
from crowdsky.simulate.starfield import FAINTEST_MAG, SkyStars, field_stars

__all__ = ["Scene", "Transient", "VariableStar", "build_scene"]


@dataclass(frozen=True, slots=True)
class VariableStar:
    """A star whose brightness changes with a period.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Where: the nearest star of the scene within ``0.01`` degrees varies, else a new star is put
        there.
    mag : float
        Magnitude at maximum for an eclipsing star, the mean one for a sinusoid.
    amplitude_mag : float
        Depth of the eclipse; half the range of the sinusoid.
    period_s : float
        Period.
    epoch_utc : datetime
        Mid-eclipse; or the time of mean magnitude on the falling branch of a sinusoid.
    shape : {'sinusoid', 'eclipse'}
        The light curve. An eclipse lasts a fifth of the period, half of it flat.
    """

    ra_deg: float
    dec_deg: float
    mag: float
    amplitude_mag: float
    period_s: float
    epoch_utc: datetime
    shape: Literal["sinusoid", "eclipse"] = "sinusoid"

    def mag_at(self, time_utc: datetime) -> float:
        """Magnitude at a time."""
        phase = ((time_utc - self.epoch_utc).total_seconds() / self.period_s) % 1.0
        if self.shape == "sinusoid":
            return self.mag + self.amplitude_mag * float(np.sin(2 * np.pi * phase))
        distance = min(phase, 1.0 - phase)
        depth = float(np.clip((0.1 - distance) / 0.05, 0.0, 1.0))
        return self.mag + self.amplitude_mag * depth


@dataclass(frozen=True, slots=True)
class Transient:
    """A source that appears at once and fades.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Where, ICRS degrees.
    start_utc : datetime
        When it appears, at its brightest.
    peak_mag : float
        Magnitude then.
    decay_mag_per_hour : float
        How fast it fades; 0 for a new star that stays.
    """

    ra_deg: float
    dec_deg: float
    start_utc: datetime
    peak_mag: float
    decay_mag_per_hour: float = 0.0

    def mag_at(self, time_utc: datetime) -> float:
        """Magnitude at a time; infinite before it appears."""
        hours = (time_utc - self.start_utc).total_seconds() / 3600.0
        return self.peak_mag + self.decay_mag_per_hour * hours if hours >= 0 else float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The sky of one target.

    Attributes
    ----------
    stars : SkyStars
        Stars of constant light, brightest first.
    patches : tuple of Patch
        Painted galaxies and nebulae.
    variables : tuple of VariableStar
        Periodic stars; not among ``stars``.
    variable_colours : tuple of (red, blue)
        Their flux ratios to green.
    transients : tuple of Transient
        New sources (of the colour of an average star).
    """

    stars: SkyStars
    patches: tuple[Patch, ...] = ()
    variables: tuple[VariableStar, ...] = ()
    variable_colours: tuple[tuple[float, float], ...] = ()
    transients: tuple[Transient, ...] = ()


def build_scene(
    ra_deg: float,
    dec_deg: float,
    radius_deg: float,
    *,
    epoch_jyear: float,
    faintest_mag: float = FAINTEST_MAG,
    objects: tuple[Galaxy | Nebula, ...] | None = None,
    variables: tuple[VariableStar, ...] = (),
    transients: tuple[Transient, ...] = (),
    catalogue: CatalogueSource | None = None,
) -> Scene:
    """Gather all that shines in a cone of sky.

    Parameters
    ----------
    ra_deg, dec_deg, radius_deg : float
        The cone, ICRS degrees.
    epoch_jyear : float
        Epoch of star positions.
    faintest_mag : float
        Faintest star drawn.
    objects : tuple of Galaxy or Nebula, optional
        Extended objects; by default the known ones that reach into the cone.
    variables, transients : tuple
        Sources that change; a variable takes the place of the star it lies on.
    catalogue : CatalogueSource, optional
        Where bright stars come from; the bundled catalogue by default.
    """
    stars = field_stars(
        ra_deg, dec_deg, radius_deg,
        epoch_jyear=epoch_jyear, faintest_mag=faintest_mag, catalogue=catalogue,
    )  # fmt: skip
    if objects is None:
        objects = objects_near(ra_deg, dec_deg, radius_deg)
    placed, colours = [], []
    for variable in variables:
        offset = np.hypot(
            ((stars.ra_deg - variable.ra_deg + 180) % 360 - 180)
            * np.cos(np.radians(variable.dec_deg)),
            stars.dec_deg - variable.dec_deg,
        )
        colour = (0.76, 0.53)
        if len(stars) and offset.min() < 0.01:
            nearest = int(np.argmin(offset))
            colour = (float(stars.red[nearest]), float(stars.blue[nearest]))
            variable = replace(
                variable,
                ra_deg=float(stars.ra_deg[nearest]),
                dec_deg=float(stars.dec_deg[nearest]),
            )
            stars = stars.take(np.arange(len(stars)) != nearest)
        placed.append(variable)
        colours.append(colour)
    return Scene(
        stars=stars,
        patches=tuple(thing.paint() for thing in objects),
        variables=tuple(placed),
        variable_colours=tuple(colours),
        transients=transients,
    )
