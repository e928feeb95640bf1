"""Processes that look at what strangers send, and may die of it.

A few of them live long, because starting one takes a second. Each has little memory beyond what it
starts with, a budget of CPU for each task, no right to write large files, and is killed when its
task takes too long; that costs the one file that it was looking at.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as TaskTimeout
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from crowdsky.errors import UploadError

__all__ = ["Sandbox"]

P = ParamSpec("P")
T = TypeVar("T")

MEMORY_BYTES = 512 << 20


class Sandbox:
    """The processes; started when the first task comes.

    Parameters
    ----------
    processes : int
        How many there are.
    memory_bytes : int
        Of address space for the tasks of one process, beyond what it has when it has started.
    file_bytes : int
        Largest file that a task may write.
    """

    def __init__(
        self, processes: int = 2, *, memory_bytes: int = MEMORY_BYTES, file_bytes: int = 1 << 32
    ) -> None:
        self._processes = processes
        self._limits = (memory_bytes, file_bytes)
        self._pool: ProcessPool | None = None
        self._lock = threading.Lock()

    async def run(
        self,
        task: Callable[P, T],
        timeout_s: float,
        cpu_s: float,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a task.

        Parameters
        ----------
        task : callable
            A function of a module, by name.
        timeout_s : float
            Seconds after which its process is killed.
        cpu_s : float
            Seconds of CPU after which the system kills it.

        Raises
        ------
        UploadError
            Its process died, twice, or had to be killed.
        CrowdSkyError
            Whatever the task raises.
        """
        for again in (True, False):
            future = self._running().schedule(
                _limited, args=(task, cpu_s, args, kwargs), timeout=timeout_s
            )
            try:
                return await asyncio.wrap_future(future)
            except TaskTimeout:
                raise UploadError(
                    f"looking at it took longer than {timeout_s:g} s and was ended"
                ) from None
            except ProcessExpired:
                # Perhaps it was killed from outside, and the file is innocent.
                if not again:
                    break
        raise UploadError("the process that looked at it died, twice (too much memory or CPU)")

    def start(self) -> None:
        """Start the processes now, so that the first task need not wait for them."""
        for _ in range(self._processes):
            self._running().schedule(_limited, args=(_ready, 60.0, (), {}))

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()

    def _running(self) -> ProcessPool:
        with self._lock:
            if self._pool is None or not self._pool.active:
                # Started afresh ("spawn"): a forked child of a process with threads may hang.
                self._pool = ProcessPool(
                    max_workers=self._processes,
                    context=multiprocessing.get_context("spawn"),
                    initializer=_prepare,
                    initargs=self._limits,
                )
            return self._pool


def _ready() -> None:
    """Do nothing; the process has started when this is done."""


def _limited(
    task: Callable[..., Any], cpu_s: float, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if sys.platform != "win32":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + cpu_s) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    return task(*args, **kwargs)


def _prepare(memory_bytes: int, file_bytes: int) -> None:
    """Make a process one that may look at files."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # What a task needs is loaded before the limits hold.
    from crowdsky.api import door, unpack, unpack_tar, unpack_zip  # noqa: F401

    if sys.platform == "win32":
        return
    import resource
    import signal

    # Too large a file is an error of the write, not the end of the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for which, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_AS, _address_space_bytes() + memory_bytes),
    ):
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(which, (limit, limit))


def _address_space_bytes() -> int:
    """Of this process, as `RLIMIT_AS` counts it; a guess where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return 4 << 30
    return pages * os.sysconf("SC_PAGE_SIZE")


def _leave_with_parent() -> None:
    """A parent that is killed cannot tell its children to stop; they would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
