"""The bundled catalogue against a plain decode of all its files, and against known stars."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crowdsky.astrometry import Catalogue, bundled_catalogue
from crowdsky.astrometry.sky_cells import BAND_FIRST_CELL, CELLS_IN_BAND, N_CELLS
from crowdsky.astrometry.tangent_plane import unit_vectors
from crowdsky.errors import CatalogueError
from tests.astrometry.lists import separation_arcsec

BARNARD = 4472832130942575872
FILES = [
    "cell_start", "gaia_start", "star_offset", "star_mag", "gaia_pm", "gaia_id", "gaia_gmag",
]  # fmt: skip


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return bundled_catalogue()


@pytest.fixture(scope="module")
def everything(catalogue: Catalogue) -> NDArray[np.float64]:
    """Right ascension and declination of every star at J2016, decoded without the package."""
    n_in_cell = np.diff(catalogue.cell_start)
    cell = np.repeat(np.arange(N_CELLS), n_in_cell)
    band = np.searchsorted(BAND_FIRST_CELL, cell, side="right") - 1
    column = cell - BAND_FIRST_CELL[band]
    fraction = (np.asarray(catalogue.offset, dtype=np.float64) + 0.5) / 65536.0
    ra = (column + fraction[:, 0]) * 360.0 / CELLS_IN_BAND[band]
    return np.column_stack([ra, band - 90 + fraction[:, 1]])


def test_it_has_the_stars_of_tycho_in_20_megabytes(catalogue: Catalogue) -> None:
    assert len(catalogue) >= 1_800_000
    assert sum(f.stat().st_size for f in catalogue.folder.iterdir()) <= 20e6
    assert np.median(np.asarray(catalogue.mag) & 0x7FFF) * 0.001 > 11.0


def test_every_file_of_it_is_known(catalogue: Catalogue) -> None:
    assert sorted(f.name for f in catalogue.folder.iterdir()) == sorted(
        f"{name}.npy" for name in FILES
    )


@pytest.mark.parametrize(
    ("ra", "dec", "radius"),
    [
        (0.0, 90.0, 1.3), (123.0, 89.5, 0.9), (0.0, -90.0, 2.0), (200.0, -88.99, 1.01),
        (0.0, 0.0, 0.7), (359.999, 45.0, 0.7), (0.001, -45.0, 0.7), (0.2, 79.9, 1.5),
        (266.405, -28.936, 0.5), (192.78, 41.12, 0.73), (180.0, 60.0, 12.0), (90.0, 30.0, 0.01),
        (10.0, 86.0, 4.5), (-10.0, 5.0, 1.0), (370.0, 5.0, 1.0),
    ],
)  # fmt: skip
def test_a_cone_is_all_stars_within_it(
    catalogue: Catalogue, everything: NDArray[np.float64], ra: float, dec: float, radius: float
) -> None:
    away = separation_arcsec(everything[:, 0], everything[:, 1], ra, dec) / 3600.0
    xyz, mag, row, _ = catalogue.gather(ra, dec, radius)
    assert len(set(row.tolist())) == len(row)
    surely, perhaps = np.flatnonzero(away < radius - 1e-7), np.flatnonzero(away < radius + 1e-7)
    assert set(surely.tolist()) <= set(row.tolist()) <= set(perhaps.tolist())
    np.testing.assert_allclose(xyz, unit_vectors(*everything[row].T), atol=1e-9)
    stars = catalogue.cone(ra, dec, radius)
    assert len(stars) == len(row)
    assert (np.diff(stars.mag) >= 0).all()
    np.testing.assert_array_equal(np.sort(mag), stars.mag)


def test_the_limit_keeps_the_brightest(catalogue: Catalogue) -> None:
    full = catalogue.cone(*(300.0, 40.0, 1.0))
    few = catalogue.cone(*(300.0, 40.0, 1.0), limit=7)
    assert len(full) > 50
    np.testing.assert_array_equal(few.mag, full.mag[:7])
    np.testing.assert_array_equal(few.ra_deg, full.ra_deg[:7])


def test_rows_of_a_cell_run_from_bright_to_faint(catalogue: Catalogue) -> None:
    steps = np.diff((np.asarray(catalogue.mag) & 0x7FFF).astype(np.int64))
    first_of_cell = np.asarray(catalogue.cell_start[1:-1])
    inner = np.ones(len(steps), dtype=bool)
    inner[first_of_cell[(first_of_cell > 0) & (first_of_cell < len(catalogue))] - 1] = False
    assert (steps[inner] >= 0).all()


@pytest.mark.parametrize("faintest", [5.0, 9.0])
def test_fainter_stars_are_left_out_on_demand(catalogue: Catalogue, faintest: float) -> None:
    full = catalogue.cone(80.0, 20.0, 4.0)
    _, mag, _, _ = catalogue.gather(80.0, 20.0, 4.0, faintest=faintest)
    np.testing.assert_array_equal(np.sort(mag), full.mag[full.mag <= np.float32(faintest)])


@pytest.mark.parametrize(
    ("name", "ra", "dec", "mag", "within_arcsec"),
    [
        # J2016 positions: Hipparcos (van Leeuwen 2007) or Gaia DR3
        ("Vega", 279.235882, 38.784966, 0.03, 1.0),
        ("Polaris", 37.9463, 89.26414, 2.0, 1.0),
        ("sigma Octantis", 317.2016, -88.95647, 5.45, 1.0),
        ("HD 189733", 300.18212, 22.70974, 7.7, 1.0),
        ("Barnard's star", 269.448503, 4.739420, 9.5, 0.3),
    ],
)
def test_known_stars_are_where_they_are(
    catalogue: Catalogue, name: str, ra: float, dec: float, mag: float, within_arcsec: float
) -> None:
    stars = catalogue.cone(ra, dec, 20 / 3600)
    near = separation_arcsec(stars.ra_deg, stars.dec_deg, ra, dec)
    assert near[0] < within_arcsec, name
    assert stars.mag[0] == pytest.approx(mag, abs=0.4)


def test_barnards_star_moves(catalogue: Catalogue) -> None:
    def where(epoch: float) -> tuple[float, float]:
        stars = catalogue.cone(269.45, 4.73, 0.1, epoch_jyear=epoch)
        at = np.flatnonzero(stars.gaia_id == BARNARD)
        assert len(at) == 1
        return float(stars.ra_deg[at[0]]), float(stars.dec_deg[at[0]])

    then, reference, later = where(2000.0), where(2016.0), where(2026.0)
    # SIMBAD's place at J2000, and the star's 10.39 arcsec a year
    assert separation_arcsec(*then, 269.452077, 4.693365) < 1.0
    assert separation_arcsec(*then, *reference) / 16 == pytest.approx(10.39, abs=0.06)
    assert separation_arcsec(*reference, *later) / 10 == pytest.approx(10.39, abs=0.06)
    assert then[1] < reference[1] < later[1]
    assert then[0] > reference[0] > later[0]


@pytest.mark.parametrize("dec", [89.9, -89.9, 60.0])
def test_motion_in_right_ascension_is_on_the_sky(catalogue: Catalogue, dec: float) -> None:
    xyz, _, row, gaia_row = catalogue.gather(40.0, dec, 1.0)
    moved, _, moved_row, _ = catalogue.gather(40.0, dec, 1.0, epoch_jyear=2036.0)
    assert (gaia_row >= 0).sum() > 5
    place = {int(r): i for i, r in enumerate(moved_row)}
    for i in np.flatnonzero(gaia_row >= 0):
        if int(row[i]) in place:
            step = np.linalg.norm(moved[place[int(row[i])]] - xyz[i])
            motion = np.hypot(*np.asarray(catalogue.pm_mas[gaia_row[i]], dtype=float)) * 20
            assert np.degrees(step) * 3.6e6 == pytest.approx(motion, rel=0.02, abs=1.0)


def test_stars_without_gaia_stay_and_say_so(catalogue: Catalogue) -> None:
    then = catalogue.cone(50.0, 20.0, 1.0, epoch_jyear=2000.0)
    later = catalogue.cone(50.0, 20.0, 1.0, epoch_jyear=2026.0)
    plain = later.gaia_id == 0
    faint = plain & (later.mag > 8)
    assert faint.sum() > 10
    assert (~plain).sum() > 10
    assert np.isnan(later.gaia_gmag[faint]).all()
    assert np.isfinite(later.gaia_gmag[~plain]).all()
    here = set(zip(then.ra_deg, then.dec_deg, strict=True))
    there = set(zip(later.ra_deg[faint], later.dec_deg[faint], strict=True))
    assert there <= here


def test_gaia_ids_are_unique_and_carry_their_place(catalogue: Catalogue) -> None:
    ids = np.asarray(catalogue.gaia_id)
    known = ids[ids > 0]
    assert len(known) > 400_000
    assert len(np.unique(known)) == len(known)
    # A source id holds the HEALPix cell of its star: NSIDE 4096, nested (Gaia DR3 documentation).
    from astropy_healpix import HEALPix

    stars = catalogue.cone(266.0, -29.0, 2.0)
    with_id = stars.gaia_id > 0
    ra, dec = HEALPix(4096, order="nested").healpix_to_lonlat(stars.gaia_id[with_id] >> 35)
    off = separation_arcsec(stars.ra_deg[with_id], stars.dec_deg[with_id], ra.deg, dec.deg)
    assert with_id.sum() > 50
    assert off.max() < 60.0  # a cell is 52 arcsec wide


def test_gaia_and_tycho_brightness_go_together(catalogue: Catalogue) -> None:
    stars = catalogue.cone(100.0, 10.0, 5.0)
    both = (stars.gaia_id > 0) & np.isfinite(stars.gaia_gmag)
    assert abs(np.median(stars.mag[both] - stars.gaia_gmag[both])) < 0.5


@pytest.fixture
def copy(catalogue: Catalogue, tmp_path: Path) -> Path:
    """A writable folder of small files that fit together."""
    np.save(tmp_path / "cell_start.npy", np.array([0, 2, 3], dtype=np.int32))
    np.save(tmp_path / "gaia_start.npy", np.array([0, 1, 1], dtype=np.int32))
    np.save(tmp_path / "star_offset.npy", np.zeros((3, 2), dtype=np.uint16))
    np.save(tmp_path / "star_mag.npy", np.zeros(3, dtype=np.uint16))
    np.save(tmp_path / "gaia_pm.npy", np.zeros((1, 2), dtype=np.int16))
    np.save(tmp_path / "gaia_id.npy", np.ones(1, dtype=np.int64))
    np.save(tmp_path / "gaia_gmag.npy", np.zeros(1, dtype=np.uint16))
    assert len(Catalogue(tmp_path)) == 3
    return tmp_path


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "cut"])
def test_a_damaged_file_is_named(copy: Path, name: str, damage: str) -> None:
    file = copy / f"{name}.npy"
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "garbage": b"\x00" * 200, "cut": content[:-1]}[damage])
    with pytest.raises(CatalogueError) as caught:
        Catalogue(copy)
    assert caught.value.file == str(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["star_mag", "gaia_id"])
def test_files_of_different_builds_are_refused(copy: Path, name: str) -> None:
    longer = np.load(copy / f"{name}.npy").repeat(2)
    np.save(copy / f"{name}.npy", longer)
    with pytest.raises(CatalogueError, match="do not fit together") as caught:
        Catalogue(copy)
    assert caught.value.file == str(copy)


def test_pickles_are_never_loaded(copy: Path) -> None:
    np.save(copy / "star_mag.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(CatalogueError):
        Catalogue(copy)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    with pytest.raises(CatalogueError):
        Catalogue(tmp_path)


def test_the_bundled_catalogue_is_opened_once() -> None:
    assert bundled_catalogue() is bundled_catalogue()
