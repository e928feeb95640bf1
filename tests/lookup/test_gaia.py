"""Fetching cones, with a stand-in for the Gaia archive."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from crowdsky.errors import CatalogueError, CatalogueOffline
from crowdsky.lookup import AstroqueryGaia, CachedCatalogue, ConeService, fetch_gaia_cone
from crowdsky.lookup.cone_cache import ConeRows


class FakeArchive:
    """A stand-in for the Gaia archive: it answers with rows it was given and keeps the question."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.asked: list[tuple[float, float, float, float]] = []

    def rows(
        self, ra_deg: float, dec_deg: float, radius_deg: float, faintest_gmag: float
    ) -> ConeRows:
        self.asked.append((ra_deg, dec_deg, radius_deg, faintest_gmag))
        n = self.n_rows
        return ConeRows(
            ra_deg=np.full(n, ra_deg),
            dec_deg=np.full(n, dec_deg),
            pm_ra_mas_yr=np.zeros(n),
            pm_dec_mas_yr=np.zeros(n),
            gmag=np.linspace(9, 15, n, dtype=np.float32),
            source_id=np.arange(1, n + 1),
        )


def test_a_fetched_cone_is_served_from_the_cache(tmp_path: Path) -> None:
    archive: ConeService = FakeArchive(12)
    path = fetch_gaia_cone(-10.0, 41.0, 0.5, tmp_path / "cones", faintest_gmag=15, service=archive)
    assert path.is_file()
    assert archive.asked == [(350.0, 41.0, 0.5, 15)]
    assert len(CachedCatalogue(tmp_path / "cones").cone(350.0, 41.0, 0.5)) == 12


@pytest.mark.parametrize(
    ("cone", "rule"),
    [
        ((10.0, 91.0, 1.0), "a Dec within 90 degrees"),
        ((float("nan"), 0.0, 1.0), "a finite RA"),
        ((10.0, 0.0, 0.0), "more than 0 and at most 5 degrees"),
        ((10.0, 0.0, float("nan")), "more than 0 and at most 5 degrees"),
        ((10.0, 0.0, 90.0), "more than 0 and at most 5 degrees"),
    ],
)
def test_what_is_not_a_cone_is_never_asked_for(
    cone: tuple[float, float, float], rule: str, tmp_path: Path
) -> None:
    archive = FakeArchive(12)
    with pytest.raises(CatalogueError, match=rule):
        fetch_gaia_cone(*cone, tmp_path, service=archive)
    assert archive.asked == []


def test_an_empty_answer_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="gave no star for this cone"):
        fetch_gaia_cone(10.0, 0.0, 1.0, tmp_path, service=FakeArchive(0))
    assert list(tmp_path.iterdir()) == []


def test_without_astroquery_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "astroquery", None)  # what Python keeps for "not there"
    with pytest.raises(CatalogueError, match=r"pip install 'crowdsky\[lookup\]'"):
        fetch_gaia_cone(10.0, 0.0, 1.0, tmp_path)


class FakeAstroquery(types.ModuleType):
    """A stand-in for ``astroquery.gaia``: its client either raises or answers with a table."""

    def __init__(self, outcome: Table | Exception) -> None:
        super().__init__("astroquery.gaia")
        self.outcome = outcome
        self.Gaia = self
        self.queries: list[str] = []

    def launch_job_async(self, query: str, verbose: bool) -> FakeAstroquery:
        self.queries.append(query)
        print("a service that chatters")
        return self

    def get_results(self) -> Table:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def install(monkeypatch: pytest.MonkeyPatch, outcome: Table | Exception) -> FakeAstroquery:
    fake = FakeAstroquery(outcome)
    monkeypatch.setitem(sys.modules, "astroquery", types.ModuleType("astroquery"))
    monkeypatch.setitem(sys.modules, "astroquery.gaia", fake)
    return fake


@pytest.mark.parametrize(
    "error", [ConnectionError("Name or service not known\nand more"), TimeoutError()]
)
def test_without_a_network_it_says_so_in_one_line(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, error)
    with pytest.raises(CatalogueOffline, match="the Gaia archive cannot be reached") as caught:
        AstroqueryGaia().rows(10.0, 0.0, 1.0, 16.0)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_the_archive_s_table_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(
        {
            "SOURCE_ID": np.array([2**61 + 1, 7], dtype=np.int64),
            "ra": [10.0, 10.1],
            "dec": [0.5, 0.6],
            "pmra": np.ma.array([5.0, 0.0], mask=[False, True]),
            "pmdec": np.ma.array([-6.0, 0.0], mask=[False, True]),
            "phot_g_mean_mag": np.array([9.5, 12.25], dtype=np.float32),
        }
    )
    fake = install(monkeypatch, table)
    rows = AstroqueryGaia().rows(10.0, 0.5, 0.25, 13.0)
    assert rows.source_id.tolist() == [2**61 + 1, 7]
    assert rows.pm_ra_mas_yr.tolist() == [5.0, 0.0]
    assert rows.pm_dec_mas_yr.tolist() == [-6.0, 0.0]
    assert rows.gmag.tolist() == [9.5, 12.25]
    assert "CIRCLE(10.0, 0.5, 0.25)" in fake.queries[0]
    assert "phot_g_mean_mag <= 13.0" in fake.queries[0]
