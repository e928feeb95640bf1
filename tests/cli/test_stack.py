"""`crowdsky stack` and `crowdsky demo`: the main job, from frames to stacks and their report."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from crowdsky.cli import demo
from crowdsky.cli.main import main
from crowdsky.simulate import Flaw, SessionPlan, Truth, simulate_session

REPORT_KEYS = {"blocks", "skipped", "flagged"}
BLOCK_KEYS = {
    "name", "tile", "target", "telescope", "filter", "exposure_s", "start_utc", "n_frames",
    "n_used", "ra_deg", "dec_deg", "output", "preview", "frames",
}  # fmt: skip
FRAME_KEYS = {"file", "used", "reason", "start_utc", "n_stars", "fwhm_px", "scale", "weight"}


def small_plan(**changes: Any) -> SessionPlan:
    facts = {
        "target": "M 52",
        "ra_deg": 351.2,
        "dec_deg": 61.6,
        "start_utc": datetime(2025, 3, 26, 21, 1, tzinfo=UTC),
        "n_frames": 6,
        "rotation_deg": 77.0,
        "flaws": ((3, Flaw.BLACK),),
    }
    return SessionPlan(**(facts | changes))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    truth = simulate_session(small_plan(), tmp_path_factory.mktemp("night"))
    (truth.folder / "page.fits").write_text("<html>", encoding="utf-8")
    (truth.folder / "Light_thn.jpg").write_bytes(b"\xff\xd8")
    return truth


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_frames_become_a_solved_stack_and_a_report(
    session: Truth, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stack", str(session.folder), "-o", str(tmp_path), "--json", "--jobs", "1"]
    assert main(words) == 0
    first = capsys.readouterr()
    assert first.err == ""
    report = json.loads(first.out, parse_constant=refuse_constant)
    (block,) = report["blocks"]
    assert set(report) == REPORT_KEYS
    assert set(block) >= BLOCK_KEYS
    assert all(set(frame) >= FRAME_KEYS for frame in block["frames"])
    assert all(set(entry) == {"file", "reason"} for entry in report["skipped"])
    assert block["start_utc"] == "2025-03-26T21:00:00.000000Z"
    assert block["name"].startswith("20250326.84_")
    assert block["tile"].startswith("20250326.84_HP")
    assert block["target"] == "M 52"
    assert (block["n_frames"], block["n_used"]) == (6, 5)
    # The stack lies on the one frame that was not moved; there the simulator knows the truth.
    reference = min((f for f in block["frames"] if f["used"]), key=lambda f: f["shift_px"])
    wcs = session.frame(reference["file"]).wcs
    east_deg = (block["ra_deg"] - wcs.ra_deg) * math.cos(math.radians(wcs.dec_deg))
    assert math.hypot(east_deg, block["dec_deg"] - wcs.dec_deg) * 3600 < 2.0
    assert len(block["frames"]) == 6
    refused = [frame for frame in block["frames"] if not frame["used"]]
    assert [Path(frame["file"]).name for frame in refused] == [session.frames[3].file]
    assert refused[0]["reason"]
    assert {Path(entry["file"]).name for entry in report["skipped"]} >= {"page.fits"}
    assert Path(block["preview"]).is_file()
    with fits.open(block["output"]) as stack:
        names = [hdu.name for hdu in stack]
        assert names == ["PRIMARY", "RED", "GREEN", "BLUE", "FOOTPRINT", "STAR-TAB"]

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert main(words) == 0
    (again,) = json.loads(capsys.readouterr().out)["blocks"]
    assert again["unchanged"]
    assert again == block | {"unchanged": True}
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_nothing_to_stack_is_not_a_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "page.fits").write_text("<html>", encoding="utf-8")
    assert main(["stack", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert "0 of 0 blocks stacked" in captured.out
    assert "not a FITS file" in captured.out
    assert captured.err == ""


def test_bad_frames_alone_are_no_success(
    session: Truth, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    black = session.folder / session.frames[3].file
    assert main(["stack", str(black), "-o", str(tmp_path), "--json"]) == 1
    captured = capsys.readouterr()
    (block,) = json.loads(captured.out, parse_constant=refuse_constant)["blocks"]
    assert (block["output"], block["preview"], block["ra_deg"]) == (None, None, None)
    assert (block["n_frames"], block["n_used"]) == (1, 0)
    assert block["reason"] == "no frame of the block is fit to be stacked"
    assert block["frames"][0]["reason"].startswith("black")
    assert captured.err == ""


def test_one_bad_block_does_not_fail_the_night(session: Truth, tmp_path: Path) -> None:
    later = small_plan(
        start_utc=datetime(2025, 3, 26, 21, 20, tzinfo=UTC), n_frames=1, flaws=((0, Flaw.DOME),)
    )
    bad = simulate_session(later, tmp_path / "in")
    good = session.folder / session.frames[0].file
    words = ["stack", str(bad.folder), str(good), "-o", str(tmp_path / "out"), "--jobs", "1"]
    assert main(words) == 0


@pytest.mark.parametrize(
    "words",
    [
        ["stack"],
        ["stack", "in"],
        ["stack", "-o", "out"],
        ["stack", "in", "-o", "out", "--jobs", "0"],
        ["stack", "in", "-o", "out", "--jobs", "many"],
        ["stack", "in", "-o", "out", "--no-such-option"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage:" in captured.err


def test_an_output_folder_that_cannot_be_is_one_line(
    session: Truth, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["stack", str(session.folder), "-o", str(tmp_path / "file" / "out")]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "the output folder cannot be made" in captured.err


def test_the_exact_site_only_when_asked_for(
    session: Truth, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = str(session.folder / session.frames[0].file)
    for words, site in (([], (48.2, 16.4)), (["--exact-site"], (48.21, 16.37))):
        assert main(["stack", frame, "-o", str(tmp_path), "--json", *words]) == 0
        (block,) = json.loads(capsys.readouterr().out)["blocks"]
        cards = fits.getheader(block["output"])
        assert (cards["SITELAT"], cards["SITELONG"]) == pytest.approx(site)
        assert session.serial.encode() not in Path(block["output"]).read_bytes()


def test_the_demo_draws_stacks_and_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from crowdsky import simulate

    plans = [small_plan(n_frames=4, flaws=())]
    monkeypatch.setattr(simulate, "demo_plans", lambda seed: plans)
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "M 52: drawing 4 frames into night/frames/seed_0/M 52_sub" in out
    assert "1 of 1 blocks stacked, 4 of 4 frames used" in out
    preview = out.split("night/stacks/", 1)[1].splitlines()[0]
    assert (tmp_path / "night" / "stacks" / preview.strip()).is_file()

    assert main(["demo", "--jobs", "1"]) == 0
    assert "M 52: 4 frames drawn before" in capsys.readouterr().out


def test_the_demo_takes_real_frames(
    session: Truth,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "_draw_night", None)  # nothing may be drawn
    words = ["demo", "--data", str(session.folder), "-o", str(tmp_path), "--jobs", "1"]
    assert main(words) == 0
    assert "5 of 6 frames used" in capsys.readouterr().out
