"""From one image to one star list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import DetectionError, SettingsError
from crowdsky.stars import centroid
from crowdsky.stars.background import BackgroundMesh, sample_mesh
from crowdsky.stars.luminance import (
    SATURATION_ADU,
    SMOOTHED_NOISE_GAIN,
    SMOOTHED_WEIGHT,
    smoothed_superpixels,
)
from crowdsky.stars.peaks import Peaks, find_peaks
from crowdsky.stars.shape import FWHM_PER_SIGMA, Profile, axes_px, is_starlike, typical_profile
from crowdsky.stars.star_list import StarList

__all__ = ["DetectionSettings", "colour_lattice", "detect_stars", "detect_stars_image"]

#: A mosaic, or an image of one colour.
Pixels = NDArray[np.uint16] | NDArray[np.float32]

_COLOURS = {"R": 0, "G": 1, "B": 2}
_MIN_SIDE_PX = 16
#: How many of the brightest detections are asked for the frame's typical profile.
_N_FOR_PROFILE = 30
#: First guess of the variance of a profile at most, and largest believed, in pixel^2.
_NARROW_PX2 = 3.0
_WIDEST_PX2 = 36.0
#: With fewer round ones of one width among them, more are asked.
_N_AGREEING = 6
#: How far their profiles may be from the first guess.
_LOOSE = 2.0


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """What counts as a star.

    Attributes
    ----------
    threshold_sigma : float
        Height of a peak over background, and over the ring around it, in standard deviations of
        the smoothed image; and least signal-to-noise ratio of the fitted flux.
    max_stars : int
        Most stars to return.
    saturation_adu : float
        Pixels at or above are saturated.
    mesh_px : int
        Width of a cell of the background mesh in full-resolution pixels.
    profile_width : float
        How far, relatively, the moments of single stars are expected to depart from those of the
        frame's typical star: the fainter a star, the more its shape is drawn to the typical one.
    """

    threshold_sigma: float = 5.0
    max_stars: int = 400
    saturation_adu: float = SATURATION_ADU
    mesh_px: int = 64
    profile_width: float = 0.3

    def __post_init__(self) -> None:
        """Refuse settings that would find nothing or everything."""
        if not self.threshold_sigma >= 1.0:
            raise SettingsError("threshold_sigma must be at least 1", value=self.threshold_sigma)
        if self.max_stars < 1:
            raise SettingsError("max_stars must be at least 1", value=self.max_stars)
        if self.mesh_px < 16:
            raise SettingsError("mesh_px must be at least 16", value=self.mesh_px)


def colour_lattice(bayer: str) -> NDArray[np.int64]:
    """Colours (0 red, 1 green, 2 blue) of the four pixels of a superpixel, shape (2, 2).

    Parameters
    ----------
    bayer : str
        Pattern in reading order, rows as stored: ``'GRBG'``, ``'RGGB'``, ...

    Raises
    ------
    SettingsError
        When the pattern is not one red, one blue and two green pixels.
    """
    pattern = bayer.strip().upper()
    if sorted(pattern) != ["B", "G", "G", "R"]:
        raise SettingsError("a Bayer pattern has one R, two G and one B", value=bayer)
    return np.array([_COLOURS[c] for c in pattern], dtype=np.int64).reshape(2, 2)


def detect_stars(
    mosaic: NDArray[np.uint16],
    bayer: str = "GRBG",
    *,
    settings: DetectionSettings | None = None,
) -> StarList:
    """Find the stars of a raw Bayer mosaic.

    Peaks are found on smoothed superpixels; places, shapes and fluxes are then fitted to the pixels
    of the mosaic itself, with one height a colour.

    Parameters
    ----------
    mosaic : ndarray of uint16, shape (ny, nx)
        Raw frame as read (native byte order).
    bayer : str
        Colour pattern of the first two rows.
    settings : DetectionSettings, optional
        What counts as a star.

    Returns
    -------
    StarList
        Star-like detections by falling flux, then the others by falling flux. Without entries when
        there is nothing to find.

    Raises
    ------
    SettingsError
        For an unknown Bayer pattern.
    DetectionError
        For an array that is not uint16 or not two-dimensional.
    """
    if mosaic.dtype != np.uint16:
        raise DetectionError("a mosaic must be uint16 in native byte order", value=mosaic.dtype)
    return _detect(mosaic, colour_lattice(bayer), settings or DetectionSettings())


def detect_stars_image(
    image: NDArray[np.floating], *, settings: DetectionSettings | None = None
) -> StarList:
    """Find the stars of an image of one colour: a channel of a stack, or a luminance.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        NaN where there is no data.
    settings : DetectionSettings, optional
        What counts as a star.

    Returns
    -------
    StarList
        As from `detect_stars`.
    """
    pixels = np.array(image, dtype=np.float32, order="C")
    finite = np.isfinite(pixels)
    if not finite.all():
        level = np.float32(np.median(pixels[finite])) if finite.any() else np.float32(0.0)
        pixels[~finite] = level
    return _detect(pixels, np.zeros((2, 2), np.int64), settings or DetectionSettings())


def _detect(
    image: Pixels,
    cfa: NDArray[np.int64],
    settings: DetectionSettings,
) -> StarList:
    if image.ndim != 2:
        raise DetectionError("an image must have two dimensions", value=image.shape)
    shape = (int(image.shape[0]), int(image.shape[1]))
    if min(shape) < _MIN_SIDE_PX:
        return _nothing(shape, float("nan"), float("nan"))
    pixels = cast(Pixels, np.ascontiguousarray(image))
    smooth = smoothed_superpixels(pixels)
    # Whole numbers scatter by 1 / sqrt(12) however quiet the sensor.
    floor = 0.3 * SMOOTHED_NOISE_GAIN if pixels.dtype == np.uint16 else 0.0
    mesh = sample_mesh(smooth, cell=max(settings.mesh_px // 2, 8), floor=floor)
    background, noise = _background_and_noise(mesh)
    # A few more than wanted, for those that prove to be too faint once they are fitted.
    wanted = settings.max_stars + settings.max_stars // 4 + 20
    peaks = find_peaks(pixels, smooth, mesh, n_sigma=settings.threshold_sigma, max_peaks=wanted)
    if len(peaks.x_px) == 0:
        return _nothing(shape, background, noise)
    profile, brightest = _typical_star(pixels, cfa, peaks, noise, settings.saturation_adu)
    table = centroid.fit_stars(
        pixels, cfa, peaks.x_px, peaks.y_px, profile, settings.profile_width,
        noise, settings.saturation_adu, settings.max_stars, brightest,
    )  # fmt: skip
    return _star_list(table, profile, shape, background, noise, settings)


def _typical_star(
    pixels: Pixels,
    cfa: NDArray[np.int64],
    peaks: Peaks,
    noise: float,
    saturation_adu: float,
) -> tuple[Profile, NDArray[np.float64]]:
    """What a star of this frame looks like, and the fits of the brightest that tell."""
    nothing_known = np.empty((0, centroid.N_COLUMNS))
    # Starting narrow: a fit that starts wide on a star in nebulosity settles on the nebulosity.
    guess = min(max(peaks.variance_px2, 0.5), _NARROW_PX2)
    n = _N_FOR_PROFILE
    while True:
        brightest = centroid.fit_stars(
            pixels, cfa, peaks.x_px[:n], peaks.y_px[:n], (guess, guess, 0.0), _LOOSE,
            noise, saturation_adu, n, nothing_known,
        )  # fmt: skip
        profile, n_agreeing = typical_profile(brightest)
        width = (profile.fwhm_px / FWHM_PER_SIGMA) ** 2
        if width > 2.0 * guess and guess < _WIDEST_PX2:
            guess = min(width, _WIDEST_PX2)
        elif n_agreeing < _N_AGREEING and n < min(len(peaks.x_px), 5 * _N_FOR_PROFILE):
            # Under a bright satellite trail the first dozens may all be pieces of it.
            n = 5 * _N_FOR_PROFILE
        else:
            return profile, brightest


def _background_and_noise(mesh: BackgroundMesh) -> tuple[float, float]:
    """Median background and noise of one pixel, in ADU."""
    return (
        mesh.median_level / SMOOTHED_WEIGHT,
        mesh.median_sigma / SMOOTHED_NOISE_GAIN,
    )


def _star_list(
    table: NDArray[np.float64],
    profile: Profile,
    shape: tuple[int, int],
    background: float,
    noise: float,
    settings: DetectionSettings,
) -> StarList:
    saturated = table[:, centroid.SATURATED] > 0
    whole = (table[:, centroid.SHARP] == 0) & (table[:, centroid.LOST] == 0)
    fwhm, elongation = axes_px(*(table[:, k] for k in (centroid.VXX, centroid.VYY, centroid.VXY)))
    peak = table[:, centroid.PEAK]
    flux = table[:, centroid.FLUX]
    snr = flux / np.maximum(table[:, centroid.ERROR], 1e-6)
    starlike = whole & is_starlike(fwhm, elongation, snr, saturated, profile)
    # A fit may end outside the image, or on a hole, or leave little: that is no detection.
    x = table[:, centroid.X]
    y = table[:, centroid.Y]
    inside = (x > -0.5) & (y > -0.5) & (x < shape[1] - 0.5) & (y < shape[0] - 0.5)
    inside &= snr >= settings.threshold_sigma
    order = np.lexsort((x, -flux, ~starlike))
    order = order[inside[order]][: settings.max_stars]
    return StarList(
        x_px=x[order],
        y_px=y[order],
        flux_adu=flux[order],
        shape=shape,
        fwhm_px=fwhm[order],
        elongation=elongation[order],
        peak_adu=peak[order],
        snr=snr[order],
        saturated=saturated[order],
        starlike=starlike[order],
        background_adu=background,
        noise_adu=noise,
    )


def _nothing(shape: tuple[int, int], background: float, noise: float) -> StarList:
    none = np.empty(0)
    no = np.empty(0, dtype=bool)
    return StarList(none, none, none, shape, none, none, none, none, no, no, background, noise)
