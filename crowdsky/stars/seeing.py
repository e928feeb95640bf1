"""What a frame's stars and pixels say of its quality: seeing, clouds, trailing, clipping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crowdsky.stars.detect import colour_lattice
from crowdsky.stars.luminance import SATURATION_ADU
from crowdsky.stars.star_list import StarList

__all__ = ["FrameQuality", "grade_frame"]

#: Rows are sampled in pairs, one pair in so many: a few hundred thousand pixels are plenty.
_PAIR_STEP = 8
_COLUMN_STEP = 4  # with it, some 60,000 pixels are looked at: quartiles to half a per cent
_QUARTILE_SIGMA = 0.6744898


@dataclass(frozen=True, slots=True)
class FrameQuality:
    """Figures by which a frame is kept, weighted or rejected; no verdict.

    Attributes
    ----------
    n_stars, n_starlike : int
        Detections, and those with the shape of a star.
    fwhm_px, elongation : float
        Medians over star-like unsaturated stars with SNR of at least 10 (all star-like ones where
        fewer than three are that bright); NaN without stars.
    flux_adu : float
        Median flux of the ten brightest star-like stars: drops under clouds. NaN without stars.
    background_adu, noise_adu : tuple of float
        Median and standard deviation of the sky in R, G and B.
    zero_fraction : tuple of float
        Share of pixels at zero in R, G and B: a clipped or dead frame.
    saturated_fraction : float
        Share of saturated pixels.
    """

    n_stars: int
    n_starlike: int
    fwhm_px: float
    elongation: float
    flux_adu: float
    background_adu: tuple[float, float, float]
    noise_adu: tuple[float, float, float]
    zero_fraction: tuple[float, float, float]
    saturated_fraction: float

    @property
    def starlike_fraction(self) -> float:
        """Share of the detections that look like stars; NaN without detections."""
        return self.n_starlike / self.n_stars if self.n_stars else float("nan")


def grade_frame(
    mosaic: NDArray[np.uint16],
    stars: StarList,
    bayer: str = "GRBG",
    *,
    saturation_adu: float = SATURATION_ADU,
) -> FrameQuality:
    """Measure a raw frame whose stars have been detected.

    Parameters
    ----------
    mosaic : ndarray of uint16, shape (ny, nx)
        Raw Bayer frame.
    stars : StarList
        Its stars, from `crowdsky.stars.detect_stars`.
    bayer : str
        Colour pattern of the first two rows.
    saturation_adu : float
        Pixels at or above are saturated.

    Returns
    -------
    FrameQuality
    """
    lattice = colour_lattice(bayer)
    rows = np.arange(0, mosaic.shape[0] - 1, 2 * _PAIR_STEP)
    background, noise, zero = [], [], []
    n_saturated = n_pixels = 0
    for colour in range(3):
        pixels = np.concatenate(
            [
                mosaic[rows + p, q :: 2 * _COLUMN_STEP].ravel()
                for p in range(2)
                for q in range(2)
                if lattice[p, q] == colour
            ]
        )
        n_pixels += len(pixels)
        n_saturated += int(np.count_nonzero(pixels >= saturation_adu))
        if len(pixels) == 0:
            background.append(float("nan"))
            noise.append(float("nan"))
            zero.append(float("nan"))
            continue
        zero.append(float(np.count_nonzero(pixels == 0)) / len(pixels))
        # The lower quartile: stars and hot pixels lie above the median.
        low, middle = _low_and_middle(pixels)
        background.append(middle)
        noise.append((middle - low) / _QUARTILE_SIGMA)
    fwhm, elongation, flux = _typical_star(stars)
    return FrameQuality(
        n_stars=len(stars),
        n_starlike=int(np.count_nonzero(stars.starlike)),
        fwhm_px=fwhm,
        elongation=elongation,
        flux_adu=flux,
        background_adu=(background[0], background[1], background[2]),
        noise_adu=(noise[0], noise[1], noise[2]),
        zero_fraction=(zero[0], zero[1], zero[2]),
        saturated_fraction=n_saturated / n_pixels if n_pixels else float("nan"),
    )


def _low_and_middle(pixels: NDArray[np.uint16]) -> tuple[float, float]:
    n = len(pixels)
    parted = np.partition(pixels, (n // 4, n // 2))
    return float(parted[n // 4]), float(parted[n // 2])


def _typical_star(stars: StarList) -> tuple[float, float, float]:
    good = stars.starlike & ~stars.saturated
    bright = good & (stars.snr >= 10)
    chosen = bright if np.count_nonzero(bright) >= 3 else good
    nan = float("nan")
    fwhm, elongation = (
        (float(np.median(stars.fwhm_px[chosen])), float(np.median(stars.elongation[chosen])))
        if chosen.any()
        else (nan, nan)
    )
    flux = stars.flux_adu[stars.starlike][:10]
    return fwhm, elongation, float(np.median(flux)) if len(flux) else nan
