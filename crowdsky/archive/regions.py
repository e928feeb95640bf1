"""Regions of the sky, exact to their edges.

Each region answers two questions: roughly where it is (`Bounds`, to leave most of a million stacks
aside cheaply), and whether a position lies in it. Edges belong to the region; where an edge is a
circle of the sphere, it counts as `EDGE_RAD` wide, so that a corner that was given in degrees is
inside whatever the last digit of its unit vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crowdsky.archive.positions import unit_vectors
from crowdsky.errors import ArchiveError

__all__ = ["EDGE_RAD", "BadQuery", "Bounds", "Cone", "Polygon", "Rectangle", "Region"]

#: 0.2 microarcseconds: a few times what rounding does to a unit vector.
EDGE_RAD = 1e-12

_MAX_CORNERS = 1000

Degrees = NDArray[np.float64]
Mask = NDArray[np.bool_]


class BadQuery(ArchiveError):
    """A question to the archive that has no meaning: a value beyond its range."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What surely encloses a region.

    Attributes
    ----------
    dec_from_deg, dec_to_deg : float
    centre : tuple of 3 floats, or None
        Unit vector of an enclosing cone, if there is a useful one.
    cos_radius : float
        Of that cone.
    cos_inner : float
        Of a cone with the same axis that surely lies in the region; 2 if there is none.
    """

    dec_from_deg: float
    dec_to_deg: float
    centre: tuple[float, float, float] | None = None
    cos_radius: float = -1.0
    cos_inner: float = 2.0


class Region(Protocol):
    """A part of the sky."""

    @property
    def bounds(self) -> Bounds:
        """What encloses it."""

    def contains(self, ra_deg: Degrees, dec_deg: Degrees) -> Mask:
        """Which positions lie in it; those that are NaN do not."""


@dataclass(frozen=True)
class Rectangle:
    """Between two meridians and two parallels.

    Parameters
    ----------
    ra_from_deg, ra_to_deg : float
        Eastwards from one to the other: 350 to 10 goes across 0 h. Their difference being 360 or
        more, it is the full circle.
    dec_from_deg, dec_to_deg : float
        From -90 to 90. A rectangle that reaches a pole holds the pole.

    Raises
    ------
    BadQuery
    """

    ra_from_deg: float
    ra_to_deg: float
    dec_from_deg: float
    dec_to_deg: float

    def __post_init__(self) -> None:
        _check_finite("a right ascension", self.ra_from_deg, self.ra_to_deg)
        _check_declination(self.dec_from_deg, self.dec_to_deg)
        if self.dec_from_deg > self.dec_to_deg:
            raise BadQuery(
                "the lower declination of a rectangle is above the upper one",
                value=f"{self.dec_from_deg} to {self.dec_to_deg}",
            )

    @property
    def bounds(self) -> Bounds:
        """What encloses it."""
        return Bounds(self.dec_from_deg, self.dec_to_deg)

    def contains(self, ra_deg: Degrees, dec_deg: Degrees) -> Mask:
        """Which positions lie in it."""
        inside: Mask = (dec_deg >= self.dec_from_deg) & (dec_deg <= self.dec_to_deg)
        if self.ra_to_deg - self.ra_from_deg >= 360.0:
            return inside
        first, last = self.ra_from_deg % 360.0, self.ra_to_deg % 360.0
        if first <= last:
            between = (ra_deg >= first) & (ra_deg <= last)
        else:
            between = (ra_deg >= first) | (ra_deg <= last)
        if max(abs(self.dec_from_deg), abs(self.dec_to_deg)) == 90.0:
            between |= np.abs(dec_deg) == 90.0  # a pole has every right ascension
        inside &= between
        return inside


@dataclass(frozen=True)
class Cone:
    """All within a distance of a position.

    Parameters
    ----------
    ra_deg, dec_deg : float
    radius_deg : float
        From 0 to 180.

    Raises
    ------
    BadQuery
    """

    ra_deg: float
    dec_deg: float
    radius_deg: float

    def __post_init__(self) -> None:
        _check_finite("a right ascension", self.ra_deg)
        _check_declination(self.dec_deg)
        _check_finite("a radius", self.radius_deg)
        if not 0.0 <= self.radius_deg <= 180.0:
            raise BadQuery("a radius is 0 to 180 degrees", value=self.radius_deg)

    @cached_property
    def _centre(self) -> NDArray[np.float64]:
        return unit_vectors(self.ra_deg, self.dec_deg)

    @property
    def bounds(self) -> Bounds:
        """What encloses it."""
        radius = self.radius_deg + 1e-9
        x, y, z = (float(value) for value in self._centre)
        return Bounds(
            max(-90.0, self.dec_deg - radius),
            min(90.0, self.dec_deg + radius),
            (x, y, z),
            float(np.cos(np.radians(min(radius, 180.0)))),
            float(np.cos(np.radians(max(self.radius_deg - 1e-9, 0.0)))),
        )

    def contains(self, ra_deg: Degrees, dec_deg: Degrees) -> Mask:
        """Which positions lie in it.

        By the chord, which keeps its digits at small distances; beyond a right angle by the chord
        to the antipode.
        """
        points = unit_vectors(ra_deg, dec_deg)
        radius = np.radians(self.radius_deg) + EDGE_RAD
        if radius <= np.pi / 2:
            inside: Mask = _chord2(points, self._centre) <= 4.0 * np.sin(radius / 2.0) ** 2
            return inside
        left = max(np.pi - radius, 0.0)
        beyond: Mask = _chord2(points, -self._centre) >= 4.0 * np.sin(left / 2.0) ** 2
        return beyond


@dataclass(frozen=True)
class Polygon:
    """What great circles from corner to corner enclose.

    All corners lie within 90 degrees of their middle, which says which side is the inside; a pole
    may be in it. Where edges cross, the even-odd rule holds.

    Parameters
    ----------
    corners : sequence of (float, float)
        ``(ra, dec)`` in degrees, in either sense, 3 to 1000 of them; the last edge goes back to
        the first corner.

    Raises
    ------
    BadQuery
    """

    corners: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        corners = tuple((float(ra), float(dec)) for ra, dec in self.corners)
        object.__setattr__(self, "corners", corners)
        if not 3 <= len(corners) <= _MAX_CORNERS:
            raise BadQuery(f"a polygon has 3 to {_MAX_CORNERS} corners", value=len(corners))
        _check_finite("a right ascension", *(ra for ra, _ in corners))
        _check_declination(*(dec for _, dec in corners))
        if float(self._frame[2] @ self._frame[2]) < 0.5 or self._cos_radius < 1e-6:
            raise BadQuery("a polygon's corners lie within 90 degrees of their middle")

    @cached_property
    def _vectors(self) -> NDArray[np.float64]:
        """Corners, shape (n, 3)."""
        ra, dec = np.array(self.corners).T
        return unit_vectors(ra, dec).T

    @cached_property
    def _frame(self) -> NDArray[np.float64]:
        """Axes, shape (3, 3): two across, and the third towards the middle."""
        total = self._vectors.sum(axis=0)
        length = float(np.linalg.norm(total))
        if length < 1e-9:
            return np.zeros((3, 3))
        middle = total / length
        across = np.cross(middle, np.eye(3)[int(np.argmin(np.abs(middle)))])
        across /= np.linalg.norm(across)
        return np.stack([across, np.cross(middle, across), middle])

    @cached_property
    def _cos_radius(self) -> float:
        return float((self._vectors @ self._frame[2]).min())

    @cached_property
    def _cos_inner(self) -> float:
        """Of the circle around the middle that touches the nearest edge's great circle."""
        ra, dec = np.degrees(np.arctan2(self._frame[2, 1], self._frame[2, 0])), self._middle_dec_deg
        if not self.contains(np.array([ra]), np.array([dec])).all():
            return 2.0
        normals = np.cross(self._vectors, np.roll(self._vectors, -1, axis=0))
        lengths = np.linalg.norm(normals, axis=1)
        real = lengths > EDGE_RAD
        nearest = float(np.abs(normals[real] @ self._frame[2] / lengths[real]).min())
        return float(np.cos(np.arcsin(min(nearest, 1.0)) - 1e-9)) if nearest > 1e-6 else 2.0

    @property
    def _middle_dec_deg(self) -> float:
        return float(np.degrees(np.arcsin(np.clip(self._frame[2, 2], -1.0, 1.0))))

    @property
    def bounds(self) -> Bounds:
        """What encloses it: the cone around its middle."""
        x, y, z = (float(value) for value in self._frame[2])
        middle = self._middle_dec_deg
        radius = float(np.degrees(np.arccos(np.clip(self._cos_radius, -1.0, 1.0)))) + 1e-6
        return Bounds(
            max(-90.0, middle - radius),
            min(90.0, middle + radius),
            (x, y, z),
            float(np.cos(np.radians(radius))),
            self._cos_inner,
        )

    def contains(self, ra_deg: Degrees, dec_deg: Degrees) -> Mask:
        """Which positions lie in it.

        Seen from the sphere's centre, great circles are straight lines, so the plane's test by
        crossings of a ray (Shimrat 1962, CACM 5, 434) holds; the side of an edge is the sign of a
        triple product, which needs no division.
        """
        points = unit_vectors(ra_deg, dec_deg)
        depth = self._frame[2] @ points
        with np.errstate(divide="ignore", invalid="ignore"):
            height = (self._frame[1] @ points) / depth
        odd = np.zeros(depth.shape, bool)
        edge = np.zeros(depth.shape, bool)
        heights = (self._vectors @ self._frame[1]) / (self._vectors @ self._frame[2])
        n = len(heights)
        for index in range(n):
            after = (index + 1) % n
            first, last = self._vectors[index], self._vectors[after]
            normal = np.cross(first, last)
            length = float(np.linalg.norm(normal))
            if length < EDGE_RAD:
                continue  # the same corner twice
            side = (normal / length) @ points
            crossed = (heights[index] > height) != (heights[after] > height)
            odd ^= crossed & ((side > 0.0) == (heights[after] > heights[index]))
            edge |= _on_arc(points, side, first, last)
        return (depth > 0.0) & (odd | edge)


def _on_arc(
    points: NDArray[np.float64],
    side: NDArray[np.float64],
    first: NDArray[np.float64],
    last: NDArray[np.float64],
) -> Mask:
    on: Mask = np.abs(side) <= EDGE_RAD
    if on.any():
        where = np.flatnonzero(on)
        near = points[:, where]
        span = float(_chord2(first[:, None], last)[0]) + EDGE_RAD
        on[where] = (_chord2(near, first) <= span) & (_chord2(near, last) <= span)
    return on


def _chord2(points: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = (
        (points[0] - to[0]) ** 2 + (points[1] - to[1]) ** 2 + (points[2] - to[2]) ** 2
    )
    return squared


def _check_finite(what: str, *values: float) -> None:
    for value in values:
        if not np.isfinite(value):
            raise BadQuery(f"{what} is a finite number of degrees", value=value)


def _check_declination(*values: float) -> None:
    for value in values:
        if not -90.0 <= value <= 90.0:
            raise BadQuery("a declination is -90 to 90 degrees", value=value)
