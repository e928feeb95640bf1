"""`crowdsky stack` and `crowdsky demo`: the main job, from frames to stacks and their report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from crowdsky.cli import demo
from crowdsky.cli.main import main
from crowdsky.simulate import Flaw, SessionPlan, Truth, simulate_session

BLOCK_KEYS = {
    "name", "tile", "target", "telescope", "filter", "exposure_s", "start_utc", "n_frames",
    "n_used", "ra_deg", "dec_deg", "output", "preview", "frames",
}  # fmt: skip


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
    assert BLOCK_KEYS <= set(block)
    assert block["target"] == "M 52"
    assert (block["n_frames"], block["n_used"]) == (6, 5)
    assert block["ra_deg"] == pytest.approx(351.2, abs=0.2)
    assert block["dec_deg"] == pytest.approx(61.6, abs=0.2)
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
    assert json.loads(capsys.readouterr().out)["blocks"][0]["output"] == block["output"]
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
