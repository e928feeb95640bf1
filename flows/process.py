"""A process that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable

__all__ = ["run_until_signalled"]


def run_until_signalled(work: Callable[[asyncio.Event], Awaitable[object]]) -> int:
    """Run a coroutine that ends when its event is set, which SIGTERM and SIGINT do.

    It runs in a thread, because a Prefect flow in the main thread takes SIGTERM for itself and
    breaks off wherever the program stands.

    Parameters
    ----------
    work : callable

    Returns
    -------
    int
        Exit code: 0, or 1 if it raised.
    """
    began = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    codes: list[int] = []

    async def run() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        began.set()
        done = asyncio.ensure_future(work(stop))
        await asyncio.wait({done})
        error = done.exception()
        if error is not None:
            traceback.print_exception(error, file=sys.stderr)
        codes.append(0 if error is None else 1)

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="main-loop")

    def tell(_number: int, _frame: object) -> None:
        for loop, stop in loops:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    thread.start()
    began.wait()
    while thread.is_alive():
        # Not for ever: a signal that another thread was given is heard here no later than this.
        thread.join(0.2)
    return codes[0] if codes else 1
