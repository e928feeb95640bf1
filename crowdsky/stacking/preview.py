"""A picture of a stack: dark neutral sky, stars in their colours, faint things lifted.

Sky is subtracted colour by colour, the colours are balanced on the stars, and brightness (not each
colour) is stretched with an inverse hyperbolic sine, so that hues survive (Lupton et al. 2004,
PASP 116, 133).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crowdsky.aside import written_aside
from crowdsky.errors import StackError
from crowdsky.kernels import njit
from crowdsky.stacking.product import StackProduct

__all__ = ["preview_pixels", "write_previews"]

THUMBNAIL_PX = 512
_TABLE_SIZE = 16_384
#: Sky ends up this bright (of 1), so that its noise is just seen and it is not grey.
_SKY_TONE = 0.055


@njit(fastmath=True)
def _paint(planes, sky, gains, noise, table, table_scale, covered, out):
    ny, nx = covered.shape
    last = table.size - 1
    for y in range(ny):
        for x in range(nx):
            if covered[y, x] == 0:
                continue
            r = (planes[0, y, x] - sky[0]) * gains[0]
            g = (planes[1, y, x] - sky[1]) * gains[1]
            b = (planes[2, y, x] - sky[2]) * gains[2]
            level = np.float32(0.25) * (r + b) + np.float32(0.5) * g
            # square-rooted index: fine steps where the sky is
            lifted = max(level + np.float32(4.0) * noise, np.float32(0.0))
            i = min(int(np.sqrt(lifted) * table_scale), last)
            tone = table[i]
            # colour fades into the sky's noise, where it means nothing
            signal = max(level, np.float32(0.0))
            trust = signal / (signal + np.float32(3.0) * noise)
            factor = trust * tone / max(signal, noise)
            pr = tone + (r - level) * factor
            pg = tone + (g - level) * factor
            pb = tone + (b - level) * factor
            # too bright a colour goes to white by losing saturation, not by clipping
            top = max(pr, pg, pb)
            if top > np.float32(1.0):
                mix = (np.float32(1.0) - tone) / max(top - tone, np.float32(1e-6))
                mix = max(mix, np.float32(0.0))
                pr = tone + (pr - tone) * mix
                pg = tone + (pg - tone) * mix
                pb = tone + (pb - tone) * mix
            out[y, x, 0] = np.uint8(min(max(pr, np.float32(0.0)), np.float32(1.0)) * 255.0 + 0.5)
            out[y, x, 1] = np.uint8(min(max(pg, np.float32(0.0)), np.float32(1.0)) * 255.0 + 0.5)
            out[y, x, 2] = np.uint8(min(max(pb, np.float32(0.0)), np.float32(1.0)) * 255.0 + 0.5)


def preview_pixels(
    planes: NDArray[np.float32],
    footprint: NDArray[np.int32],
    *,
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> NDArray[np.uint8]:
    """Stretch three planes into a colour picture.

    Parameters
    ----------
    planes : ndarray of float32, shape (3, ny, nx)
    footprint : ndarray of int32, shape (ny, nx)
        Pixels at 0 come out black.
    gains : tuple of float
        Colour balance.

    Returns
    -------
    ndarray of uint8, shape (ny, nx, 3)
    """
    out = np.zeros((*footprint.shape, 3), np.uint8)
    covered = footprint[::4, ::4] > 0
    if not covered.any():
        return out
    samples = np.stack([p[::4, ::4][covered] for p in planes])
    sky = np.median(samples, axis=1)
    g = np.asarray(gains, np.float32)
    flat = (samples - sky[:, None]) * g[:, None]
    level = 0.25 * (flat[0] + flat[2]) + 0.5 * flat[1]
    noise = max(float(np.median(np.abs(level))) / 0.6745, 1e-3)
    # the brightest thousandth is white or nearly so, unless the field is empty
    white = max(float(np.percentile(level, 99.9)), 60.0 * noise)
    reach = white * 4.0 + 8.0 * noise
    grid = (np.arange(_TABLE_SIZE) / (_TABLE_SIZE - 1)) ** 2 * reach - 4.0 * noise
    softening = 2.5 * noise
    curve = np.arcsinh(np.maximum(grid, -4.0 * noise) / softening) / np.arcsinh(white / softening)
    table = np.clip(_SKY_TONE + (1.0 - _SKY_TONE) * curve, 0.0, 1.0).astype(np.float32)
    _paint(
        planes,
        sky.astype(np.float32),
        g,
        np.float32(noise),
        table,
        np.float32((_TABLE_SIZE - 1) / np.sqrt(reach)),
        footprint,
        out,
    )
    return out


def star_gains(stars: NDArray[np.void]) -> tuple[float, float, float]:
    """Colour balance that makes the typical bright star white; neutral with fewer than five."""
    good = (stars["flag"] == 0) & (stars["flux_green"] > 20 * stars["flux_green_err"])
    good &= (stars["flux_red"] > 0) & (stars["flux_blue"] > 0)
    if good.sum() < 5:
        return 1.0, 1.0, 1.0
    red = float(np.median(stars["flux_green"][good] / stars["flux_red"][good]))
    blue = float(np.median(stars["flux_green"][good] / stars["flux_blue"][good]))
    return float(np.clip(red, 0.4, 2.5)), 1.0, float(np.clip(blue, 0.4, 2.5))


def write_previews(product: StackProduct, full: Path, thumbnail: Path | None = None) -> None:
    """Write the picture of a stack, full size and 512 pixels long.

    Parameters
    ----------
    product : StackProduct
    full : Path
        ``.webp`` or ``.png``.
    thumbnail : Path, optional

    Raises
    ------
    StackError
        If the suffix is neither or the file cannot be written.
    """
    from PIL import Image

    pixels = preview_pixels(
        product.image.planes, product.footprint, gains=star_gains(product.stars)
    )
    picture = Image.fromarray(pixels)
    _save(picture, full)
    if thumbnail is not None:
        small = picture.copy()
        small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS, reducing_gap=2.0)
        _save(small, thumbnail)


def _save(picture: object, path: Path) -> None:
    kind = path.suffix.lower()
    if kind not in {".webp", ".png"}:
        raise StackError("a preview is .webp or .png", file=path, value=kind or "no suffix")
    try:
        with written_aside(path) as stream:
            if kind == ".webp":
                picture.save(stream, format="WEBP", quality=82, method=0)  # type: ignore[attr-defined]
            else:
                picture.save(stream, format="PNG", compress_level=3)  # type: ignore[attr-defined]
    except OSError as error:
        raise StackError(
            f"the preview could not be written ({error.strerror or error})", file=path
        ) from error
