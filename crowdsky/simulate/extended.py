"""Galaxies and nebulae, painted once on a piece of tangent plane and looked up by every frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from crowdsky.simulate.clouds_of_noise import fractal_noise
from crowdsky.simulate.hashing import generator

__all__ = ["Galaxy", "Nebula", "Patch"]

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Surface brightness on a square of tangent plane.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Tangent point: the middle of the square, ICRS degrees.
    step_deg : float
        Distance of neighbouring samples.
    light : ndarray of float32, shape (3, n, n)
        Red, green and blue flux a square arcsecond, in units of a star of magnitude 0 in green;
        row index grows to the North, column index to the East.
    """

    ra_deg: float
    dec_deg: float
    step_deg: float
    light: Float32Array


@dataclass(frozen=True, slots=True)
class Galaxy:
    """A disc with a bulge and, if asked, logarithmic spiral arms.

    Attributes
    ----------
    name : str
        Its name; seeds its details.
    ra_deg, dec_deg : float
        Centre, ICRS degrees.
    mag : float
        Integrated magnitude.
    scale_length_arcsec : float
        Exponential scale length of the disc (Freeman 1970, ApJ 160, 811).
    axis_ratio, position_angle_deg : float
        Apparent flattening; direction of the major axis, East of North.
    bulge_fraction, bulge_radius_arcsec : float
        Share of the light in the bulge, and its effective radius (Sersic index 2).
    arms : int
        Spiral arms; 0 for a smooth disc.
    pitch_deg : float
        Pitch angle of the arms.
    """

    name: str
    ra_deg: float
    dec_deg: float
    mag: float
    scale_length_arcsec: float
    axis_ratio: float = 1.0
    position_angle_deg: float = 0.0
    bulge_fraction: float = 0.2
    bulge_radius_arcsec: float = 10.0
    arms: int = 0
    pitch_deg: float = 18.0

    def paint(self) -> Patch:
        """Draw the galaxy on its own piece of tangent plane."""
        half = 6.0 * self.scale_length_arcsec
        step = max(2.0, half / 700.0)
        n = 2 * int(half / step) + 1
        axis = ((np.arange(n) - n // 2) * step).astype(np.float32)
        east, north = np.meshgrid(axis, axis)
        angle = np.radians(self.position_angle_deg)
        along = east * np.sin(angle) + north * np.cos(angle)
        across = (east * np.cos(angle) - north * np.sin(angle)) / self.axis_ratio
        radius = np.hypot(along, across)

        disc = np.exp(-radius / self.scale_length_arcsec)
        # A bulge is rounder than its disc; the softening keeps its cusp finite on this grid.
        roundish = np.hypot(along, across * np.sqrt(self.axis_ratio))
        soft = np.sqrt(roundish**2 + (0.5 * step) ** 2)
        bulge = np.exp(-3.67 * (np.sqrt(soft / self.bulge_radius_arcsec) - 1))

        rng = generator("galaxy", self.name)
        young = np.zeros_like(disc)
        dust = np.ones_like(disc)
        if self.arms:
            phase = np.arctan2(across, along)
            winding = np.log(radius / self.scale_length_arcsec + 0.05)
            wobble = 0.3 * fractal_noise(rng, n, largest_cells=4)
            spiral = self.arms * (phase - winding / np.tan(np.radians(self.pitch_deg))) + wobble
            strength = 1 - np.exp(-((radius / self.scale_length_arcsec) ** 2) / 0.5)
            disc *= 1 + strength * 0.6 * np.cos(spiral)
            clumps = np.exp(0.75 * fractal_noise(rng, n, largest_cells=24, octaves=4) - 0.28)
            young = disc * strength * np.clip(np.cos(spiral), 0, None) ** 3 * clumps
            lane = np.clip(np.cos(spiral + 0.9), 0, None) ** 6
            dust = 1 - 0.45 * strength * lane

        # A third of the light of a disc with arms is that of the young stars in them.
        total = 10 ** (-0.4 * self.mag) / step**2
        in_disc = total * (1 - self.bulge_fraction)
        bulge *= total * self.bulge_fraction / bulge.sum()
        if self.arms:
            young *= 0.33 * in_disc / young.sum()
            in_disc *= 0.67
        disc *= in_disc / disc.sum()
        red = 0.92 * bulge + (0.72 * disc + 0.72 * young) * dust**0.7
        green = bulge + (disc + young) * dust
        blue = 0.42 * bulge + (0.52 * disc + 0.75 * young) * dust**1.3
        return Patch(
            self.ra_deg, self.dec_deg, step / 3600.0, _soft_edge(np.stack([red, green, blue]))
        )


@dataclass(frozen=True, slots=True)
class Nebula:
    """A cloud of gas or dust with structure on all scales.

    Attributes
    ----------
    name : str
        Its name; seeds its details.
    ra_deg, dec_deg : float
        Centre, ICRS degrees.
    radius_arcsec : float
        Where it has fallen to a third of its central brightness.
    peak_mag_arcsec2 : float
        Typical green surface brightness near the centre.
    red, blue : float
        Colour: flux in red and blue over that in green. Starlight scattered by dust has blue above
        0.6, hydrogen has red above 2.
    contrast : float
        How strongly filaments stand out; 0.5 is soft, 1 is torn.
    core_arcsec : float
        For dust lit by a star in its middle: light falls with the square of the distance beyond
        this radius. 0 for a cloud that shines by itself.
    """

    name: str
    ra_deg: float
    dec_deg: float
    radius_arcsec: float
    peak_mag_arcsec2: float
    red: float = 0.65
    blue: float = 0.8
    contrast: float = 0.7
    core_arcsec: float = 0.0

    def paint(self) -> Patch:
        """Draw the nebula on its own piece of tangent plane."""
        half = 3.2 * self.radius_arcsec
        step = max(4.0, half / 500.0)
        n = 2 * int(half / step) + 1
        axis = ((np.arange(n) - n // 2) * (step / self.radius_arcsec)).astype(np.float32)
        x, y = np.meshgrid(axis, axis)
        distance_arcsec = np.hypot(x, y) * self.radius_arcsec
        rng = generator("nebula", self.name)
        # Bending the coordinates by noise turns a round cloud into one with bays and wisps.
        x = x + 0.35 * fractal_noise(rng, n, largest_cells=3)
        y = y + 0.35 * fractal_noise(rng, n, largest_cells=3)
        envelope = np.exp(-1.1 * np.hypot(x, y) ** 1.4)
        if self.core_arcsec > 0:
            envelope /= 1 + (distance_arcsec / self.core_arcsec) ** 2
        filaments = np.exp(self.contrast * fractal_noise(rng, n, largest_cells=5) - 0.2)
        veil = 1 / (1 + np.exp(-3.0 * (fractal_noise(rng, n, largest_cells=4) + 0.6)))
        green = 10 ** (-0.4 * self.peak_mag_arcsec2) * envelope * filaments * veil
        hue = np.exp(0.18 * fractal_noise(rng, n, largest_cells=3, octaves=3))
        light = np.stack([self.red * green / hue, green, self.blue * green * hue])
        return Patch(self.ra_deg, self.dec_deg, step / 3600.0, _soft_edge(light))


def _soft_edge(light: NDArray[np.floating]) -> Float32Array:
    """Let a map fade to nothing at the rim of its square, and blur it by about a sample."""
    n = light.shape[1]
    distance = np.abs(np.arange(n) - n // 2) / (n // 2)
    fade = np.clip((1 - distance) / 0.25, 0, 1)
    fade = fade * fade * (3 - 2 * fade)
    out = np.empty(light.shape, dtype=np.float32)
    for channel, plane in enumerate(light):
        faded = (plane * fade[:, None] * fade[None, :]).astype(np.float32)
        out[channel] = cv2.GaussianBlur(faded, (0, 0), 0.7, borderType=cv2.BORDER_REPLICATE)
    return out
