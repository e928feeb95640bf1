"""Cards by the type that a rule expects."""

from __future__ import annotations

import math
from pathlib import Path

from crowdsky.errors import BadHeaderCard
from crowdsky.frames.cards import CardValue, HeaderCards

__all__ = ["TypedCards"]


class TypedCards:
    """Cards by the type a rule expects; a card of another type counts as absent."""

    __slots__ = ("cards", "path")

    def __init__(self, cards: HeaderCards, path: Path) -> None:
        self.cards = cards
        self.path = path

    def text(self, keyword: str) -> str:
        """Text without surrounding blanks; empty for any other type."""
        value = self.lenient(keyword)
        return value.strip() if isinstance(value, str) else ""

    def number(self, keyword: str, *, limit: float = math.inf) -> float:
        """A finite number of at most ``limit`` in size; NaN for anything else."""
        value = self.lenient(keyword)
        if isinstance(value, (bool, str)) or value is None or not math.isfinite(value):
            return math.nan
        return float(value) if abs(value) <= limit else math.nan

    def lenient(self, keyword: str) -> CardValue:
        """The value, or ``None`` if the card is absent, undefined or malformed."""
        try:
            value: CardValue = self.cards.get(keyword)
        except BadHeaderCard:
            return None
        return value
