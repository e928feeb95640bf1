"""How long to go on trying."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from crowdsky.errors import CrowdSkyError

__all__ = ["Patience", "Wait"]

FIRST_S = 0.2
LONGEST_S = 5.0
# A service that says when to come back is alive, so it is waited for much longer.
TOLD_TIMES = 60.0

Wait = Callable[[str, float], None]


class Patience:
    """A budget of waiting for one piece of work; progress fills it again.

    Parameters
    ----------
    lost_s : float
        Seconds for which a service that does not answer is asked again. One that is restarted is
        away for some ten seconds, so this should be 30 or more outside of tests.
    stop : threading.Event, optional
        Ends every wait at once.
    on_wait : callable, optional
        Given the reason and the seconds of each wait of a second or more.
    """

    def __init__(
        self, lost_s: float, *, stop: threading.Event | None = None, on_wait: Wait | None = None
    ) -> None:
        self._lost_s, self._stop, self._on_wait = lost_s, stop or threading.Event(), on_wait
        self.progress()

    def progress(self) -> None:
        """Something went well."""
        self._pause_s = FIRST_S
        self._since_s: float | None = None

    def spend(self, error: CrowdSkyError, told_s: float | None = None) -> None:
        """Wait before the next try.

        Parameters
        ----------
        error : CrowdSkyError
            What went wrong; raised when the budget is spent.
        told_s : float, optional
            Seconds that the service asked for.
        """
        now = time.monotonic()
        if self._since_s is None:
            self._since_s = now
        budget_s = self._lost_s if told_s is None else self._lost_s * TOLD_TIMES
        pause_s = self._pause_s if told_s is None else max(told_s, 0.05)
        if now + pause_s - self._since_s > budget_s or self._stop.is_set():
            raise error
        self._pause_s = min(2.0 * self._pause_s, LONGEST_S)
        if self._on_wait is not None and pause_s >= 1.0:
            self._on_wait(str(error), pause_s)
        if self._stop.wait(pause_s):
            raise error
