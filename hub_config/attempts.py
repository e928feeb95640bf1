"""How often a password may be guessed: by name, by address, and by both."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping

__all__ = ["Attempts"]

_MOST = 50_000


class Attempts:
    """Counts tries; those that turn out well are given back.

    A try is counted before its password is looked at, so that a hundred at once are a hundred.
    Names that nobody has are counted like those that somebody has.

    Parameters
    ----------
    clock : callable, optional
        Seconds, monotonic.

    Examples
    --------
    >>> attempts = Attempts(clock=lambda: 100.0)
    >>> [attempts.take({"ann": 2}, 60.0) for _ in range(3)]
    [0.0, 0.0, 60.0]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._counts: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def take(self, limits: Mapping[Hashable, int], window_s: float) -> float:
        """Count one try.

        Parameters
        ----------
        limits : mapping
            Whose tries these are, and how many each has in a window.
        window_s : float
            Counted from the first one.

        Returns
        -------
        float
            Seconds to wait; 0 if the try may be made. One that may not is not counted.
        """
        now = self.clock()
        found = {name: self._get(name, now) for name in limits}
        waits = [end - now for name, (count, end) in found.items() if count >= limits[name]]
        if waits:
            return max(waits)
        for name, (count, end) in found.items():
            self._counts.pop(name, None)
            self._counts[name] = (count + 1, end if count else now + window_s)
        while len(self._counts) > _MOST:
            self._counts.popitem(last=False)
        return 0.0

    def give_back(self, names: Mapping[Hashable, int]) -> None:
        """The try went well: it counts for nothing."""
        for name in names:
            count, end = self._counts.get(name, (0, 0.0))
            if count > 1:
                self._counts[name] = (count - 1, end)
            else:
                self._counts.pop(name, None)

    def clear(self, name: Hashable) -> None:
        """Forget the tries of one."""
        self._counts.pop(name, None)

    def _get(self, name: Hashable, now: float) -> tuple[int, float]:
        count, end = self._counts.get(name, (0, 0.0))
        return (count, end) if end > now else (0, 0.0)
