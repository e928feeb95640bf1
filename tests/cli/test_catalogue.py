"""`crowdsky catalogue`: what there is, whose it is, and fetching without a network."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from crowdsky.astrometry import blind_index_path, bundled_catalogue
from crowdsky.cli.main import main
from crowdsky.lookup.cone_cache import ConeRows, write_cone


@pytest.fixture
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROWDSKY_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_info_counts_and_credits(cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    star = np.array([10.0])
    rows = ConeRows(star, star, star, star, star.astype(np.float32), np.array([7]))
    write_cone(cache_dir / "gaia_dr3", 10.0, 10.0, 0.5, rows)
    assert main(["catalogue", "info"]) == 0
    out = capsys.readouterr().out
    assert f"{len(bundled_catalogue()):,}" in out
    assert "not built" in out
    assert "cone at 10.0000 +10.0000, radius 0.5 degrees" in out
    for credit in ("Tycho-2", "Gaia DR3", "CC BY-SA 3.0 IGO", "van Leeuwen 2007"):
        assert credit in out


def test_the_index_is_built_once(cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "index"]) == 0
    assert "blind index: built in" in capsys.readouterr().out
    path = blind_index_path(bundled_catalogue())
    assert path.parent == cache_dir
    before = {file.name: file.stat().st_mtime_ns for file in path.iterdir()}
    assert before
    assert main(["catalogue", "index"]) == 0
    assert capsys.readouterr().out == f"blind index: there already, {path}\n"
    assert {file.name: file.stat().st_mtime_ns for file in path.iterdir()} == before


def test_fetching_without_astroquery_is_one_line(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "astroquery", None)
    assert main(["catalogue", "fetch", "--ra", "10", "--dec", "20"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("crowdsky: error: astroquery is not installed")
    assert captured.err.count("\n") == 1


def test_a_bad_cache_folder_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROWDSKY_CACHE_DIR", "relative")
    assert main(["catalogue", "info"]) == 2
    assert "CROWDSKY_CACHE_DIR must be an absolute path" in capsys.readouterr().err
