"""Regions at the places where they go wrong: poles, 0 h, edges, and senseless values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from crowdsky.archive.positions import place
from crowdsky.archive.regions import BadQuery, Cone, Polygon, Rectangle, Region

SQUARE = Polygon([(10, 10), (20, 10), (20, 20), (10, 20)])
POLAR = Polygon([(0, 80), (90, 80), (180, 80), (270, 80)])
ARROW = Polygon([(0, 0), (10, 10), (0, 5), (350, 10)])


def inside(region: Region, ra_deg: float, dec_deg: float) -> bool:
    return bool(region.contains(np.array([ra_deg]), np.array([dec_deg]))[0])


@pytest.mark.parametrize(
    ("region", "ra_deg", "dec_deg", "expected"),
    [
        (Rectangle(350, 10, -5, 5), 355.0, 0.0, True),
        (Rectangle(350, 10, -5, 5), 5.0, 0.0, True),
        (Rectangle(350, 10, -5, 5), 0.0, 5.0, True),
        (Rectangle(350, 10, -5, 5), 350.0, -5.0, True),
        (Rectangle(350, 10, -5, 5), 180.0, 0.0, False),
        (Rectangle(350, 10, -5, 5), np.nextafter(10.0, 11.0), 0.0, False),
        (Rectangle(-10, 10, -5, 5), 355.0, 0.0, True),
        (Rectangle(10, 350, -5, 5), 355.0, 0.0, False),
        (Rectangle(10, 360, -5, 5), 0.0, 0.0, True),
        (Rectangle(10, 360, -5, 5), 5.0, 0.0, False),
        (Rectangle(0, 360, 80, 90), 123.0, 90.0, True),
        (Rectangle(10, 20, 80, 90), 200.0, 90.0, True),
        (Rectangle(10, 20, 80, 90), 200.0, 89.9, False),
        (Rectangle(10, 20, -90, -80), 200.0, -90.0, True),
        (Rectangle(10, 20, -80, 90), 200.0, -90.0, False),
        (Rectangle(15, 15, 0, 0), 15.0, 0.0, True),
        (Cone(0.0, 0.0, 1.0), 359.5, 0.0, True),
        (Cone(0.0, 0.0, 1.0), 1.0, 0.0, True),
        (Cone(0.0, 0.0, 1.0), 1.0 + 1e-9, 0.0, False),
        (Cone(0.0, 89.5, 1.0), 180.0, 89.5, True),
        (Cone(0.0, 89.5, 1.0), 180.0, 89.4, False),
        (Cone(40.0, 20.0, 0.0), 40.0, 20.0, True),
        (Cone(40.0, 20.0, 180.0), 220.0, -20.0, True),
        (Cone(40.0, 20.0, 179.0), 220.0, -20.0, False),
        (Cone(40.0, 20.0, 179.0), 221.1, -20.0, True),
        (SQUARE, 15.0, 15.0, True),
        (SQUARE, 10.0, 10.0, True),
        (SQUARE, 10.0, 15.0, True),
        (SQUARE, 9.999999, 15.0, False),
        (SQUARE, 15.0, 20.05, True),  # great circles bulge polewards
        (SQUARE, 15.0, 10.05, True),
        (SQUARE, 15.0, 10.01, False),
        (SQUARE, 195.0, -15.0, False),  # the antipode
        (POLAR, 45.0, 83.0, True),
        (POLAR, 45.0, 82.0, False),
        (POLAR, 0.0, 90.0, True),
        (POLAR, 0.0, -90.0, False),
        (ARROW, 0.0, 2.0, True),
        (ARROW, 0.0, 7.0, False),
        (ARROW, 8.0, 9.0, True),
        (ARROW, 352.0, 9.0, True),
    ],
)
def test_what_lies_in_a_region(
    region: Region, ra_deg: float, dec_deg: float, expected: bool
) -> None:
    assert inside(region, ra_deg, dec_deg) is expected


@pytest.mark.parametrize("region", [Rectangle(0, 360, -90, 90), Cone(0, 0, 180), SQUARE])
def test_what_has_no_position_is_nowhere(region: Region) -> None:
    assert not inside(region, np.nan, np.nan)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Rectangle(0, 1, 2, 1), "2 to 1: the lower declination of a rectangle is above"),
        (lambda: Rectangle(0, 1, -91, 1), "-91: a declination is -90 to 90 degrees"),
        (lambda: Rectangle(np.nan, 1, 0, 1), "nan: a right ascension is a finite number"),
        (lambda: Cone(0, 0, -1), "-1: a radius is 0 to 180 degrees"),
        (lambda: Cone(0, 0, 181), "181: a radius is 0 to 180 degrees"),
        (lambda: Cone(0, 0, np.inf), "inf: a radius is a finite number of degrees"),
        (lambda: Cone(0, np.nan, 1), "nan: a declination is -90 to 90 degrees"),
        (lambda: Polygon([(0, 0), (1, 1)]), "2: a polygon has 3 to 1000 corners"),
        (lambda: Polygon([(0, 0)] * 1001), "1001: a polygon has 3 to 1000 corners"),
        (lambda: Polygon([(0, 0), (120, 0), (240, 0)]), "lie within 90 degrees of their middle"),
        (lambda: Polygon([(0, 0), (0, 80), (100, -80), (180, 0)]), "lie within 90 degrees"),
    ],
)
def test_senseless_regions_are_refused(make: Callable[[], Region], rule: str) -> None:
    with pytest.raises(BadQuery, match=rule):
        make()


def test_a_flat_polygon_holds_its_edges_alone() -> None:
    flat = Polygon([(0, 0), (10, 0), (5, 0)])
    assert inside(flat, 5.0, 0.0)
    assert not inside(flat, 5.0, 0.001)


def test_one_position_in_all_its_forms() -> None:
    at = place(-0.0000001, 41.0)
    assert at.ra_deg == pytest.approx(359.9999999)
    assert place(360.0, 41.0).ra_deg == place(-1e-20, 41.0).ra_deg == 0.0
    assert at.x**2 + at.y**2 + at.z**2 == pytest.approx(1.0)
    assert 0 <= at.cell < 12 * 4**12
    assert 0 <= at.tile < 12 * 128**2
    for ra_deg, dec_deg in ((np.nan, 0.0), (0.0, 90.1)):
        with pytest.raises(ValueError, match="not a position on the sky"):
            place(ra_deg, dec_deg)
