"""Frames that science can do without: left out with their reasons; the good ones are stacked."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from crowdsky.frames import find_frames
from crowdsky.pipeline import BlockReport, NightReport, stack_paths
from crowdsky.simulate import Flaw, simulate_session
from tests.pipeline.nights import frames_below, plan, planes_of, pole_plan, reconcile

KINDS = {
    Flaw.CLOUD: ("clouds", "too few stars"),
    Flaw.TRAILED: ("trailed", "out of focus or trailed"),
    Flaw.DEFOCUSED: ("out of focus",),
    Flaw.BLACK: ("black",),
    Flaw.DARK: ("too few stars",),
    Flaw.SATURATED: ("saturated",),
    Flaw.DOME: ("too few stars",),
}
FLAWS = tuple(Flaw)
N_GOOD = 4


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Good frames first and last, one of each flaw in between."""
    folder = tmp_path_factory.mktemp("flaws")
    flaws = tuple((i + 1, flaw) for i, flaw in enumerate(FLAWS))
    simulate_session(plan(n_frames=len(FLAWS) + N_GOOD, flaws=flaws), folder)
    return frames_below(folder)


@pytest.fixture(scope="module")
def report(frames: list[Path], tmp_path_factory: pytest.TempPathFactory) -> NightReport:
    return stack_paths(frames, tmp_path_factory.mktemp("stacks"))


def bad_ones(frames: list[Path]) -> dict[Flaw, Path]:
    return dict(zip(FLAWS, frames[1:], strict=False))


def good_ones(frames: list[Path]) -> list[Path]:
    return [frames[0], *frames[len(FLAWS) + 1 :]]


def stacked(files: list[Path], folder: Path) -> BlockReport:
    (block,) = stack_paths(files, folder).blocks
    return block


def test_the_good_ones_are_stacked(frames: list[Path], report: NightReport) -> None:
    reconcile(report, frames)
    (block,) = report.blocks
    assert [Path(f.file) for f in block.frames if f.used] == good_ones(frames)
    assert block.solution
    assert planes_of(str(block.output))[3].max() == N_GOOD


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_is_called_by_its_name(
    flaw: Flaw, frames: list[Path], report: NightReport
) -> None:
    ledger = {Path(f.file): f for f in report.blocks[0].frames}
    outcome = ledger[bad_ones(frames)[flaw]]
    assert not outcome.used
    assert outcome.reason.startswith(KINDS[flaw])
    assert "\n" not in outcome.reason


def test_bad_frames_leave_no_trace(frames: list[Path], report: NightReport, tmp_path: Path) -> None:
    alone = stacked(good_ones(frames), tmp_path)
    assert np.array_equal(
        planes_of(str(alone.output)), planes_of(str(report.blocks[0].output)), equal_nan=True
    )


@pytest.mark.parametrize("flaw", [flaw for flaw in FLAWS if flaw is not Flaw.CLOUD])
def test_one_bad_sub_gives_a_report_and_no_stack(
    flaw: Flaw, frames: list[Path], tmp_path: Path
) -> None:
    block = stacked([bad_ones(frames)[flaw]], tmp_path)
    assert (block.output, block.preview, block.n_used) == (None, None, 0)
    assert block.reason == "no frame of the block is fit to be stacked"
    assert block.frames[0].reason.startswith(KINDS[flaw])
    assert [file.name for file in tmp_path.iterdir()] == [f"{block.label}.json"]


@pytest.mark.parametrize("flaw", FLAWS)
def test_of_two_subs_the_good_one_is_kept(flaw: Flaw, frames: list[Path], tmp_path: Path) -> None:
    block = stacked([frames[0], bad_ones(frames)[flaw]], tmp_path)
    assert [f.used for f in block.frames] == [True, False]
    assert block.solution


