"""One exposure: from the scene, through air and optics, onto the sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.simulate.clouds_of_noise import fractal_noise, smooth_noise
from crowdsky.simulate.detector import read_out
from crowdsky.simulate.hashing import generator
from crowdsky.simulate.instrument import Instrument, bayer_channels
from crowdsky.simulate.mount import Aim
from crowdsky.simulate.paint import add_patch, add_sky, paint_discs, paint_stars, paint_trail
from crowdsky.simulate.plan import Flaw, SessionPlan
from crowdsky.simulate.scene import Scene
from crowdsky.simulate.tan_wcs import TanWcs
from crowdsky.simulate.weather import Conditions, veil_of

__all__ = ["FramePainter", "psf_shapes"]

FloatArray = NDArray[np.float64]

FWHM_OVER_ALPHA = 2.0 * np.sqrt(2 ** (1 / 2.5) - 1.0)
"""FWHM of a Moffat profile with beta 2.5 over its core width alpha."""
GAUSS_VARIANCE_TO_ALPHA2 = 8.0 * np.log(2.0) / FWHM_OVER_ALPHA**2
FLOOR_E = 0.005
MARGIN_PX = 120.0
AVERAGE_COLOUR = (0.76, 1.0, 0.53)
DISC_RADIUS_PX = 13.0
SATELLITE_SIGMA_PX = 1.1


def psf_shapes(
    x_px: FloatArray, y_px: FloatArray, instrument: Instrument, aim: Aim, conditions: Conditions
) -> FloatArray:
    """Quadratic form ``(a, b, c)`` of the profile at each position, shape (n, 3).

    Stars grow towards the corners, more along the radius than across it; they are drawn out by
    tracking errors, and in an alt-azimuth mount by the field's rotation during the exposure.
    """
    ny, nx = instrument.shape
    lens = generator("optics", instrument.serial, instrument.telescope.name)
    lens.standard_normal()  # the first number of this stream is the unit's focal length
    axis_x = 0.5 * nx + 0.12 * nx * lens.standard_normal()
    axis_y = 0.5 * ny + 0.08 * ny * lens.standard_normal()
    dx, dy = x_px - axis_x, y_px - axis_y
    distance = np.hypot(dx, dy)
    cos, sin = np.divide(dx, np.maximum(distance, 1e-9)), np.divide(dy, np.maximum(distance, 1e-9))
    r2 = (distance / (0.5 * np.hypot(nx, ny))) ** 2
    alpha2 = (conditions.fwhm_px / FWHM_OVER_ALPHA) ** 2
    along = alpha2 * (1.0 + 0.75 * r2) ** 2
    across = alpha2 * (1.0 + 0.18 * r2) ** 2

    pole_x, pole_y = x_px - 0.5 * (nx - 1), y_px - 0.5 * (ny - 1)
    smear = GAUSS_VARIANCE_TO_ALPHA2 * np.radians(aim.turn_deg) ** 2 / 12.0
    pull = GAUSS_VARIANCE_TO_ALPHA2 * conditions.stretch
    cp, sp = np.cos(conditions.stretch_angle_rad), np.sin(conditions.stretch_angle_rad)
    vxx = along * cos**2 + across * sin**2 + smear * pole_y**2 + pull * cp**2
    vyy = along * sin**2 + across * cos**2 + smear * pole_x**2 + pull * sp**2
    vxy = (along - across) * cos * sin - smear * pole_x * pole_y + pull * cp * sp
    det = vxx * vyy - vxy**2
    return np.column_stack([vyy / det, -2.0 * vxy / det, vxx / det])


class FramePainter:
    """Draws the frames of one session.

    Parameters
    ----------
    plan : SessionPlan
        The session.
    instrument : Instrument
        The telescope.
    scene : Scene
        The sky.
    """

    def __init__(self, plan: SessionPlan, instrument: Instrument, scene: Scene) -> None:
        self.plan = plan
        self.instrument = instrument
        self.scene = scene
        self.channels = bayer_channels(instrument.telescope.bayer)
        self.sensor = instrument.sensor_map(plan.exposure_s, plan.n_hot_pixels)
        self.star_e = self._star_electrons()

    def draw(self, index: int, aim: Aim, conditions: Conditions) -> NDArray[np.uint16]:
        """The mosaic of one frame, shape (ny, nx)."""
        plan, instrument = self.plan, self.instrument
        flaw = plan.flaw_of(index)
        rng = generator("exposure", plan.seed, plan.target, plan.serial, index)
        if flaw is Flaw.BLACK:
            return np.zeros(instrument.shape, dtype=np.uint16)
        light = np.zeros(instrument.shape, dtype=np.float32)
        if flaw is Flaw.SATURATED:
            light += 2.0e4
        elif flaw is Flaw.DOME:
            light += self._wall(rng, conditions)
        elif flaw is not Flaw.DARK:
            self._expose(light, index, aim, conditions, flaw, rng)
        return read_out(light, instrument, self.sensor, rng)

    def flux_e(self, mag: float, colour: tuple[float, float, float]) -> FloatArray:
        """Electrons in red, green and blue of a source, by its green magnitude and flux ratios."""
        green = self.instrument.star_electrons(np.array([mag]), self.plan.exposure_s)[0]
        result: FloatArray = green * np.array(colour) * np.array(self.instrument.star_share)
        return result

    def _star_electrons(self) -> FloatArray:
        stars = self.scene.stars
        green = self.instrument.star_electrons(stars.mag, self.plan.exposure_s)
        colours = np.column_stack([stars.red, np.ones(len(stars)), stars.blue])
        result: FloatArray = green[:, None] * colours * np.array(self.instrument.star_share)
        return result

    def _sources(self, aim: Aim) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Positions and electrons of all point sources in and near the frame."""
        scene, stars = self.scene, self.scene.stars
        ra, dec, flux = [stars.ra_deg], [stars.dec_deg], [self.star_e]
        for variable, (red, blue) in zip(scene.variables, scene.variable_colours, strict=True):
            ra.append(np.array([variable.ra_deg]))
            dec.append(np.array([variable.dec_deg]))
            flux.append(self.flux_e(variable.mag_at(aim.mid_utc), (red, 1.0, blue))[None])
        for transient in scene.transients:
            ra.append(np.array([transient.ra_deg]))
            dec.append(np.array([transient.dec_deg]))
            flux.append(self.flux_e(transient.mag_at(aim.mid_utc), AVERAGE_COLOUR)[None])
        x, y = aim.wcs.sky_to_pixel(np.concatenate(ra), np.concatenate(dec))
        ny, nx = self.instrument.shape
        near = (x > -MARGIN_PX) & (x < nx + MARGIN_PX) & (y > -MARGIN_PX) & (y < ny + MARGIN_PX)
        return x[near], y[near], np.ascontiguousarray(np.concatenate(flux)[near])

    def _expose(
        self,
        light: NDArray[np.float32],
        index: int,
        aim: Aim,
        conditions: Conditions,
        flaw: Flaw | None,
        rng: np.random.Generator,
    ) -> None:
        """Add everything in the sky to a mosaic of electrons."""
        x, y, flux = self._sources(aim)
        cloudy = flaw is Flaw.CLOUD
        through = 1.0 if cloudy else conditions.transparency
        flux = flux * through
        if flaw is Flaw.DEFOCUSED:
            paint_discs(light, self.channels, x, y, flux, DISC_RADIUS_PX)
        else:
            shapes = psf_shapes(x, y, self.instrument, aim, conditions)
            if flaw is Flaw.TRAILED:
                self._paint_trailed(light, x, y, flux, shapes, rng)
            else:
                paint_stars(light, self.channels, x, y, flux, shapes, FLOOR_E)
        self._paint_patches(light, aim.wcs, through)
        e_per_adu = self.instrument.gain_e_per_adu
        for trail in conditions.trails:
            paint_trail(
                light, self.channels, np.array([trail.x0_px, trail.y0_px]),
                np.array([trail.x1_px, trail.y1_px]),
                trail.adu_per_px * e_per_adu * np.array(AVERAGE_COLOUR), SATELLITE_SIGMA_PX,
            )  # fmt: skip
        veil = np.ones((1, 1), dtype=np.float32)
        if cloudy:
            veil = veil_of(self.plan, index, self.instrument.shape, conditions.transparency)
        add_sky(
            light, self.channels, veil, np.array(conditions.sky_e),
            np.array(self.plan.gradient, dtype=np.float64), self.instrument.vignetting,
        )  # fmt: skip
        _add_cosmic_rays(light, rng)

    def _paint_trailed(
        self,
        light: NDArray[np.float32],
        x: FloatArray,
        y: FloatArray,
        flux: FloatArray,
        shapes: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        """Stars drawn out into lines, as when the mount is knocked or slews during the exposure."""
        length, angle = rng.uniform(25.0, 45.0), rng.uniform(0.0, 2 * np.pi)
        steps = int(length) + 1
        # The trail's middle is where the star belongs.
        shake = np.cumsum(rng.normal(0.0, 0.15, (steps, 2)), axis=0)
        shake -= shake.mean(axis=0)
        way = np.linspace(-0.5 * length, 0.5 * length, steps)
        bright = flux[:, 1] > 100.0
        for step in range(steps):
            paint_stars(
                light, self.channels,
                x[bright] + way[step] * np.cos(angle) + shake[step, 0],
                y[bright] + way[step] * np.sin(angle) + shake[step, 1],
                flux[bright] / steps, shapes[bright], FLOOR_E,
            )  # fmt: skip

    def _paint_patches(self, light: NDArray[np.float32], wcs: TanWcs, through: float) -> None:
        instrument = self.instrument
        unit = float(instrument.star_electrons(np.zeros(1), self.plan.exposure_s)[0])
        factor = unit * through * wcs.scale_arcsec_per_px**2 * np.array(instrument.star_share)
        for patch in self.scene.patches:
            middle = (patch.light.shape[1] - 1) / 2
            to_samples = np.array(
                [[1 / patch.step_deg, 0, middle], [0, 1 / patch.step_deg, middle], [0, 0, 1.0]]
            )
            homography = to_samples @ wcs.homography_to(patch.ra_deg, patch.dec_deg)
            add_patch(light, self.channels, patch.light, homography, factor)

    def _wall(self, rng: np.random.Generator, conditions: Conditions) -> NDArray[np.float32]:
        """The inside of a dome, or a tree, far out of focus in twilight."""
        ny, nx = self.instrument.shape
        grain = fractal_noise(rng, max(ny, nx), largest_cells=12, octaves=2)[:ny, :nx]
        shade = np.exp(0.35 * smooth_noise(rng, (ny, nx), (5, 3)) + 0.06 * grain)
        return np.asarray(8.0 * conditions.sky_e[1] * shade, dtype=np.float32)


def _add_cosmic_rays(light: NDArray[np.float32], rng: np.random.Generator) -> None:
    """About one short bright track a frame."""
    ny, nx = light.shape
    for _ in range(rng.poisson(1.0)):
        x, y, angle = rng.uniform(0, nx), rng.uniform(0, ny), rng.uniform(0, 2 * np.pi)
        for step in range(int(rng.integers(1, 7))):
            column, row = int(x + step * np.cos(angle)), int(y + step * np.sin(angle))
            if 0 <= column < nx and 0 <= row < ny:
                light[row, column] += rng.uniform(150.0, 1500.0)
