"""Killed at any moment, a run leaves nothing that looks complete and is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from crowdsky.pipeline import stack_paths
from crowdsky.simulate import simulate_session
from tests.pipeline.nights import check_products, frames_below, plan, planes_of, pole_plan

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")

# Warm up once, then fork for each crash: at the n-th renaming of a finished file, before or after
# it, or after some seconds. Prints how each child ended.
CRASHES = """
import os, signal, sys
from pathlib import Path
from crowdsky.pipeline import stack_paths

frames, out = Path(sys.argv[1]), Path(sys.argv[2])
stack_paths([frames], out / "whole")
true_replace = Path.replace


def crash_at(n, before):
    def replace(self, target):
        crash_at.calls += 1
        if before and crash_at.calls == n:
            os.kill(os.getpid(), signal.SIGKILL)
        true_replace(self, target)
        if crash_at.calls == n:
            os.kill(os.getpid(), signal.SIGKILL)
    crash_at.calls = 0
    Path.replace = replace


plans = [(n, before, 0) for n in range(1, 5) for before in (True, False)]
plans += [(99, True, delay) for delay in (0.1, 0.3)]
for number, (n, before, delay) in enumerate(plans):
    child = os.fork()
    if child == 0:
        crash_at(n, before)
        if delay:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, delay)
        stack_paths([frames], out / str(number))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(number, os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    simulate_session(plan(n_frames=2), folder)
    return folder


def test_killed_at_every_step_and_run_again(frames: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASHES, str(frames), str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    ended = dict(map(int, line.split()) for line in done.stdout.splitlines())
    assert len(ended) == 10
    assert [ended[i] for i in range(8)] == [-signal.SIGKILL] * 8
    (whole,) = (tmp_path / "whole").glob("*.fits")
    expected = planes_of(whole)
    for number in ended:
        folder = tmp_path / str(number)
        if folder.is_dir():
            check_products(folder)
            for report in folder.glob("*.json"):  # the last word: all it names is there
                facts = json.loads(report.read_text(encoding="utf-8"))
                assert all(Path(facts[key]).is_file() for key in ("output", "preview", "thumbnail"))
    for number in (0, 3, 5, 7):
        folder = tmp_path / str(number)
        had_report = any(folder.glob("*.json"))
        (block,) = stack_paths([frames], folder).blocks
        assert block.unchanged == had_report
        assert np.array_equal(planes_of(str(block.output)), expected)
        assert (folder / f"{block.label}.json").is_file()


def test_a_report_never_outlives_the_stack_that_it_tells_of(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of three runs the middle one keeps the exact site and is cut off after writing its stack.
    from crowdsky.pipeline import Recipe, stack_block

    (first,) = stack_paths([frames], tmp_path).blocks
    stack = Path(str(first.output))
    rounded = stack.read_bytes()

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[stack_block.__module__], "save_report", cut_off)
        with pytest.raises(KeyboardInterrupt):
            stack_paths([frames], tmp_path, recipe=Recipe(exact_site=True))
    assert b"48.21" in stack.read_bytes()
    assert b"48.21" not in rounded
    (again,) = stack_paths([frames], tmp_path).blocks
    assert not again.unchanged
    assert b"48.21" not in stack.read_bytes()


def test_workers_leave_with_a_command_that_is_killed(frames: Path, tmp_path: Path) -> None:
    simulate_session(pole_plan(n_frames=2), frames)
    command = [
        sys.executable, "-c", "from crowdsky.cli.main import main; raise SystemExit(main())",
        "stack", str(frames), "-o", str(tmp_path), "--jobs", "2",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while len(members_of(process.pid)) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None
        process.kill()
        process.wait()
        while members_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert members_of(process.pid) == []
    check_products(tmp_path)
    report = stack_paths([frames], tmp_path)
    assert sum(block.n_used for block in report.blocks) == len(frames_below(frames))


def members_of(group: int) -> list[int]:
    """Living processes of a process group."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, pgrp = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            members.append(int(entry.name))
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to see processes")
    return members
