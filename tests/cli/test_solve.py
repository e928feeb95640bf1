"""`crowdsky solve` on simulated frames and star lists, good and bad ones mixed."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from crowdsky import aside
from crowdsky.cli.main import main
from crowdsky.simulate import SessionPlan, TanWcs, Truth, simulate_session, simulate_star_list
from crowdsky.stars import StarList

KEYS = [
    "file", "solved", "reason", "mode", "ra_deg", "dec_deg", "scale_arcsec_per_px",
    "rotation_deg", "parity", "n_stars", "n_matched", "rms_arcsec", "log_odds", "wcs", "ms",
]  # fmt: skip


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def records(text: str) -> list[dict[str, Any]]:
    read = [json.loads(line, parse_constant=refuse_constant) for line in text.splitlines()]
    for record in read:
        assert list(record) == KEYS
        assert list(record["ms"]) == ["read", "detect", "match", "fit"]
    return read


def apart_arcsec(record: dict[str, Any], truth: TanWcs) -> float:
    """Distance of the solved centre from the true one."""
    x, y = truth.sky_to_pixel(np.array([record["ra_deg"]]), np.array([record["dec_deg"]]))
    centre = (truth.nx - 1) / 2, (truth.ny - 1) / 2
    return float(np.hypot(x[0] - centre[0], y[0] - centre[1]) * truth.scale_arcsec_per_px)


def write_list(path: Path, stars: StarList) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["x", "y", "flux"])
        table.writerows(zip(stars.x_px, stars.y_px, stars.flux_adu, strict=True))
    return path


@pytest.fixture(scope="module")
def sky() -> tuple[StarList, TanWcs]:
    return simulate_star_list("S50", 83.8, 22.0, 31.0, np.random.default_rng(3), max_stars=40)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    plan = SessionPlan(
        target="M 52",
        ra_deg=351.2,
        dec_deg=61.6,
        start_utc=datetime(2025, 3, 26, 21, tzinfo=UTC),
        n_frames=2,
        rotation_deg=77.0,
    )
    return simulate_session(plan, tmp_path_factory.mktemp("night"))


@pytest.fixture
def frames(session: Truth, tmp_path: Path) -> list[Path]:
    """Copies of the session's frames, in a folder that a test may write to."""
    return [Path(shutil.copy(session.folder / frame.file, tmp_path)) for frame in session.frames]


