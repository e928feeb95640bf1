"""Labelled steps: the places where a test may stop a process dead.

Whatever must survive a crash says `reached("part.step")` between its steps. That costs a look at
one name, and lets a test kill the process at every one of them in turn.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["on_step", "reached"]

_hook: Callable[[str], None] | None = None


def reached(name: str) -> None:
    """Say that a step was reached."""
    if _hook is not None:
        _hook(name)


def on_step(hook: Callable[[str], None] | None) -> None:
    """Have `hook` called with the name of every step from now on, in this process."""
    global _hook  # noqa: PLW0603 - one hook a process is what it is for
    _hook = hook