def test_a_night_of_trailed_frames_gives_nothing(tmp_path: Path) -> None:
    flaws = tuple((i, Flaw.TRAILED) for i in range(4))
    simulate_session(plan(flaws=flaws), tmp_path / "in")
    block = stacked(frames_below(tmp_path / "in"), tmp_path / "out")
    assert block.n_used == 0
    assert all(f.reason.startswith(KINDS[Flaw.TRAILED]) for f in block.frames)


def test_one_sub_is_a_stack_of_one(frames: list[Path], tmp_path: Path) -> None:
    block = stacked(frames[:1], tmp_path)
    assert block.n_used == 1
    assert block.solution
    assert set(np.unique(planes_of(str(block.output))[3])) <= {0.0, 1.0}


def test_identical_frames_count_once(frames: list[Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copy(frames[0], tmp_path / f"{i}.fit")) for i in range(4)]
    report = stack_paths(copies, tmp_path / "out")
    reconcile(report, copies)
    assert [block.n_used for block in report.blocks] == [1]
    assert {entry.reason for entry in report.skipped} == {f"duplicate of {copies[0]}"}


def test_a_satellite_spoils_no_frame(tmp_path: Path) -> None:
    truth = simulate_session(pole_plan(n_frames=5, satellites=(1,)), tmp_path / "in")
    block = stacked(find_frames(tmp_path / "in").frames, tmp_path / "out")
    assert block.n_used == 5
    trailed = block.frames[1]
    assert trailed.rejected_fraction == max(f.rejected_fraction for f in block.frames)
    # Nothing is left along the trail: it is as bright as the sky beside it.
    green = planes_of(str(block.output))[1]
    (trail,) = truth.frames[1].trails
    # The reference is the third frame; dithers between are small against the strip looked at.
    along = np.linspace(0.0, 1.0, 4000)
    x = trail.x0_px + along * (trail.x1_px - trail.x0_px)
    y = trail.y0_px + along * (trail.y1_px - trail.y0_px)
    inside = (x > 60) & (x < green.shape[1] - 60) & (y > 60) & (y < green.shape[0] - 60)
    length = np.hypot(trail.x1_px - trail.x0_px, trail.y1_px - trail.y0_px)
    nx, ny = (trail.y1_px - trail.y0_px) / length, -(trail.x1_px - trail.x0_px) / length
    medians = []
    for offset in range(-45, 46):
        column = np.rint(x[inside] + offset * nx).astype(int)
        row = np.rint(y[inside] + offset * ny).astype(int)
        medians.append(np.median(green[row, column]))
    noise = block.quality["sky_rms_adu"][1]
    assert max(medians) - np.median(medians) < 3 * noise


@pytest.mark.parametrize("faintest_mag", [8.0, 6.5])
def test_a_field_with_hardly_a_star_is_too_poor(faintest_mag: float, tmp_path: Path) -> None:
    simulate_session(plan(n_frames=3, faintest_mag=faintest_mag), tmp_path / "in")
    block = stacked(frames_below(tmp_path / "in"), tmp_path / "out")
    assert block.output is None
    assert all("too few stars" in f.reason for f in block.frames)


def test_a_field_of_seven_stars_is_stacked(tmp_path: Path) -> None:
    simulate_session(plan(n_frames=3, faintest_mag=9.0), tmp_path / "in")
    block = stacked(frames_below(tmp_path / "in"), tmp_path / "out")
    assert block.n_used == 3


def test_a_frame_that_vanishes_is_missed_and_named(
    frames: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crowdsky.pipeline import night

    files = [Path(shutil.copy(frame, tmp_path / frame.name)) for frame in good_ones(frames)]
    grouped = night.group_paths

    def group_then_lose(paths: list[Path]) -> object:
        grouping = grouped(paths)
        files[1].unlink()
        return grouping

    monkeypatch.setattr(night, "group_paths", group_then_lose)
    report = stack_paths(files, tmp_path / "out")
    reconcile(report, files)
    (block,) = report.blocks
    assert [f.used for f in block.frames] == [True, False, True, True]
    assert "cannot be opened" in block.frames[1].reason
