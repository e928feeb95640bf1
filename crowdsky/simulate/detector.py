"""From electrons to the numbers in the file: noise, 12 bits, dark subtraction, bad pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit
from crowdsky.simulate.instrument import Instrument, SensorMap

__all__ = ["OFFSET_DN", "read_out"]

OFFSET_DN = 30.0
"""Offset of the converter in its own 12-bit units, well above its noise."""


@njit(fastmath=True)
def _digitise(light_e, dark_e, normals, master, e_per_dn, read_noise, offset, pedestal, out):
    ny, nx = light_e.shape
    read_variance = read_noise * read_noise
    for y in range(ny):
        for x in range(nx):
            mean = max(light_e[y, x] + dark_e[y, x], np.float32(0.0))
            z = normals[y, x]
            # The last term gives the skew of a Poisson count (Cornish & Fisher 1938), which is
            # plain to see at forty electrons.
            electrons = mean + np.sqrt(mean + read_variance) * z + (z * z - 1.0) / 6.0
            dn = np.floor(electrons / e_per_dn + offset + 0.5)
            dn = min(max(dn, 0.0), 4095.0)
            adu = 16.0 * (dn - offset) - master[y, x] + pedestal
            out[y, x] = np.uint16(min(max(adu, 0.0), 65535.0))


@njit()
def _replace(out, places):
    for i in range(len(places)):
        x, y = places[i, 0], places[i, 1]
        total = (
            np.int64(out[y, x - 2]) + np.int64(out[y, x + 2])
            + np.int64(out[y - 2, x]) + np.int64(out[y + 2, x])
        )  # fmt: skip
        out[y, x] = np.uint16(total // 4)


def read_out(
    light_e: NDArray[np.float32],
    instrument: Instrument,
    sensor: SensorMap,
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    """Digitise one exposure.

    Parameters
    ----------
    light_e : ndarray of float32, shape (ny, nx)
        Expected electrons of light in each pixel.
    instrument : Instrument
        Gain, read noise, pedestal.
    sensor : SensorMap
        Dark current, the dark that is subtracted, bad pixels.
    rng : numpy.random.Generator
        The noise of this exposure.

    Returns
    -------
    ndarray of uint16, shape (ny, nx)
        12-bit values times 16, less a dark that is the mean of five: as in real subs, any one pixel
        changes from frame to frame by multiples of 16, and the whole is on a lattice of 3.2.
    """
    normals = rng.standard_normal(light_e.shape, dtype=np.float32)
    out = np.empty(light_e.shape, dtype=np.uint16)
    _digitise(
        light_e, sensor.dark_e, normals, sensor.master_dark_adu,
        np.float32(16.0 * instrument.gain_e_per_adu), np.float32(instrument.read_noise_e),
        np.float32(OFFSET_DN), np.float32(instrument.pedestal_adu), out,
    )  # fmt: skip
    _replace(out, sensor.replaced)
    for x, y, adu in sensor.hot:
        out[int(y), int(x)] = min(int(out[int(y), int(x)]) + int(adu), 65520)
    return out
