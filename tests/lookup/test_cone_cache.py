"""The cache of cones: what it covers, what it serves, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time

from crowdsky.astrometry.catalogue import CatalogueSource
from crowdsky.errors import CatalogueError
from crowdsky.lookup.cone_cache import CachedCatalogue, ConeRows, write_cone


def scattered_rows(ra_deg: float, dec_deg: float, radius_deg: float, n: int = 400) -> ConeRows:
    """Stars inside a cone, with motions that matter."""
    rng = np.random.default_rng(5)
    centre = SkyCoord(ra_deg * u.deg, dec_deg * u.deg)
    stars = centre.directional_offset_by(
        rng.uniform(0, 360, n) * u.deg, radius_deg * np.sqrt(rng.uniform(0, 1, n)) * u.deg
    )
    return ConeRows(
        ra_deg=stars.ra.deg,
        dec_deg=stars.dec.deg,
        pm_ra_mas_yr=rng.normal(0, 300, n),
        pm_dec_mas_yr=rng.normal(0, 300, n),
        gmag=rng.uniform(4, 16, n).astype(np.float32),
        source_id=rng.integers(1, 2**62, n),
    )


def test_it_serves_what_was_written_brightest_first(tmp_path: Path) -> None:
    rows = scattered_rows(359.99, 40.0, 1.0)
    write_cone(tmp_path, 359.99, 40.0, 1.0, rows)
    source: CatalogueSource = CachedCatalogue(tmp_path)
    stars = source.cone(359.99, 40.0, 1.0)
    order = np.argsort(rows.gmag, kind="stable")
    assert len(stars) == len(rows)
    np.testing.assert_array_equal(stars.gaia_id, rows.source_id[order])
    np.testing.assert_array_equal(stars.gaia_gmag, stars.mag)
    np.testing.assert_allclose(stars.dec_deg, rows.dec_deg[order], atol=1e-11)
    np.testing.assert_allclose(stars.ra_deg, rows.ra_deg[order], atol=1e-10)


def test_the_limit_keeps_the_brightest(tmp_path: Path) -> None:
    rows = scattered_rows(10.0, 0.0, 1.0)
    write_cone(tmp_path, 10.0, 0.0, 1.0, rows)
    stars = CachedCatalogue(tmp_path).cone(10.0, 0.0, 1.0, limit=7)
    np.testing.assert_array_equal(stars.mag, np.sort(rows.gmag)[:7])


@pytest.mark.parametrize("dec_deg", [0.0, 60.0, -89.7, 90.0])
def test_stars_move_as_astropy_says(dec_deg: float, tmp_path: Path) -> None:
    rows = scattered_rows(120.0, dec_deg, 0.5, n=60)
    write_cone(tmp_path, 120.0, dec_deg, 0.5, rows)
    served = CachedCatalogue(tmp_path).cone(120.0, dec_deg, 0.49, epoch_jyear=2026.5)
    truth = SkyCoord(
        rows.ra_deg * u.deg,
        rows.dec_deg * u.deg,
        pm_ra_cosdec=rows.pm_ra_mas_yr * u.mas / u.yr,
        pm_dec=rows.pm_dec_mas_yr * u.mas / u.yr,
        distance=10 * u.pc,
        obstime=Time(2016.0, format="jyear"),
    ).apply_space_motion(new_obstime=Time(2026.5, format="jyear"))
    where = {source_id: i for i, source_id in enumerate(rows.source_id.tolist())}
    indices = [where[source_id] for source_id in served.gaia_id.tolist()]
    assert len(indices) > 40
    apart = SkyCoord(served.ra_deg * u.deg, served.dec_deg * u.deg).separation(truth[indices])
    assert apart.max().to_value(u.mas) < 1.0


def test_a_smaller_circle_inside_is_covered_and_one_that_sticks_out_is_not(tmp_path: Path) -> None:
    write_cone(tmp_path, 10.1234567891, -20.0, 1.0, scattered_rows(10.1234567891, -20.0, 1.0))
    catalogue = CachedCatalogue(tmp_path)
    assert catalogue.covers(10.1234567891, -20.0, 1.0)
    assert catalogue.covers(10.1234567891, -20.4, 0.6 - 1e-6)
    assert not catalogue.covers(10.1234567891, -20.5, 0.6)
    stars = catalogue.cone(10.1234567891, -20.4, 0.5)
    apart = SkyCoord(stars.ra_deg * u.deg, stars.dec_deg * u.deg).separation(
        SkyCoord(10.1234567891 * u.deg, -20.4 * u.deg)
    )
    assert 0 < len(stars) < 400
    assert apart.max().deg <= 0.5 + 1e-9


def test_what_is_not_covered_is_an_error_with_the_circle(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError) as caught:
        CachedCatalogue(tmp_path / "nowhere").cone(10.0, -20.0, 0.5)
    assert str(caught.value) == (
        "ra 10.0000 dec -20.0000 radius 0.5000: no cached cone covers this circle; "
        "`crowdsky catalogue fetch` fills the cache"
    )


def test_a_damaged_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = write_cone(tmp_path, 10.0, 0.0, 1.0, scattered_rows(10.0, 0.0, 1.0))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CatalogueError, match="the cached cone cannot be read") as caught:
        CachedCatalogue(tmp_path).cone(10.0, 0.0, 1.0)
    assert caught.value.file == str(path)


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cone_of_shame.npz").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    assert CachedCatalogue(tmp_path).cones() == []


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        write_cone(tmp_path, 10.0, 0.0, 1.0, scattered_rows(10.0, 0.0, 1.0))
    assert list(tmp_path.iterdir()) == []
