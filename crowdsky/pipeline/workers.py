"""Blocks stacked side by side, a process each.

A worker may die: killed from outside, or for want of memory. Then the pool is broken and every
block in it is lost, guilty or not. So those that are unfinished are tried once more, each in a
process of its own; one that dies again is reported as not stacked, and the rest goes on.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from crowdsky.astrometry import ScaleMemory
from crowdsky.frames import Block
from crowdsky.pipeline.outcome import BlockReport, FrameOutcome
from crowdsky.pipeline.recipe import Recipe
from crowdsky.pipeline.stack_block import stack_block

__all__ = ["leave_with_parent", "stack_in_parallel"]

POLL_S = 0.1
DIED = "its worker process died (killed, or out of memory); a second try ended the same way"


def stack_in_parallel(
    blocks: Sequence[Block],
    folder: Path,
    jobs: int,
    recipe: Recipe,
    on_frame: Callable[[int], None],
) -> list[BlockReport]:
    """Stack blocks in worker processes.

    Parameters
    ----------
    blocks : sequence of Block
    folder : Path
    jobs : int
        Processes at once.
    recipe : Recipe
    on_frame : callable
        Called with a block's place for each of its frames that is done with; after a retry more
        often than it has frames.

    Returns
    -------
    list of BlockReport
        In the order of the blocks.
    """
    # The largest blocks first, so that none is left over for the end.
    order = sorted(range(len(blocks)), key=lambda i: -len(blocks[i].headers))
    reports = _round(blocks, order, folder, jobs, recipe, on_frame)
    for i in order:
        if i not in reports:
            again = _round(blocks, [i], folder, 1, recipe, on_frame)
            reports[i] = again.get(i) or _died(blocks[i])
        for _ in blocks[i].headers:
            on_frame(i)  # whatever its worker did not live to tell
    return [reports[i] for i in range(len(blocks))]


def _died(block: Block) -> BlockReport:
    reason = f"the block gave no stack: {DIED}"
    frames = tuple(
        FrameOutcome(str(header.path), used=False, reason=reason, start_utc=header.start_utc)
        for header in block.headers
    )
    return BlockReport.of(block, frames, reason=DIED)


def _round(
    blocks: Sequence[Block],
    chosen: Iterable[int],
    folder: Path,
    jobs: int,
    recipe: Recipe,
    on_frame: Callable[[int], None],
) -> dict[int, BlockReport]:
    """Reports of the chosen blocks, but for those whose worker died."""
    # Workers start afresh ("spawn"): a forked child of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    ticks = context.Queue()
    reports: dict[int, BlockReport] = {}
    strangers = set(multiprocessing.active_children())
    broken = False
    pool = ProcessPoolExecutor(
        min(jobs, len(blocks)), mp_context=context, initializer=_start_worker, initargs=(ticks,)
    )
    futures: dict[Future[BlockReport], int] = {}
    try:
        for i in chosen:
            try:
                futures[pool.submit(_work, i, blocks[i], folder, recipe)] = i
            except (BrokenProcessPool, OSError):
                broken = True  # a worker died before all were handed out; the pool is closing
                break
        waiting = set(futures)
        while waiting:
            finished, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
            _count(ticks, on_frame)
            for future in finished:
                try:
                    reports[futures[future]] = future.result()
                except BrokenProcessPool:
                    broken = True  # its neighbours may have finished before
    finally:
        if broken:
            # The pool ends its workers itself, but not one that it was just starting, and would
            # wait for that one for ever.
            for worker in set(multiprocessing.active_children()) - strangers:
                worker.kill()
        # Interrupted, no block is begun that was not.
        pool.shutdown(wait=True, cancel_futures=True)
        _count(ticks, on_frame)
        ticks.close()
    return reports


def _count(ticks: Any, on_frame: Callable[[int], None]) -> None:
    while True:
        try:
            on_frame(ticks.get_nowait())
        except queue.Empty:
            return


_worker: dict[str, Any] = {}


def _start_worker(ticks: Any) -> None:
    threading.Thread(target=leave_with_parent, daemon=True).start()
    # One block, one core: parallel loops inside a worker would fight those of its neighbours.
    _worker.update(ticks=ticks, scales=ScaleMemory(), limits=threadpool_limits(1))


def leave_with_parent() -> None:
    """A parent that is killed cannot tell its workers to stop; they would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(number: int, block: Block, folder: Path, recipe: Recipe) -> BlockReport:
    return stack_block(
        block,
        folder,
        recipe=recipe,
        scales=_worker["scales"],
        on_frame=partial(_worker["ticks"].put, number),
    )
