"""From a pile of files to stacks and a ledger: measure, judge, register, stack, solve, write."""

from crowdsky.pipeline.night import group_paths, stack_paths
from crowdsky.pipeline.outcome import BlockReport, FrameOutcome, NightReport
from crowdsky.pipeline.recipe import FrameLimits, Recipe
from crowdsky.pipeline.stack_block import stack_block

__all__ = [
    "BlockReport",
    "FrameLimits",
    "FrameOutcome",
    "NightReport",
    "Recipe",
    "group_paths",
    "stack_block",
    "stack_paths",
]
