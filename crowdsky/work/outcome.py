"""How a job ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from crowdsky.pipeline import BlockReport

__all__ = ["JobOutcome"]

State = Literal["done", "nothing", "queued", "failed", "lost", "released", "paused"]


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended.

    Attributes
    ----------
    state : str
        ``done``: there is a stack. ``nothing``: no frame was fit for one. ``queued``, ``failed``:
        an error, with or without another try. ``lost``: deleted, or another worker's. ``released``,
        ``paused``: given back, because the worker stops or has no room.
    reason : str
        Empty if done.
    stack_id : int or None
    n_frames, n_used : int
    thumbnail : bytes
        WebP, empty without a stack.
    report : BlockReport or None
    marks : dict of str to float
        Monotonic seconds at which it was leased, fetched, stacked and committed.
    """

    state: State
    reason: str = ""
    stack_id: int | None = None
    n_frames: int = 0
    n_used: int = 0
    thumbnail: bytes = b""
    report: BlockReport | None = None
    marks: Mapping[str, float] = field(default_factory=dict)

    def with_marks(self, marks: Mapping[str, float]) -> JobOutcome:
        """The same with its times."""
        return replace(self, marks=dict(marks))
