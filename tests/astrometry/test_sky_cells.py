"""The cells of the sky."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.astrometry.sky_cells import (
    BAND_FIRST_CELL,
    CELLS_IN_BAND,
    N_CELLS,
    cell_of,
    cells_in_cone,
)
from tests.astrometry.lists import separation_arcsec


def cone(ra: float, dec: float, radius: float, capacity: int = 50_000) -> list[int]:
    cells, bands, columns = (np.empty(capacity, dtype=np.int64) for _ in range(3))
    n = cells_in_cone(ra, dec, radius, CELLS_IN_BAND, BAND_FIRST_CELL, cells, bands, columns)
    np.testing.assert_array_equal(cells[:n], BAND_FIRST_CELL[bands[:n]] + columns[:n])
    return cells[:n].tolist()


def test_cells_are_about_a_degree_wide_and_fill_the_sky() -> None:
    assert BAND_FIRST_CELL[0] == 0
    assert BAND_FIRST_CELL[-1] == N_CELLS == CELLS_IN_BAND.sum()
    np.testing.assert_array_equal(CELLS_IN_BAND, CELLS_IN_BAND[::-1])
    band = np.arange(180)
    nearest_equator = np.where(band >= 90, band - 90, 89 - band)
    width = 360.0 / CELLS_IN_BAND * np.cos(np.radians(nearest_equator))
    assert width[10:-10].min() >= 1.0
    assert width[10:-10].max() < 1.2


def test_a_place_lies_in_its_cell() -> None:
    rng = np.random.default_rng(4)
    ra, dec = rng.uniform(-360, 720, 5000), np.degrees(np.arcsin(rng.uniform(-1, 1, 5000)))
    cell, along_ra, along_dec = cell_of(ra, dec)
    band = np.searchsorted(BAND_FIRST_CELL, cell, side="right") - 1
    column = cell - BAND_FIRST_CELL[band]
    back_ra = (column + along_ra) * 360.0 / CELLS_IN_BAND[band]
    assert separation_arcsec(back_ra, band - 90 + along_dec, ra, dec).max() < 1e-6
    assert (along_ra >= 0).all()
    assert (along_ra < 1).all()


@pytest.mark.parametrize(
    ("ra", "dec"), [(0.0, 90.0), (0.0, -90.0), (360.0, 0.0), (np.nextafter(360.0, 0), 89.9999999)]
)
def test_the_ends_of_the_scales(ra: float, dec: float) -> None:
    cell, along_ra, along_dec = cell_of(np.array([ra]), np.array([dec]))
    assert 0 <= cell[0] < N_CELLS
    assert 0 <= along_ra[0] < 1
    assert 0 <= along_dec[0] < 1


@pytest.mark.parametrize("radius", [1e-6, 0.01, 0.73, 5.0, 40.0, 90.0, 180.0])
def test_a_cone_has_the_cells_of_all_its_points(radius: float) -> None:
    rng = np.random.default_rng(int(radius * 100))
    for ra, dec in [(0.0, 90.0), (7.0, -90.0), (359.99, 0.0), (0.0, 45.0), (123.0, 89.2),
                    (200.0, -67.0), (41.0, 71.5)]:  # fmt: skip
        # Points spread over the cone, its edge included
        angle = rng.uniform(0, 2 * np.pi, 400)
        reach = np.radians(radius) * np.sqrt(rng.uniform(0, 1, 400))
        reach[:100] = np.radians(radius) * (1 - 1e-12)
        d0 = np.radians(dec)
        sin_dec = np.sin(d0) * np.cos(reach) + np.cos(d0) * np.sin(reach) * np.cos(angle)
        point_dec = np.degrees(np.arcsin(np.clip(sin_dec, -1, 1)))
        d_ra = np.arctan2(
            np.sin(angle) * np.sin(reach) * np.cos(d0), np.cos(reach) - np.sin(d0) * sin_dec
        )
        cell, _, _ = cell_of(ra + np.degrees(d_ra), point_dec)
        listed = cone(ra, dec, radius)
        assert len(set(listed)) == len(listed)
        assert set(cell.tolist()) <= set(listed)


def test_a_small_cone_has_few_cells() -> None:
    assert len(cone(100.5, 20.5, 0.1)) == 1
    assert len(cone(100.0, 20.0, 0.5)) <= 6


def test_never_more_cells_than_there_is_room_for() -> None:
    assert len(cone(10.0, 90.0, 3.0, capacity=5)) == 5
