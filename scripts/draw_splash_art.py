"""Draw the pictures of the splash page from the star catalogue and the simulator.

``python scripts/draw_splash_art.py`` writes ``crowdsky/pages/splash/art``: the Milky Way behind the
page's head, the sky behind its map, and three simulated fields that stand where no stack is public
yet. All are made of the bundled catalogue, so they may be shown with its credit alone.

Colours are the catalogue's too: Tycho-2 VT less Gaia G is near zero for a white star and grows as
stars get redder. It is not a calibrated colour, which a picture does not need.
"""

from __future__ import annotations

import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crowdsky.astrometry.catalogue import bundled_catalogue
from crowdsky.astrometry.sky_cells import BAND_FIRST_CELL, CELLS_IN_BAND
from crowdsky.frames.debayer import bilinear
from crowdsky.frames.read import read_frame
from crowdsky.pages.widgets.aitoff import HALF_HEIGHT_DEG, HALF_WIDTH_DEG, aitoff_from_sky
from crowdsky.pipeline.night import stack_paths
from crowdsky.simulate import SessionPlan, simulate_session
from crowdsky.stacking.preview import preview_pixels

ART = Path(__file__).resolve().parent.parent / "crowdsky" / "pages" / "splash" / "art"

# J2000 galactic frame (Hipparcos catalogue, ESA SP-1200, vol. 1, 1.5.3): rows are its axes.
GALACTIC = np.array(
    [
        [-0.0548755604162154, -0.8734370902348850, -0.4838350155487132],
        [0.4941094278755837, -0.4448296299600112, 0.7469822444972189],
        [-0.8676661490190047, -0.1980763734312015, 0.4559837761750669],
    ]
)
# Red, green and blue of a star with VT - G of 0, 0.5 and 1.2.
TINTS = np.array([[0.72, 0.82, 1.0], [1.0, 0.96, 0.9], [1.0, 0.74, 0.5]])
TINT_AT = np.array([0.05, 0.45, 1.3])


