"""What a stacking process is asked, what it answers, and how it does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crowdsky.astrometry import ScaleMemory
from crowdsky.frames import Block
from crowdsky.pipeline import BlockReport, Recipe, stack_block
from crowdsky.work.verify import Made, verify_products

__all__ = ["Order", "Stacked", "carry_out"]


@dataclass(frozen=True, slots=True)
class Order:
    """One block to be stacked.

    Attributes
    ----------
    block : Block
        Its headers name files of this machine.
    folder : Path
        Where its products go.
    recipe : Recipe
    cards : tuple of (keyword, value, comment)
        Licence and credit.
    """

    block: Block
    folder: Path
    recipe: Recipe = field(default_factory=Recipe)
    cards: tuple[tuple[str, Any, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stacked:
    """What came of an order.

    Attributes
    ----------
    report : BlockReport
    made : tuple of Made
        The stack, its preview and its thumbnail, verified; empty where there is no stack.
    """

    report: BlockReport
    made: tuple[Made, ...] = ()


def carry_out(
    order: Order,
    *,
    scales: ScaleMemory | None = None,
    on_frame: Callable[[], None] | None = None,
) -> Stacked:
    """Stack a block and read its products again.

    Raises
    ------
    StackError
        If a product is not what the report says.
    """
    report = stack_block(
        order.block,
        order.folder,
        recipe=order.recipe,
        scales=scales,
        on_frame=on_frame,
        cards=order.cards,
    )
    return Stacked(report, verify_products(report) if report.output else ())
