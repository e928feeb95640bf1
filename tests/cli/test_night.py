"""The table of a night."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crowdsky.cli.night import night_table
from crowdsky.cli.stack import exit_code


def block(**changes: Any) -> dict[str, Any]:
    return {
        "name": "20250326.81_192.7_+41.1",
        "tile": "20250326.81_HP033000",
        "target": "M 94",
        "telescope": "S50",
        "filter": "IRCUT",
        "exposure_s": 10.0,
        "start_utc": "2025-03-26T20:15:00Z",
        "n_frames": 3,
        "n_used": 2,
        "ra_deg": 192.721,
        "dec_deg": 41.1202,
        "output": "out/a.fits",
        "preview": "out/a.webp",
        "frames": [
            {"file": "1.fit", "used": True, "reason": ""},
            {"file": "2.fit", "used": True, "reason": ""},
            {"file": "3.fit", "used": False, "reason": "clouds: 4 stars"},
        ],
    } | changes


def test_a_line_a_block_with_position_and_preview() -> None:
    table = night_table({"blocks": [block()], "skipped": []})
    row = table.splitlines()[2]
    for cell in ("M 94", "S50", "2/3", "12h50m53.0s", "+41°07'13\"", "out/a.webp"):
        assert cell in row
    assert "1 of 1 blocks stacked, 2 of 3 frames used, 0 files skipped" in table
    assert "rejected    1  clouds: 4 stars" in table


def test_an_unsolved_block_and_skipped_files() -> None:
    failed = block(ra_deg=None, dec_deg=None, output=None, preview=None, n_used=0)
    report = {
        "blocks": [failed],
        "skipped": [{"file": "a.mp4", "reason": "a video"}, {"file": "b.mp4", "reason": "a video"}],
    }
    table = night_table(report)
    assert "0 of 1 blocks stacked" in table
    assert "skipped     2  a video" in table
    assert exit_code(report) == 1


@pytest.mark.parametrize(
    ("blocks", "code"), [([], 1), ([block()], 0), ([block(), block(output=None)], 0)]
)
def test_the_exit_code_is_0_when_any_block_is_stacked(
    blocks: list[dict[str, Any]], code: int
) -> None:
    assert exit_code({"blocks": blocks, "skipped": []}) == code


def test_a_hostile_target_stays_in_its_row() -> None:
    table = night_table({"blocks": [block(target="M\n94\x1b[2J")], "skipped": []})
    assert "\x1b" not in table
    assert len(table.splitlines()) == 5


def test_a_preview_is_shown_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = night_table({"blocks": [block(preview=str(tmp_path / "o" / "a.png"))], "skipped": []})
    assert table.splitlines()[2].endswith("  o/a.png")
