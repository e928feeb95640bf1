"""The blind index of the whole sky: what is on file, and how it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crowdsky.astrometry import blind_index, bundled_catalogue, sky_index
from crowdsky.astrometry.sky_cells import N_CELLS, cell_of
from crowdsky.astrometry.sky_index import RANK_RADIUS_DEG, REACH_ARCSEC, blind_index_path
from crowdsky.astrometry.tangent_plane import ra_dec_of, unit_vectors
from crowdsky.errors import CatalogueError
from crowdsky.triangles import TriangleIndex
from crowdsky.triangles.index import PAIR_START

SMALL = TriangleIndex(
    np.zeros((0, 3), dtype=np.float32),
    np.zeros(2, dtype=np.int32),
    np.zeros(2 * PAIR_START[-1] + 1, dtype=np.uint32),
    np.zeros(0, dtype=np.uint64),
)


def test_it_fits_its_size() -> None:
    index = blind_index()
    assert index.n_bytes <= 120e6
    assert index.n_triangles > 5_000_000
    assert index.first[-1] == index.n_triangles
    assert index.cell_start[-1] == len(index.stars)
    np.testing.assert_allclose(np.linalg.norm(index.stars, axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(0.0, 90.0), (0.0, -90.0), (359.99, 0.3), (192.8, 41.1), (266.4, -28.9), (83.8, 60.0)],
)
def test_stars_on_file_are_those_with_few_brighter_ones_about(ra: float, dec: float) -> None:
    near = bundled_catalogue().cone(ra, dec, 0.4 + RANK_RADIUS_DEG, epoch_jyear=2025.0)
    xyz = unit_vectors(near.ra_deg, near.dec_deg)
    here = xyz @ unit_vectors(ra, dec) > np.cos(np.radians(0.4))
    within = xyz[here] @ xyz.T > np.cos(np.radians(RANK_RADIUS_DEG))
    brighter = (within & (near.mag < near.mag[here][:, None])).sum(axis=1)
    no_fainter = (within & (near.mag <= near.mag[here][:, None])).sum(axis=1) - 1
    on_file = np.asarray(blind_index().stars, dtype=np.float64)
    around = on_file[on_file @ unit_vectors(ra, dec) > np.cos(np.radians(0.41))]
    away = np.linalg.norm(xyz[here][:, None] - around[None], axis=2).min(axis=1)
    listed = away < np.radians(0.1 / 3600)
    highest = len(REACH_ARCSEC)
    assert listed[no_fainter < highest].all()
    assert not listed[brighter >= highest].any()
    assert listed.any()


def test_stars_stand_in_their_cells() -> None:
    index = blind_index()
    cell = np.repeat(np.arange(N_CELLS), np.diff(index.cell_start))
    ra, dec = ra_dec_of(np.asarray(index.stars, dtype=np.float64))
    theirs, _, _ = cell_of(ra, dec)
    # Proper motion and rounding take a star at an edge to the next cell.
    assert (theirs == cell).mean() > 0.999


def test_the_folder_has_the_name_of_what_is_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CROWDSKY_CACHE_DIR", str(tmp_path))
    catalogue = bundled_catalogue()
    before = blind_index_path(catalogue)
    assert before.parent == tmp_path
    assert blind_index_path(catalogue) == before
    monkeypatch.setattr(sky_index, "FORMAT", sky_index.FORMAT + 1)
    assert blind_index_path(catalogue) != before
    monkeypatch.undo()
    monkeypatch.setenv("CROWDSKY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sky_index, "REACH_ARCSEC", REACH_ARCSEC[:-1])
    assert blind_index_path(catalogue) != before


def test_it_is_built_once_and_then_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built = []

    def build(catalogue: object) -> TriangleIndex:
        built.append(catalogue)
        return SMALL

    monkeypatch.setenv("CROWDSKY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sky_index, "build_blind_index", build)
    for _ in range(2):
        assert sky_index.blind_index.__wrapped__().n_triangles == 0
    assert len(built) == 1


def test_a_damaged_one_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CROWDSKY_CACHE_DIR", str(tmp_path))
    folder = blind_index_path(bundled_catalogue())
    folder.mkdir()
    (folder / "words.npy").write_bytes(b"half of it")
    with pytest.raises(CatalogueError) as caught:
        sky_index.blind_index.__wrapped__()
    assert caught.value.file == str(folder)
