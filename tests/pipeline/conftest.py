"""A night drawn once for all tests of the pipeline, and its stacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from crowdsky.pipeline import NightReport, stack_paths
from crowdsky.simulate import Flaw, Truth, simulate_session
from tests.pipeline.nights import plan, pole_plan


@dataclass(frozen=True)
class Night:
    """Frames of two targets with one bad frame, some junk beside them, and what came of them."""

    folder: Path
    truths: tuple[Truth, ...]
    stacks: Path
    report: NightReport
    progress: list[tuple[int, int, str]]


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("night")
    plans = [plan(flaws=((1, Flaw.BLACK),)), pole_plan()]
    truths = tuple(simulate_session(one, folder) for one in plans)
    (folder / "page.fits").write_text("<html>", encoding="utf-8")
    (folder / "empty.fit").touch()
    (folder / "Light_thn.jpg").write_bytes(b"\xff\xd8")
    stacks = tmp_path_factory.mktemp("stacks")
    progress: list[tuple[int, int, str]] = []
    report = stack_paths([folder], stacks, on_progress=lambda *told: progress.append(told))
    return Night(folder, truths, stacks, report, progress)
