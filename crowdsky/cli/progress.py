"""A progress bar on stderr that keeps quiet where nobody watches."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """Called with ``(done, total)`` or ``(done, total, text)`` as work goes on.

    Parameters
    ----------
    what : str
        What is being done, shown before the bar.
    unit : str
        What is counted.
    """

    def __init__(self, what: str, unit: str) -> None:
        self._what = what
        self._unit = unit
        self._bar: Any = None

    def __enter__(self) -> Progress:
        from tqdm import tqdm

        self._bar = tqdm(
            desc=self._what,
            unit=self._unit,
            total=0,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            leave=False,
            dynamic_ncols=True,
        )
        return self

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Show how far the work is."""
        if self._bar is None or self._bar.disable:
            return
        self._bar.total = total
        if text:
            self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(done - self._bar.n)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
