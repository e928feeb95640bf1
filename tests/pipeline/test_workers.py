"""Blocks in parallel: the same stacks, every frame told once, and workers that die."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from crowdsky.pipeline import stack_paths
from tests.pipeline.conftest import Night
from tests.pipeline.nights import check_products, frames_below, planes_of, reconcile


@contextmanager
def killer(how_many: float) -> Iterator[Callable[[], int]]:
    """Kill so many of the worker processes that this one starts."""
    stop, dead = threading.Event(), set()

    def watch() -> None:
        while not stop.is_set() and len(dead) < how_many:
            for child in multiprocessing.active_children():
                if len(dead) < how_many and child.pid not in dead:
                    dead.add(child.pid)
                    child.kill()
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: len(dead)
    finally:
        stop.set()
        thread.join()


def test_two_jobs_make_the_same_stacks(night: Night, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    report = stack_paths(
        [night.folder],
        tmp_path,
        jobs=2,
        on_progress=lambda done, total, _: progress.append((done, total)),
    )
    assert progress == [(i, 7) for i in range(8)]
    reconcile(report, [path for path in night.folder.rglob("*") if path.is_file()])
    for block, alone in zip(report.blocks, night.report.blocks, strict=True):
        assert block.label == alone.label
        assert [f.used for f in block.frames] == [f.used for f in alone.frames]
        assert np.array_equal(planes_of(str(block.output)), planes_of(str(alone.output)))
    assert multiprocessing.active_children() == []


def test_a_worker_that_dies_costs_nothing_but_time(night: Night, tmp_path: Path) -> None:
    progress: list[int] = []
    with killer(1) as killed:
        report = stack_paths(
            [night.folder], tmp_path, jobs=2, on_progress=lambda done, *_: progress.append(done)
        )
    assert killed() == 1
    assert [block.n_used for block in report.blocks] == [3, 3]
    assert progress == list(range(8))
    check_products(tmp_path)


def test_workers_that_always_die_are_reported(night: Night, tmp_path: Path) -> None:
    progress: list[int] = []
    frames = frames_below(night.folder)
    with killer(float("inf")) as killed:
        report = stack_paths(
            frames, tmp_path, jobs=2, on_progress=lambda done, *_: progress.append(done)
        )
    assert killed() >= 3
    reconcile(report, frames)
    assert all("worker process died" in block.reason for block in report.blocks)
    assert progress == list(range(8))
    assert list(tmp_path.iterdir()) == []
