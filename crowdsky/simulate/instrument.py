"""A Seestar as a light meter: how many electrons a star gives, and how the sensor spoils them.

The figures of the S50 are measured on raw subs of two sessions (gain 80, firmware 2.76 and 4.27):
photon transfer between the four colour planes gives 0.0738 e-/ADU; stars of known VT give the zero
point; the dark-subtracted files show values in steps of 3.2, a pedestal near 480 ADU and one pixel
in 600 replaced by the mean of its neighbours of the same colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import SimulationError
from crowdsky.frames.telescopes import TELESCOPES, TelescopeModel
from crowdsky.simulate.hashing import generator

__all__ = ["CHANNELS", "Instrument", "SensorMap", "bayer_channels", "instrument_for"]

CHANNELS = "RGB"
"""Order of colour channels wherever an axis of length three means colour."""

APERTURE_MM = {"S50": 50.0, "S30": 30.0, "S30 Pro": 30.0}
S50_ZERO_POINT_MAG = 17.73
S50_SKY_E_PER_S = (2.75, 3.86, 2.35)
LP_PASSES_STARS = (0.30, 0.27, 0.20)
LP_PASSES_SKY = (0.22, 0.15, 0.15)
N_DARKS = 5


@dataclass(frozen=True, slots=True)
class Instrument:
    """One telescope with its camera, filter and gain.

    Attributes
    ----------
    telescope : TelescopeModel
        Size, scale and Bayer pattern.
    serial : str
        Seeds what differs between units: bad pixels, optical alignment, true plate scale.
    gain_e_per_adu : float
        Electrons a unit of the stored 16-bit scale.
    zero_point_mag : float
        Magnitude (VT) of a star that gives one electron a second in green, were every pixel green.
    star_share : tuple of 3 floats
        What the filter passes of stars, in red, green, blue.
    sky_e_per_s : tuple of 3 floats
        Electrons a pixel and second from a suburban sky, in red, green, blue, filter included.
    read_noise_e, dark_e_per_s : float
        Noise of one reading; mean dark current.
    pedestal_adu : float
        Level of a dark pixel in the file.
    vignetting : float
        Loss of light in the corners.
    fwhm_px : float
        Best optical FWHM at the centre (Moffat, before integration over a pixel).
    """

    telescope: TelescopeModel
    serial: str
    gain_e_per_adu: float
    zero_point_mag: float
    star_share: tuple[float, float, float]
    sky_e_per_s: tuple[float, float, float]
    read_noise_e: float = 1.5
    dark_e_per_s: float = 0.24
    pedestal_adu: float = 480.0
    vignetting: float = 0.03
    fwhm_px: float = 1.95

    @property
    def shape(self) -> tuple[int, int]:
        """``(ny, nx)`` of a frame."""
        return self.telescope.ny, self.telescope.nx

    def star_electrons(self, mag: NDArray[np.float64], exposure_s: float) -> NDArray[np.float64]:
        """Green electrons (of a sensor all green, without filter) that a star gives."""
        electrons: NDArray[np.float64] = exposure_s * 10 ** (-0.4 * (mag - self.zero_point_mag))
        return electrons

    def sensor_map(self, exposure_s: float, n_hot: int) -> SensorMap:
        """The unit's pixels with all their faults."""
        return _sensor_map(self, exposure_s, n_hot)


@dataclass(frozen=True, slots=True, eq=False)
class SensorMap:
    """What is fixed from pixel to pixel.

    Attributes
    ----------
    dark_e : ndarray of float32, shape (ny, nx)
        Mean electrons a pixel gathers in the dark.
    master_dark_adu : ndarray of float32, shape (ny, nx)
        The mean of five darks that the telescope subtracts, in steps of 3.2 ADU.
    replaced : ndarray of int64, shape (m, 2)
        ``(x, y)`` of pixels that the telescope replaces by the mean of four neighbours.
    hot : ndarray of float64, shape (n, 3)
        ``(x, y, adu)`` of hot pixels that the dark no longer removes.
    """

    dark_e: NDArray[np.float32]
    master_dark_adu: NDArray[np.float32]
    replaced: NDArray[np.int64]
    hot: NDArray[np.float64]


