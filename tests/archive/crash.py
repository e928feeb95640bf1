"""Real processes that are killed at a labelled step."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

from crowdsky.steps import on_step

__all__ = ["killed_at", "steps_of"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["tests.archive.crash", "crowdsky.archive.commit", "crowdsky.archive.delete_job"]
)


def steps_of(act: Callable[[], Any]) -> list[str]:
    """The steps that an act reaches, in order."""
    reached: list[str] = []
    on_step(reached.append)
    try:
        act()
    finally:
        on_step(None)
    return list(dict.fromkeys(reached))


def killed_at(label: str, act: Callable[..., Any], *args: Any) -> None:
    """Run an act of a module in a process of its own, which dies by SIGKILL at a step."""
    process = _context.Process(target=_run, args=(label, act, args))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, f"{label} was not reached: {process.exitcode}"


def _run(label: str, act: Callable[..., Any], args: tuple[Any, ...]) -> None:
    def die(name: str) -> None:
        if name == label:
            os.kill(os.getpid(), signal.SIGKILL)

    on_step(die)
    act(*args)
