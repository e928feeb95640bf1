"""A pile of files, from anywhere: found, grouped, and stacked block by block, in parallel."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from crowdsky.astrometry import ScaleMemory
from crowdsky.errors import CrowdSkyError, StackError
from crowdsky.frames import (
    Block,
    FrameHeader,
    Grouping,
    Skipped,
    find_frames,
    group_blocks,
    read_frame_header,
)
from crowdsky.pipeline.outcome import BlockReport, NightReport
from crowdsky.pipeline.recipe import Recipe
from crowdsky.pipeline.stack_block import stack_block

__all__ = ["group_paths", "stack_paths"]

Progress = Callable[..., None]
POLL_S = 0.1


def group_paths(paths: Sequence[Path]) -> Grouping:
    """Find the frames below paths and group them; what is no raw frame is skipped with its reason.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    """
    found = find_frames(paths)
    skipped: list[Skipped] = list(found.skipped)
    headers: list[FrameHeader] = []
    for path in found.frames:
        try:
            headers.append(read_frame_header(path))
        except CrowdSkyError as error:
            reason = error.rule if error.value is None else f"{error.value}: {error.rule}"
            skipped.append(Skipped(path, reason))
    grouping = group_blocks(headers)
    return Grouping(grouping.blocks, skipped + list(grouping.skipped), list(grouping.flagged))


def stack_paths(
    paths: Sequence[Path],
    out_dir: Path,
    *,
    jobs: int = 1,
    recipe: Recipe | None = None,
    on_progress: Progress | None = None,
) -> NightReport:
    """Stack every block of the frames below ``paths``.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    out_dir : Path
        Made if it is not there.
    jobs : int
        Worker processes; each stacks one block at a time with one thread.
    recipe : Recipe, optional
    on_progress : callable, optional
        Called as ``on_progress(done, total, text)``: frames, and the block last finished.

    Returns
    -------
    NightReport

    Raises
    ------
    StackError
        If the output folder cannot be made.
    """
    recipe = Recipe() if recipe is None else recipe
    out_dir = Path(out_dir)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"the output folder cannot be made ({error.strerror})", file=out_dir
        ) from error
    grouping = group_paths(paths)
    counter = _Counter(sum(len(block.headers) for block in grouping.blocks), on_progress)
    if jobs <= 1 or len(grouping.blocks) <= 1:
        scales = ScaleMemory()
        reports = []
        with threadpool_limits(1):
            for block in grouping.blocks:
                counter.text = block.label
                reports.append(
                    stack_block(block, out_dir, recipe=recipe, scales=scales, on_frame=counter.add)
                )
    else:
        reports = _in_parallel(grouping.blocks, out_dir, jobs, recipe, counter)
    return NightReport(tuple(reports), tuple(grouping.skipped), tuple(grouping.flagged))


class _Counter:
    """Frames done, told to whoever wants to know."""

    def __init__(self, total: int, tell: Progress | None) -> None:
        self.done, self.total, self.text = 0, total, ""
        self.tell = tell
        if tell is not None:
            tell(0, total, "")

    def add(self, frames: int = 1) -> None:
        self.done += frames
        if self.tell is not None:
            self.tell(self.done, self.total, self.text)


def _in_parallel(
    blocks: Sequence[Block], folder: Path, jobs: int, recipe: Recipe, counter: _Counter
) -> list[BlockReport]:
    # Workers start afresh ("spawn"): a forked child of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    ticks = context.Queue()
    workers = min(jobs, len(blocks))
    reports: dict[int, BlockReport] = {}
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(ticks,)
    ) as pool:
        # The largest blocks first, so that none is left over for the end.
        order = sorted(range(len(blocks)), key=lambda i: -len(blocks[i].headers))
        futures = {pool.submit(_work, blocks[i], folder, recipe): i for i in order}
        waiting = set(futures)
        while waiting:
            finished, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
            _count(ticks, counter)
            for future in finished:
                report = future.result()
                reports[futures[future]] = report
                counter.text = report.label
        _count(ticks, counter)
    return [reports[i] for i in range(len(blocks))]


def _count(ticks: Any, counter: _Counter) -> None:
    while True:
        try:
            counter.add(ticks.get_nowait())
        except queue.Empty:
            return


_worker: dict[str, Any] = {}


def _start_worker(ticks: Any) -> None:
    # One block, one core: parallel loops inside a worker would fight those of its neighbours.
    _worker.update(ticks=ticks, scales=ScaleMemory(), limits=threadpool_limits(1))


def _work(block: Block, folder: Path, recipe: Recipe) -> BlockReport:
    return stack_block(
        block,
        folder,
        recipe=recipe,
        scales=_worker["scales"],
        on_frame=partial(_worker["ticks"].put, 1),
    )
