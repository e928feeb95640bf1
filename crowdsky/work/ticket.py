"""A running job, seen from outside: how far it is, and whether it should stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError

__all__ = ["Ticket"]


class Ticket:
    """Shared by the thread that works on a job and those that watch over it.

    Attributes
    ----------
    reason : str
        Why it was cancelled, ``"lost"`` (the job is no longer ours) or ``"released"`` (the worker
        stops); empty while it is not.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._event = threading.Event()
        self._count: Callable[[], int] = lambda: 0

    @property
    def is_cancelled(self) -> bool:
        """Whether the work should stop."""
        return self._event.is_set()

    @property
    def done_frames(self) -> int:
        """Frames of the block that are done with."""
        return self._count()

    def cancel(self, reason: str) -> None:
        """Have the work stop; the first reason given counts."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    def check(self) -> None:
        """Raise `concurrent.futures.CancelledError` if the work should stop."""
        if self._event.is_set():
            raise CancelledError(self.reason)

    def wait(self, seconds: float) -> None:
        """Rest, but not longer than until it is cancelled."""
        self._event.wait(seconds)
        self.check()

    def count_with(self, count: Callable[[], int]) -> None:
        """Say where the number of finished frames is read."""
        self._count = count