@pytest.mark.parametrize("options", [[], ["--ra", "83.9", "--dec", "22.1"]], ids=["blind", "hint"])
def test_a_star_list_is_solved(
    options: list[str],
    sky: tuple[StarList, TanWcs],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stars, truth = sky
    path = write_list(tmp_path / "list.csv", stars)
    words = ["solve", "--stars", "--size", "1080x1920", "--scale", "2.374", "--json", *options]
    assert main([*words, str(path)]) == 0
    (record,) = records(capsys.readouterr().out)
    assert record["file"] == str(path)
    assert record["solved"] is True
    assert record["reason"] == ""
    assert record["mode"] == ("j2000" if options else "blind")
    assert apart_arcsec(record, truth) < 1.0
    assert record["scale_arcsec_per_px"] == pytest.approx(truth.scale_arcsec_per_px, rel=1e-3)
    assert record["parity"] == 1
    assert 8 <= record["n_matched"] <= record["n_stars"] == len(stars)
    assert record["ms"]["detect"] is None


def test_wcs_in_json_counts_pixels_from_one(
    sky: tuple[StarList, TanWcs], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stars, truth = sky
    path = write_list(tmp_path / "list.csv", stars)
    assert main(["solve", "--stars", "--size", "1080x1920", "--json", str(path)]) == 0
    (record,) = records(capsys.readouterr().out)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = record["wcs"]["crval"]
    wcs.wcs.crpix = record["wcs"]["crpix"]
    wcs.wcs.cd = record["wcs"]["cd"]
    x, y = np.array([0.0, 1079.0, 300.0]), np.array([0.0, 1919.0, 1500.0])
    found_x, found_y = truth.sky_to_pixel(*wcs.pixel_to_world_values(x, y))
    # A centre counted from the wrong pixel would be off by a whole one.
    assert np.hypot(found_x - x, found_y - y).max() < 0.7
    assert record["wcs"]["crpix"] == [540.5, 960.5]


def test_frames_are_solved_hinted_and_blind(
    session: Truth, frames: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for options, modes in ([], {"of_date"}), (["--blind"], {"blind"}):
        assert main(["solve", "--json", *options, *map(str, frames)]) == 0
        found = records(capsys.readouterr().out)
        assert [record["file"] for record in found] == [str(path) for path in frames]
        assert {record["mode"] for record in found} == modes
        for record, frame in zip(found, session.frames, strict=True):
            assert apart_arcsec(record, frame.wcs) < 1.5
            assert all(value > 0 for value in record["ms"].values())


def test_one_bad_file_never_stops_the_batch(
    frames: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.fit"
    cut.write_bytes(frames[0].read_bytes()[:500_000])
    page = tmp_path / "page.fits"
    page.write_text("<html>not a frame</html>", encoding="utf-8")
    files = [page, frames[0], tmp_path / "absent.fit", cut, frames[1]]
    assert main(["solve", "--json", *map(str, files)]) == 1
    found = records(capsys.readouterr().out)
    assert [record["solved"] for record in found] == [False, True, False, False, True]
    for record in found:
        assert bool(record["reason"]) is not record["solved"]
        if not record["solved"]:
            assert record["wcs"] is record["mode"] is record["ra_deg"] is None
            assert record["file"] not in record["reason"]
    assert "not a FITS file" in found[0]["reason"]
    assert "No such file" in found[2]["reason"]


def test_a_folder_is_walked_and_other_files_are_left_out(
    frames: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Light_thn.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    assert main(["solve", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].split() == [
        "RA", "Dec", "arcsec/px", "rotation", "stars", "rms", "mode", "ms", "file",
    ]  # fmt: skip
    assert lines[-1] == "2 of 2 solved"
    assert all(path.name in line for path, line in zip(sorted(frames), lines[1:3], strict=True))


def test_an_empty_folder_is_not_a_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["solve", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 0 solved"


def test_random_stars_are_an_honest_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(9)
    stars = StarList(
        x_px=rng.uniform(0, 1080, 30),
        y_px=rng.uniform(0, 1920, 30),
        flux_adu=np.sort(rng.uniform(100, 9999, 30))[::-1],
        shape=(1920, 1080),
    )
    few = write_list(tmp_path / "few.csv", StarList(*(np.ones(2),) * 3, shape=(1920, 1080)))
    path = write_list(tmp_path / "random.csv", stars)
    words = ["solve", "--stars", "--size", "1080x1920", "--json"]
    assert main([*words, str(path), str(few)]) == 1
    chance, too_few = records(capsys.readouterr().out)
    assert chance["solved"] is too_few["solved"] is False
    assert chance["reason"].startswith("30 stars: no attitude is significant")
    assert chance["n_stars"] == 30
    assert too_few["reason"].startswith("2 stars: ")


# A header without data has NAXIS = 0, of which astropy warns.
@pytest.mark.filterwarnings("ignore:The WCS transformation has more axes")
def test_write_puts_a_header_beside_the_frame_and_leaves_the_frame(
    session: Truth, frames: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [path.read_bytes() for path in frames]
    assert main(["solve", "--write", *map(str, frames)]) == 0
    assert [path.read_bytes() for path in frames] == before
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".fit", ".fit", ".wcs", ".wcs"]
    for path, frame in zip(frames, session.frames, strict=True):
        with fits.open(path.with_suffix(".wcs")) as written:
            assert len(written) == 1
            assert written[0].data is None
            wcs = WCS(written[0].header)
            assert written[0].header["PLTSOLVD"] is True
            assert written[0].header["PLTSTARS"] >= 8
            assert (written[0].header["IMAGEW"], written[0].header["IMAGEH"]) == (1080, 1920)
        x, y = np.array([0.0, 1079.0]), np.array([0.0, 1919.0])
        ra, dec = frame.wcs.pixel_to_sky(x, y)
        found_x, found_y = wcs.world_to_pixel_values(ra, dec)
        assert np.hypot(found_x - x, found_y - y).max() < 1.0


def test_a_folder_that_cannot_be_written_to_spoils_no_more_than_that(
    frames: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(aside.os, "fsync", full)
    assert main(["solve", "--write", "--json", *map(str, frames)]) == 1
    captured = capsys.readouterr()
    assert [record["solved"] for record in records(captured.out)] == [True, True]
    assert captured.err.count("not written: No space left on device") == 2
    assert sorted(frames[0].parent.iterdir()) == sorted(frames)


@pytest.mark.real
def test_every_real_frame_is_solved(
    real_frames: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["solve", "--json", *map(str, real_frames)]) == 0
    found = records(capsys.readouterr().out)
    assert len(found) == len(real_frames)
    assert max(record["rms_arcsec"] for record in found) < 1.5
