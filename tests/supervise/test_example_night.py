"""The night that the pages offer for trying: whole, small enough, and stacks come out of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from crowdsky.pipeline import stack_paths
from crowdsky.supervise.example_night import (
    EXAMPLE_NIGHT,
    draw_example_night,
    example_plans,
    main,
)

MOST_BYTES = 100_000_000


@pytest.fixture(scope="module")
def small_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same night with four frames of each target, none of them bad."""
    path = tmp_path_factory.mktemp("example") / EXAMPLE_NIGHT
    plans = [replace(plan, n_frames=4, flaws=()) for plan in example_plans()]
    draw_example_night(path, plans)
    return path


def test_it_is_laid_out_as_on_the_telescope_and_nothing_is_left_beside_it(
    small_night: Path,
) -> None:
    with zipfile.ZipFile(small_night) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert len(names) == len(set(names)) == 8
    for name in names:
        top, folder, file = name.split("/")
        assert top == "example-night"
        assert folder in ("M 101_sub", "IC 5146_sub")
        assert file.startswith("Light_")
        assert file.endswith(".fit")
    assert [path.name for path in small_night.parent.iterdir()] == [EXAMPLE_NIGHT]


def test_stacks_come_out_of_it(small_night: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(small_night) as archive:
        archive.extractall(tmp_path)
    report = stack_paths([tmp_path / "example-night"], tmp_path / "stacks", jobs=1)
    found = {block.target: (block.n_used, bool(block.solution)) for block in report.blocks}
    assert found == {"M 101": (4, True), "IC 5146": (4, True)}


def test_the_whole_is_two_blocks_and_not_too_much_to_send(small_night: Path) -> None:
    plans = example_plans()
    assert [plan.n_frames for plan in plans] == [12, 12]
    assert small_night.stat().st_size / 8 * 24 < 0.9 * MOST_BYTES
    quarters = set()
    for plan in plans:
        last = plan.start_utc.timestamp() + plan.n_frames * (plan.exposure_s + 10.0)
        assert plan.start_utc.timestamp() // 900 == last // 900  # of an hour, in one block
        quarters.add(plan.start_utc.timestamp() // 900)
    assert len(quarters) == 2
    # Not the demo's frames, or somebody who has those would be told that all is here already.
    assert plans[0].target != "M 51"


def test_one_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / EXAMPLE_NIGHT).write_text("an operator's own", encoding="utf-8")
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / EXAMPLE_NIGHT).read_text(encoding="utf-8") == "an operator's own"


def test_one_that_is_stopped_while_it_is_drawn_leaves_nothing(tmp_path: Path) -> None:
    # What one left that was killed; the next takes it away.
    (tmp_path / ".example-left").mkdir()
    (tmp_path / f".{EXAMPLE_NIGHT}.1.part").touch()
    command = [sys.executable, "-m", "crowdsky.supervise.example_night", str(tmp_path)]
    with subprocess.Popen(command) as drawing:
        deadline = time.monotonic() + 60.0
        while not list(tmp_path.glob(".example-*/frame.fit")):
            assert time.monotonic() < deadline
            assert drawing.poll() is None
            time.sleep(0.01)
        drawing.send_signal(signal.SIGTERM)
        assert drawing.wait(60.0) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
