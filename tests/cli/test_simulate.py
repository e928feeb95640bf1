"""`crowdsky simulate` writes frames and their truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from crowdsky.cli.main import main
from crowdsky.frames import read_frame_header
from crowdsky.simulate import read_truth


def test_a_session_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "simulate", "-o", str(tmp_path), "--model", "S30", "--target", "M 42", "--ra", "-276.18",
        "--dec", "-5.39", "--frames", "2", "--start", "2025-01-05T20:00:00", "--exposure", "20",
        "--filter", "LP", "--rotation", "12", "--equatorial", "--seed", "4",
    ]  # fmt: skip
    assert main(words) == 0
    folder = tmp_path / "M 42_sub"
    assert capsys.readouterr().out == f"2 frames of 'M 42' in {folder}\n"
    (truth,) = read_truth(folder)
    files = sorted(folder.glob("*.fit"))
    assert sorted(frame.file for frame in truth.frames) == [path.name for path in files]
    headers = [read_frame_header(path) for path in files]
    assert {header.telescope.name for header in headers} == {"S30"}
    assert {header.target for header in headers} == {"M 42"}
    assert {header.filter for header in headers} == {"LP"}
    assert {header.exposure_s for header in headers} == {20.0}
    assert headers[0].start_utc.isoformat() == "2025-01-05T20:00:00+00:00"
    assert truth.frames[0].wcs.ra_deg == pytest.approx(83.82, abs=0.1)


def test_an_unknown_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "-o", str(tmp_path), "--model", "S99"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("crowdsky: error: S99: model must be one of")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