def bayer_channels(pattern: str) -> NDArray[np.int64]:
    """Channels (0 red, 1 green, 2 blue) of a Bayer pattern, shape (2, 2)."""
    if len(pattern) != 4 or any(c not in CHANNELS for c in pattern):
        raise SimulationError("a Bayer pattern is four letters of R, G and B", value=pattern)
    return np.array([CHANNELS.index(c) for c in pattern], dtype=np.int64).reshape(2, 2)


def instrument_for(
    model: str, serial: str = "51a0c0de", *, filter_name: str = "IRCUT", gain: float = 80.0
) -> Instrument:
    """The instrument of a Seestar model.

    Parameters
    ----------
    model : str
        ``'S50'``, ``'S30'`` or ``'S30 Pro'``.
    serial : str
        Serial number; units differ.
    filter_name : str
        ``'IRCUT'`` or ``'LP'`` (the dual-band light pollution filter).
    gain : float
        Camera gain in 0.1 dB.

    Raises
    ------
    SimulationError
        If the model or the filter is not known.
    """
    if model not in APERTURE_MM:
        raise SimulationError(f"the model must be one of {', '.join(APERTURE_MM)}", value=model)
    if filter_name not in ("IRCUT", "LP"):
        raise SimulationError("the filter must be IRCUT or LP", value=filter_name)
    telescope = TELESCOPES[model]
    light = (APERTURE_MM[model] / APERTURE_MM["S50"]) ** 2
    area = (telescope.scale_arcsec_per_px / TELESCOPES["S50"].scale_arcsec_per_px) ** 2
    lp = filter_name == "LP"
    return Instrument(
        telescope=telescope,
        serial=serial,
        gain_e_per_adu=0.0739 * 10 ** ((80.0 - gain) / 200.0),
        zero_point_mag=S50_ZERO_POINT_MAG + 2.5 * float(np.log10(light)),
        star_share=LP_PASSES_STARS if lp else (1.0, 1.0, 1.0),
        sky_e_per_s=_times(S50_SKY_E_PER_S, light * area, LP_PASSES_SKY if lp else (1.0, 1.0, 1.0)),
    )


def _times(
    values: tuple[float, float, float], factor: float, shares: tuple[float, float, float]
) -> tuple[float, float, float]:
    red, green, blue = (v * factor * s for v, s in zip(values, shares, strict=True))
    return red, green, blue


@lru_cache(maxsize=2)
def _sensor_map(instrument: Instrument, exposure_s: float, n_hot: int) -> SensorMap:
    ny, nx = instrument.shape
    rng = generator("sensor", instrument.serial, instrument.telescope.name)
    # Dark current of CMOS pixels: nearly all alike, with a thin tail of warm ones.
    dark_e = np.full((ny, nx), instrument.dark_e_per_s * exposure_s, dtype=np.float32)
    warm = rng.integers(0, ny * nx, size=ny * nx // 200)
    dark_e.flat[warm] *= np.exp(0.9 * rng.standard_normal(len(warm))).astype(np.float32) + 0.5
    noise_e = np.sqrt(dark_e + instrument.read_noise_e**2) / np.sqrt(N_DARKS)
    step_adu = 16.0 / N_DARKS
    darks = dark_e + noise_e * rng.standard_normal((ny, nx), dtype=np.float32)
    darks /= np.float32(instrument.gain_e_per_adu)
    master = np.rint(darks / np.float32(step_adu)) * np.float32(step_adu)

    count = ny * nx // 600
    inside = np.stack([rng.integers(2, nx - 2, count), rng.integers(2, ny - 2, count)], axis=1)
    hot_xy = np.stack([rng.integers(4, nx - 4, n_hot), rng.integers(4, ny - 4, n_hot)], axis=1)
    brightness = 400.0 + 16.0 * np.rint(rng.exponential(250.0, n_hot))
    return SensorMap(
        dark_e=dark_e,
        master_dark_adu=master.astype(np.float32),
        replaced=inside.astype(np.int64),
        hot=np.column_stack([hot_xy, brightness]).astype(np.float64),
    )
