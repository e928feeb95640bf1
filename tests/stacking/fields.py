"""Small Bayer sessions with known stars, for the tests of the stacker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crowdsky.stacking import FrameInput

SIGMA_PX = 1.25
SKY_ADU = (800.0, 1000.0, 700.0)
#: Flux of a star in red, green and blue relative to its green flux.
COLOURS = (0.8, 1.0, 0.6)


def motion(shift: tuple[float, float], degrees: float, shape: tuple[int, int]) -> NDArray:
    """Frame to reference pixels: a rotation about the middle, then a shift."""
    t = np.deg2rad(degrees)
    rotation = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    return np.column_stack([rotation, middle - rotation @ middle + np.asarray(shift)])


def channel_of(shape: tuple[int, int]) -> NDArray[np.int64]:
    """Colour (0 red, 1 green, 2 blue) of each pixel of a GRBG mosaic."""
    colour = np.ones(shape, np.int64)
    colour[0::2, 1::2] = 0
    colour[1::2, 0::2] = 2
    return colour


def grid_of_stars(shape: tuple[int, int], step: int = 40) -> NDArray[np.float64]:
    """Well separated places with all sub-pixel phases, shape (n, 2) as x, y."""
    y, x = np.mgrid[
        step // 2 : shape[0] - step // 3 : step, step // 2 : shape[1] - step // 3 : step
    ]
    rng = np.random.default_rng(3)
    return np.column_stack([x.ravel(), y.ravel()]) + rng.uniform(-0.5, 0.5, (x.size, 2))


@dataclass
class Session:
    """A sky and the frames taken of it.

    Attributes: shape (ny, nx); stars in reference pixels; green fluxes; noise of a raw pixel;
    pattern added to every mosaic.
    """

    shape: tuple[int, int] = (200, 300)
    stars: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    fluxes: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    noise_adu: float = 0.0
    pattern: NDArray[np.float64] | None = None
    sky: tuple[float, float, float] = SKY_ADU

    def expose(
        self,
        matrix: NDArray[np.float64],
        *,
        seed: int = 0,
        transparency: float = 1.0,
        gradient: tuple[float, float] = (0.0, 0.0),
        fluxes: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """One mosaic, not yet rounded to integers."""
        ny, nx = self.shape
        colour = channel_of(self.shape)
        y, x = np.mgrid[:ny, :nx].astype(np.float64)
        image = np.asarray(self.sky)[colour]
        image = image + gradient[0] * (x / nx - 0.5) + gradient[1] * (y / ny - 0.5)
        back = np.linalg.inv(matrix[:, :2])
        places = (self.stars - matrix[:, 2]) @ back.T
        weights = np.asarray(COLOURS)[colour] * transparency
        for (px, py), flux in zip(places, self.fluxes if fluxes is None else fluxes, strict=True):
            x0, y0 = round(px), round(py)
            if not (-12 < x0 < nx + 12 and -12 < y0 < ny + 12):
                continue
            box = (slice(max(y0 - 12, 0), max(y0 + 13, 0)), slice(max(x0 - 12, 0), max(x0 + 13, 0)))
            r2 = (x[box] - px) ** 2 + (y[box] - py) ** 2
            profile = np.exp(-0.5 * r2 / SIGMA_PX**2) / (2 * np.pi * SIGMA_PX**2)
            image[box] += flux * weights[box] * profile
        if self.pattern is not None:
            image = image + self.pattern
        if self.noise_adu:
            image = image + np.random.default_rng(seed).normal(0.0, self.noise_adu, image.shape)
        return image


def digital(image: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Rounded and clipped to uint16."""
    return np.clip(np.rint(image), 0, 65535).astype(np.uint16)


def as_inputs(
    images: Sequence[NDArray[np.float64]], matrices: Sequence[NDArray[np.float64]], **kw: Sequence
) -> list[FrameInput]:
    """Frames in memory as input of the stacker; `kw` holds lists of scales or weights."""
    inputs = []
    for i, (image, matrix) in enumerate(zip(images, matrices, strict=True)):
        mosaic = digital(image)
        extra = {key: values[i] for key, values in kw.items()}
        inputs.append(FrameInput(lambda m=mosaic: m.copy(), matrix, label=f"{i:04d}", **extra))
    return inputs


def dithers(n: int, shape: tuple[int, int], *, reach: float = 6.0, turn: float = 0.0) -> list:
    """n motions, the middle one the identity."""
    rng = np.random.default_rng(11)
    out = []
    for i in range(n):
        k = (i - n // 2) / max(n, 1)
        shift = (0.0, 0.0) if i == n // 2 else tuple(rng.uniform(-reach, reach, 2))
        out.append(motion(shift, turn * k, shape))
    return out


def aperture(plane: NDArray, x: float, y: float, radius: float = 8.0, ring: float = 13.0) -> float:
    """Sum in a circle (pixel centres) over the median of a ring."""
    yy, xx = np.mgrid[: plane.shape[0], : plane.shape[1]]
    r2 = (xx - x) ** 2 + (yy - y) ** 2
    inside = r2 <= radius**2
    around = (r2 > (radius + 1) ** 2) & (r2 <= ring**2)
    return float(plane[inside].sum() - inside.sum() * np.median(plane[around]))
