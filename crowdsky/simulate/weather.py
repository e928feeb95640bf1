"""What air and sky do to each frame: seeing, transparency, brightness, satellites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crowdsky.simulate.clouds_of_noise import smooth_noise
from crowdsky.simulate.hashing import generator
from crowdsky.simulate.instrument import Instrument
from crowdsky.simulate.mount import Aim
from crowdsky.simulate.plan import Flaw, SessionPlan

__all__ = ["Conditions", "Trail", "conditions_of", "veil_of"]

EXTINCTION_MAG_PER_AIRMASS = 0.20
REFERENCE_AIRMASS = 1.3
MOON_COLOUR = np.array([0.85, 1.0, 1.15])


@dataclass(frozen=True, slots=True)
class Trail:
    """A satellite's streak: ends in pixels, green light in ADU a pixel of length."""

    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float
    adu_per_px: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one frame is taken through.

    Attributes
    ----------
    transparency : float
        Share of starlight that arrives, 1 for a clear sky at airmass 1.3 (so a little more than 1
        near the zenith); for a cloudy frame the mean over the field.
    fwhm_px : float
        Optical FWHM at the centre, before integration over a pixel.
    stretch, stretch_angle_rad : float
        Elongation by tracking errors: added variance in px^2, and its direction in the frame.
    sky_e : tuple of 3 floats
        Electrons a pixel from the sky.
    trails : tuple of Trail
        Satellites that cross.
    """

    transparency: float
    fwhm_px: float
    stretch: float
    stretch_angle_rad: float
    sky_e: tuple[float, float, float]
    trails: tuple[Trail, ...]


def conditions_of(plan: SessionPlan, instrument: Instrument, aims: list[Aim]) -> list[Conditions]:
    """Seeing, transparency and sky of every frame of a session."""
    rng = generator("weather", plan.seed, plan.target)
    found = []
    seeing, haze = rng.normal(0.0, 0.05), rng.normal(0.0, 0.01)
    for index, aim in enumerate(aims):
        # Both wander: neighbouring frames are alike.
        seeing = 0.85 * seeing + rng.normal(0.0, 0.03)
        haze = 0.9 * haze + rng.normal(0.0, 0.006)
        airmass = _airmass(aim.altitude_deg)
        clear = 10 ** (-0.4 * EXTINCTION_MAG_PER_AIRMASS * (airmass - REFERENCE_AIRMASS))
        transparency = clear * float(np.exp(-abs(haze)))
        if plan.flaw_of(index) is Flaw.CLOUD:
            transparency *= rng.uniform(0.06, 0.14)
        glow = plan.sky_level * (0.75 + 0.25 * airmass / REFERENCE_AIRMASS)
        sky = plan.exposure_s * np.array(instrument.sky_e_per_s) * (
            glow + plan.moonlight * MOON_COLOUR
        )  # fmt: skip
        stretch, angle = rng.gamma(1.5, 0.08), rng.uniform(0, np.pi)
        crossing = rng.random() < plan.satellite_chance or index in plan.satellites
        trail = _trail(rng, instrument)
        found.append(
            Conditions(
                transparency=transparency,
                fwhm_px=instrument.fwhm_px * plan.seeing * float(np.exp(seeing)),
                stretch=float(stretch),
                stretch_angle_rad=float(angle),
                sky_e=(float(sky[0]), float(sky[1]), float(sky[2])),
                trails=(trail,) if crossing else (),
            )
        )
    return found


def _airmass(altitude_deg: float) -> float:
    """Kasten & Young (1989, Appl. Opt. 28, 4735), held at its value five degrees up."""
    h = max(altitude_deg, 5.0)
    return float(1.0 / (np.sin(np.radians(h)) + 0.50572 * (h + 6.07995) ** -1.6364))


def _trail(rng: np.random.Generator, instrument: Instrument) -> Trail:
    """A streak through the middle part of the frame, mostly from rim to rim."""
    ny, nx = instrument.shape
    x, y = nx * rng.uniform(0.2, 0.8), ny * rng.uniform(0.2, 0.8)
    angle = rng.uniform(0, np.pi)
    far = float(np.hypot(nx, ny))
    begin = -far if rng.random() < 0.7 else -rng.uniform(0.1, 0.4) * far
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return Trail(
        x + begin * cos, y + begin * sin, x + far * cos, y + far * sin,
        float(1200.0 * np.exp(rng.normal(0.0, 0.6))),
    )  # fmt: skip


def veil_of(
    plan: SessionPlan, index: int, shape: tuple[int, int], transparency: float
) -> NDArray[np.float32]:
    """Transparency across a cloudy frame, shape (ny, nx), of the given mean."""
    rng = generator("cloud", plan.seed, plan.target, index)
    depth = smooth_noise(rng, shape, (7, 4)) + 0.5 * smooth_noise(rng, shape, (14, 8))
    veil = np.exp(0.7 * depth)
    veil *= transparency / veil.mean()
    return np.minimum(veil, 1.0).astype(np.float32)