class Stars:
    """Every star of the catalogue: unit vectors (ICRS), VT, and VT - G (0.3 where unknown)."""

    def __init__(self) -> None:
        catalogue = bundled_catalogue()
        counts = np.diff(catalogue.cell_start)
        cell = np.repeat(np.arange(len(counts)), counts)
        band = np.searchsorted(BAND_FIRST_CELL, cell, side="right") - 1
        width = 360.0 / CELLS_IN_BAND[band]
        inside = (catalogue.offset + 0.5) / 65536.0
        self.ra_deg = (cell - BAND_FIRST_CELL[band] + inside[:, 0]) * width
        self.dec_deg = band - 90.0 + inside[:, 1]
        ra, dec = np.radians(self.ra_deg), np.radians(self.dec_deg)
        self.xyz = np.stack(
            [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1
        )
        self.mag = (catalogue.mag & 0x7FFF) * 0.001
        self.colour = np.full(len(self.mag), 0.3)
        known = (catalogue.mag & 0x8000) > 0
        self.colour[known] = self.mag[known] - catalogue.gaia_gmag * 0.001
        self.tint = np.stack(
            [np.interp(self.colour, TINT_AT, TINTS[:, c]) for c in range(3)], axis=1
        )


def milky_way(
    stars: Stars, width: int, height: int, *, at_deg: tuple[float, float], roll_deg: float
) -> NDArray[np.uint8]:
    """The Milky Way about a galactic longitude and latitude, stereographic: (height, width, 3)."""
    scale_px = max(width, height) / 2.75
    l0, b0, roll = np.radians([*at_deg, roll_deg])
    ahead = np.array([np.cos(b0) * np.cos(l0), np.cos(b0) * np.sin(l0), np.sin(b0)])
    east = np.array([-np.sin(l0), np.cos(l0), 0.0])
    north = np.cross(ahead, east)
    seen = stars.xyz @ GALACTIC.T
    a, e, n = seen @ ahead, seen @ east, seen @ north
    k = 2.0 * scale_px / (1.0 + np.maximum(a, -0.9)) / 2.0
    u, v = -e * k, -n * k  # longitude grows to the left, as seen from inside
    x = width / 2 + u * np.cos(roll) - v * np.sin(roll)
    y = height / 2 + u * np.sin(roll) + v * np.cos(roll)
    on = (x > -40) & (x < width + 40) & (y > -40) & (y < height + 40) & (a > -0.9)
    x, y, mag, tint = x[on], y[on], stars.mag[on], stars.tint[on]
    area = (2.0 / (1.0 + a[on])) ** 2  # a pixel away from the middle sees less sky

    glow = np.zeros((height + 80, width + 80, 3), np.float32)
    faint = mag > 6.5
    weight = np.where(faint, np.minimum(10 ** (-0.4 * (mag - 10.5)), 6.0) ** 0.5, 0) * area
    row, column = (y + 40).astype(int), (x + 40).astype(int)
    for c in range(3):
        np.add.at(glow[..., c], (row[faint], column[faint]), (weight * tint[:, c])[faint])
    fine = cv2.GaussianBlur(glow, (0, 0), width / 260)
    wide = cv2.GaussianBlur(glow, (0, 0), width / 50)
    glow = (0.75 * fine + 0.25 * wide)[40:-40, 40:-40]
    level = glow.mean(axis=2)
    floor, top = np.percentile(level, 6), np.percentile(level, 99.7)
    tone = np.clip((level - floor) / (top - floor), 0, 1.2) ** 1.25
    hue = glow / np.maximum(level, 1e-6)[..., None]
    hue = 1.0 + 2.3 * (hue / hue.mean(axis=(0, 1)) - 1.0)
    warm = np.array([1.0, 0.9, 0.78]) * tone[..., None] + np.array([0.62, 0.78, 1.0]) * (
        1 - tone[..., None]
    )
    picture = 0.78 * tone[..., None] * hue * warm
    picture += np.array([0.043, 0.059, 0.106])  # the page's own night

    order = np.argsort(-mag)
    for i in order[mag[order] < 8.0]:
        _splat(picture, x[i], y[i], mag[i], tint[i], max(width, 1400) / 2000)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _splat(
    picture: NDArray[np.float64],
    x: float,
    y: float,
    mag: float,
    tint: NDArray[np.float64],
    s: float,
) -> None:
    flux = 10 ** (-0.4 * (mag - 5.0))
    sigma = s * (0.72 + 0.30 * max(0.0, 4.5 - mag) ** 0.85)
    peak = min(0.85 * flux**0.45, 1.1)
    reach = int(4 * sigma + 2 + (14 * s if mag < 2.2 else 0))
    x0, y0 = int(x) - reach, int(y) - reach
    x1, y1 = x0 + 2 * reach + 1, y0 + 2 * reach + 1
    height, width = picture.shape[:2]
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        return
    ys, xs = np.mgrid[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    r2 = (xs - x) ** 2 + (ys - y) ** 2
    core = peak * np.exp(-r2 / (2 * sigma**2))
    halo = 0.10 * peak * np.exp(-r2 / (2 * (4 * sigma) ** 2)) if mag < 3.5 else 0.0
    # the middle of a bright star is white, its rim has the colour
    white = np.clip(core - 0.55, 0, 1)[..., None]
    part = picture[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    part += (core + halo)[..., None] * (tint + (1 - tint) * white)


def whole_sky(stars: Stars, width: int) -> NDArray[np.uint8]:
    """The whole sky for the map: Hammer-Aitoff, East left, 0 h in the middle: (width/2, width, 3).

    Grey on black: the page takes it for a mask, and paints the sky in a colour of its own.
    """
    height = width // 2
    x_deg, y_deg = aitoff_from_sky(stars.ra_deg, stars.dec_deg)
    x = np.clip((0.5 - x_deg / (2 * HALF_WIDTH_DEG)) * width, 0, width - 1)
    y = np.clip((0.5 - y_deg / (2 * HALF_HEIGHT_DEG)) * height, 0, height - 1)
    glow = np.zeros((height, width), np.float32)
    faint = stars.mag > 6.5
    weight = np.minimum(10 ** (-0.4 * (stars.mag - 10.5)), 6.0) ** 0.5
    np.add.at(glow, (y[faint].astype(int), x[faint].astype(int)), weight[faint])
    inside = np.zeros_like(glow)
    middle = (width // 2, height // 2)
    cv2.ellipse(inside, middle, (middle[0] - 2, middle[1] - 2), 0, 0, 360, 1, -1)
    # the sky does not end at the rim: what is outside has no weight
    sigma = width / 220
    level = cv2.GaussianBlur(glow, (0, 0), sigma) / np.maximum(
        cv2.GaussianBlur(inside, (0, 0), sigma), 0.2
    )
    floor, top = np.percentile(level[inside > 0], [8, 99.6])
    tone = np.clip((level - floor) / (top - floor), 0, 1) ** 1.15 * 0.42
    picture = np.repeat(tone[..., None].astype(np.float64), 3, axis=2)
    bright = stars.mag < 5.6
    for px, py, mag in zip(x[bright], y[bright], stars.mag[bright], strict=True):
        _splat(picture, px, py, mag + 0.6, np.ones(3), width / 2000)
    grey = np.clip(picture, 0, 1) * inside[..., None]
    return (grey * 255 + 0.5).astype(np.uint8)


def field(target: str, ra_deg: float, dec_deg: float, *, n_frames: int, rotation_deg: float,
          sky_level: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:  # fmt: skip
    """A simulated quarter of an hour: its first frame alone, and its stack, as pictures."""
    plan = SessionPlan(
        target=target, ra_deg=ra_deg, dec_deg=dec_deg, n_frames=n_frames, seeing=0.8,
        start_utc=datetime(2026, 1, 15, 21, 0, 5, tzinfo=UTC), rotation_deg=rotation_deg,
        sky_level=sky_level, seed=3, drift_arcsec_per_min=4.0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        simulate_session(plan, folder)
        raw = sorted(Path(folder).rglob("Light_*.fit"))[0]
        frame = read_frame(raw)
        stack_paths([Path(folder)], Path(folder) / "stacks")
        preview = next(p for p in (Path(folder) / "stacks").glob("*.webp") if "_512" not in p.name)
        stack = np.asarray(Image.open(preview).convert("RGB"))
    planes = np.moveaxis(bilinear(frame.mosaic, "GRBG"), 2, 0).astype(np.float32)
    one = preview_pixels(planes, np.ones(planes.shape[1:], np.int32), gains=(1.35, 1.0, 1.5))
    return one, stack


def cropped(
    pixels: NDArray[np.uint8], centre: tuple[float, float], width_px: int, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """A part of a picture, around a point (fractions of its sides), resized to ``size``."""
    height_px = round(width_px * size[1] / size[0])
    x = int(np.clip(centre[0] * pixels.shape[1] - width_px / 2, 0, pixels.shape[1] - width_px))
    y = int(np.clip(centre[1] * pixels.shape[0] - height_px / 2, 0, pixels.shape[0] - height_px))
    part = Image.fromarray(pixels[y : y + height_px, x : x + width_px])
    return np.asarray(part.resize(size, Image.Resampling.LANCZOS))


def fields() -> None:
    """Draw the simulated fields and what a stack does for a frame."""
    m51, m51_stack = field(
        "M 51", 202.4696, 47.1952, n_frames=72, rotation_deg=-172.0, sky_level=0.8
    )
    size = (420, 420)
    pair = np.zeros((420, 844, 3), np.uint8)
    pair[:, :420] = cropped(m51, (0.5, 0.5), 420, size)
    pair[:, 424:] = cropped(m51_stack, (0.5, 0.5), 420, size)
    save(pair, "frame-and-stack.webp", 45_000)
    save(cropped(m51_stack, (0.5, 0.5), 600, (384, 512)), "field-m51.webp", 26_000)
    m31 = field("M 31", 10.72, 41.25, n_frames=40, rotation_deg=35.0, sky_level=0.7)[1]
    save(cropped(m31, (0.5, 0.5), 1080, (384, 512)), "field-m31.webp", 26_000)
    m8 = field("M 8", 270.9, -24.25, n_frames=40, rotation_deg=0.0, sky_level=0.6)[1]
    save(cropped(m8, (0.5, 0.5), 1080, (384, 512)), "field-m8.webp", 26_000)


def save(pixels: NDArray[np.uint8], name: str, most_bytes: int) -> None:
    """As WebP, at the best quality that fits."""
    for quality in range(86, 20, -4):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= most_bytes:
            break
    ART.mkdir(parents=True, exist_ok=True)
    (ART / name).write_bytes(buffer.getvalue())
    print(f"{name}: {pixels.shape[1]} x {pixels.shape[0]}, q {quality}, {buffer.tell()} bytes")


def main() -> None:
    """Draw everything."""
    stars = Stars()
    wide = milky_way(stars, 1920, 1080, at_deg=(38.0, -3.0), roll_deg=24.0)
    save(wide, "milky-way.webp", 140_000)
    tall = milky_way(stars, 780, 1170, at_deg=(40.0, 0.0), roll_deg=66.0)
    save(tall, "milky-way-tall.webp", 75_000)
    save(whole_sky(stars, 1200), "whole-sky.webp", 45_000)
    fields()


if __name__ == "__main__":
    main()
