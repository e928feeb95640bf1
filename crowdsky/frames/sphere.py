"""Directions on the sky as vectors, for which neither RA 0 nor a pole is special."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["Vector", "angle_deg", "direction", "position_deg", "vector_sum"]

Vector = tuple[float, float, float]


def direction(ra_deg: float, dec_deg: float) -> Vector:
    """Unit vector of a position in degrees."""
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    return (math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec))


def vector_sum(vectors: Sequence[Vector]) -> Vector:
    """Sum of vectors, the same to the last bit in whatever order they come."""
    return (
        math.fsum(v[0] for v in vectors),
        math.fsum(v[1] for v in vectors),
        math.fsum(v[2] for v in vectors),
    )


def position_deg(total: Vector) -> tuple[float, float]:
    """Position in degrees that a vector points to; NaN, NaN for no direction at all."""
    x, y, z = total
    if x == y == z == 0.0:
        return math.nan, math.nan
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def angle_deg(a: Vector, b: Vector) -> float:
    """Angle between two vectors, accurate for small ones (no arc cosine)."""
    cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return math.degrees(math.atan2(math.hypot(*cross), a[0] * b[0] + a[1] * b[1] + a[2] * b[2]))
