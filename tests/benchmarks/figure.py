"""A measured figure, its bar, and the table that shows them side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from crowdsky.cli.output import format_table

__all__ = ["Figure", "figure_table"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the benchmark table.

    Attributes
    ----------
    what : str
        What was measured, under which conditions.
    value : float
        The figure.
    unit : str
    bar : float or None
        What it should reach; None for figures that are only told.
    better : {'less', 'more'}
        On which side of the bar it should be.
    beside : str
        What it compares with: a floor, or a peer measured in the same run or, if so marked, before.
    """

    what: str
    value: float
    unit: str
    bar: float | None = None
    better: Literal["less", "more"] = "less"
    beside: str = ""

    @property
    def verdict(self) -> str:
        """``ok``, ``MISS``, or nothing where there is no bar."""
        if self.bar is None:
            return ""
        reached = self.value <= self.bar if self.better == "less" else self.value >= self.bar
        return "ok" if reached else "MISS"


def figure_table(figures: Iterable[Figure]) -> str:
    """Lay the figures out, a line each."""
    sign = {"less": "≤", "more": "≥"}
    rows = [
        [
            figure.what,
            f"{figure.value:.4g}",
            figure.unit,
            "" if figure.bar is None else f"{sign[figure.better]} {figure.bar:g}",
            figure.verdict,
            figure.beside,
        ]
        for figure in figures
    ]
    return format_table(["figure", "measured", "unit", "bar", "", "beside"], rows, "lrlrll")
