"""A pile of files, from anywhere: found, grouped, and stacked block by block, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

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
from crowdsky.pipeline.ledger import sweep_leftovers
from crowdsky.pipeline.outcome import NightReport
from crowdsky.pipeline.recipe import Recipe
from crowdsky.pipeline.stack_block import stack_block
from crowdsky.pipeline.workers import stack_in_parallel

__all__ = ["group_paths", "stack_paths"]

Progress = Callable[..., None]


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
        Called as ``on_progress(done, total, text)``: frames, and the block of the last one.

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
    sweep_leftovers(out_dir)
    grouping = group_paths(paths)
    blocks = grouping.blocks
    counter = _Counter(blocks, on_progress)
    if jobs <= 1 or len(blocks) <= 1:
        scales = ScaleMemory()
        with threadpool_limits(1):
            reports = [
                stack_block(
                    block, out_dir, recipe=recipe, scales=scales, on_frame=partial(counter.add, i)
                )
                for i, block in enumerate(blocks)
            ]
    else:
        reports = stack_in_parallel(blocks, out_dir, jobs, recipe, counter.add)
    return NightReport(tuple(reports), tuple(grouping.skipped), tuple(grouping.flagged))


class _Counter:
    """Frames done, each told once to whoever wants to know."""

    def __init__(self, blocks: Sequence[Block], tell: Progress | None) -> None:
        self.labels = [block.label for block in blocks]
        self.left = [len(block.headers) for block in blocks]
        self.done, self.total = 0, sum(self.left)
        self.tell = tell
        if tell is not None:
            tell(0, self.total, "")

    def add(self, block: int) -> None:
        if self.left[block] == 0:
            return
        self.left[block] -= 1
        self.done += 1
        if self.tell is not None:
            self.tell(self.done, self.total, self.labels[block])
