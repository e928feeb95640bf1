"""A second run does what is left to do, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from crowdsky.pipeline import Recipe, stack_paths
from tests.pipeline.conftest import Night
from tests.pipeline.nights import (
    check_products,
    copied,
    frames_below,
    planes_of,
    reconcile,
    times_of_change,
)


@pytest.fixture(scope="module")
def made_once(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a frame of either target in ``in``, and their stacks in ``out``."""
    folder = tmp_path_factory.mktemp("twice")
    copied(frames_below(night.folder / "M 52_sub")[:1], folder / "in")
    copied(frames_below(night.folder / "Pole field_sub")[:1], folder / "in")
    stack_paths([folder / "in"], folder / "out")
    return folder


@pytest.fixture
def twice(made_once: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of those two folders, to be spoilt."""
    for name in ("in", "out"):
        shutil.copytree(made_once / name, tmp_path / name)
    return tmp_path / "in", tmp_path / "out"


def test_a_second_run_does_nothing(night: Night) -> None:
    before = times_of_change(night.stacks)
    progress: list[int] = []
    again = stack_paths(
        [night.folder], night.stacks, on_progress=lambda done, *_: progress.append(done)
    )
    assert times_of_change(night.stacks) == before
    assert progress == list(range(8))
    reconcile(again, [path for path in night.folder.rglob("*") if path.is_file()])
    for block, first in zip(again.blocks, night.report.blocks, strict=True):
        assert block.unchanged
        assert block.as_dict() | {"unchanged": False} == first.as_dict()


def test_an_added_frame_makes_only_its_block_again(night: Night, twice: tuple[Path, Path]) -> None:
    frames, stacks = twice
    copied(frames_below(night.folder / "M 52_sub")[2:3], frames)
    blocks = stack_paths([frames], stacks).blocks
    assert {b.target: (b.unchanged, b.n_used) for b in blocks} == {
        "Pole field": (True, 1),
        "M 52": (False, 2),
    }


def test_a_changed_frame_makes_only_its_block_again(night: Night, twice: tuple[Path, Path]) -> None:
    frames, stacks = twice
    (frame,) = [path for path in frames.iterdir() if "Pole" in path.name]
    content = bytearray(frame.read_bytes())
    content[-100_000] ^= 1
    frame.write_bytes(content)
    blocks = stack_paths([frames], stacks).blocks
    assert {b.target: b.unchanged for b in blocks} == {"Pole field": False, "M 52": True}


@pytest.mark.parametrize("product", ["output", "preview", "thumbnail", "report"])
def test_a_deleted_product_is_made_again(product: str, twice: tuple[Path, Path]) -> None:
    frames, stacks = twice
    report = stack_paths([frames], stacks).blocks[0].as_dict()
    report["report"] = stacks / f"{report['label']}.json"
    Path(report[product]).unlink()
    blocks = stack_paths([frames], stacks).blocks
    assert [block.unchanged for block in blocks] == [False, True]
    assert Path(report[product]).is_file()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"fingerprint": 1}', "\udcff"])
def test_a_spoilt_report_is_made_again(text: str, twice: tuple[Path, Path]) -> None:
    frames, stacks = twice
    spoilt = stacks / f"{stack_paths([frames], stacks).blocks[0].label}.json"
    spoilt.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert not stack_paths([frames], stacks).blocks[0].unchanged
    assert json.loads(spoilt.read_text(encoding="utf-8"))["n_used"] == 1


def test_another_recipe_makes_another_stack(twice: tuple[Path, Path]) -> None:
    frames, stacks = twice
    blocks = stack_paths([frames], stacks, recipe=Recipe(exact_site=True)).blocks
    assert not any(block.unchanged for block in blocks)


def test_moved_folders_and_another_working_directory_change_nothing(
    twice: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, stacks = (path.rename(tmp_path / f"moved {path.name}") for path in twice)
    monkeypatch.chdir(tmp_path)
    report = stack_paths([frames.relative_to(tmp_path)], stacks.relative_to(tmp_path))
    assert all(block.unchanged for block in report.blocks)
    for block in report.blocks:
        assert Path(str(block.output)).is_file()
        assert all(Path(frame.file).is_file() for frame in block.frames)


def test_what_is_half_written_is_no_product_and_goes_in_time(twice: tuple[Path, Path]) -> None:
    frames, stacks = twice
    label = stack_paths([frames], stacks).blocks[0].label
    old, new = stacks / f".{label}.fits.1.part", stacks / f".{label}.fits.2.part"
    for part in (old, new):
        part.write_bytes(b"SIMPLE  =")
    os.utime(old, times=(time.time() - 7200, time.time() - 7200))
    assert all(block.unchanged for block in stack_paths([frames], stacks).blocks)
    assert not old.exists()
    assert new.exists()  # somebody may be at it
    skipped = stack_paths([stacks], stacks.parent / "other")
    assert skipped.blocks == ()
    check_products(stacks)


def test_a_full_disk_leaves_nothing_that_looks_complete(night: Night, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    frames = copied(frames_below(night.folder)[:1], tmp_path / "in")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        report = stack_paths(frames, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (block,) = report.blocks
    assert (block.output, block.n_used) == (None, 0)
    assert "could not be written" in block.reason
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".json"]
    (block,) = stack_paths(frames, tmp_path / "out").blocks
    assert block.n_used == 1
    planes_of(str(block.output))


def test_a_report_that_cannot_be_written_is_told(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crowdsky.pipeline import ledger

    def full(path: Path) -> object:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(ledger, "written_aside", full)
    (block,) = stack_paths(frames_below(night.folder)[:1], tmp_path).blocks
    assert "the report could not be written (No space left on device)" in block.reason
    assert not list(tmp_path.glob("*.json"))


def test_a_folder_that_cannot_be_written_to_is_told_at_once(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    report = stack_paths(frames_below(night.folder)[:1], tmp_path)
    (block,) = report.blocks
    assert "the output folder cannot be written to" in block.reason
    assert block.n_used == 0
