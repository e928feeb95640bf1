"""Numbers drawn from what a thing is, not from the order in which it was drawn.

A star must have the same colour in every session that shows it, whatever else is in the field, so
its random properties are a hash of its identity instead of the next value of a generator.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

__all__ = ["generator", "hashed_normals", "hashed_uniforms", "keys_of"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA, 453)."""
    with np.errstate(over="ignore"):
        state = state + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _MIX_1
        state = (state ^ (state >> np.uint64(27))) * _MIX_2
    mixed: NDArray[np.uint64] = state ^ (state >> np.uint64(31))
    return mixed


def keys_of(*parts: ArrayLike) -> NDArray[np.uint64]:
    """Fold integer arrays of one shape into one 64-bit key an element."""
    arrays = np.broadcast_arrays(*[np.atleast_1d(np.asarray(p, dtype=np.int64)) for p in parts])
    key = np.zeros(arrays[0].shape, dtype=np.uint64)
    for array in arrays:
        key = _mix(key ^ np.ascontiguousarray(array).view(np.uint64))
    return key


def hashed_uniforms(keys: NDArray[np.uint64], salt: int) -> NDArray[np.float64]:
    """Uniform numbers in the open interval (0, 1), one a key; another salt gives other numbers."""
    mixed = _mix(keys ^ np.uint64(salt & 0xFFFFFFFFFFFFFFFF))
    return ((mixed >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52


def hashed_normals(keys: NDArray[np.uint64], salt: int) -> NDArray[np.float64]:
    """Standard normal numbers, one a key."""
    normals: NDArray[np.float64] = ndtri(hashed_uniforms(keys, salt))
    return normals


def generator(*parts: int | str) -> np.random.Generator:
    """A generator seeded by numbers and names; the same parts give the same stream everywhere."""
    seeds = [zlib.crc32(p.encode()) if isinstance(p, str) else int(p) & 0xFFFFFFFF for p in parts]
    return np.random.Generator(np.random.SFC64(seeds))
