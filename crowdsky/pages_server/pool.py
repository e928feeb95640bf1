"""Kernels that are ready before anybody asks.

A kernel takes some seconds to start and to run its notebook; a visitor gets one whose notebook has
run. Each that is handed out is replaced, one at a time, so that visitors do not wait while kernels
are made for others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from crowdsky.errors import CrowdSkyError
from crowdsky.pages_server.kernels import PageKernel, PageKernels
from crowdsky.pages_server.rendering import PageNotDrawn, Renderer
from crowdsky.settings import available_cores

__all__ = ["Pool", "spare_megabytes"]

log = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 120.0
# A kernel needs about 70 MB; below this the memory is for those that are asked for.
_LEAST_SPARE_MB = 400.0


class Pool:
    """Keeps kernels ready for some pages.

    Parameters
    ----------
    kernels : PageKernels
    renderer : Renderer
    pages : tuple of str
    size : int
        How many for each page.
    spare_mb : callable
        Memory that is left, in megabytes.
    """

    def __init__(
        self,
        kernels: PageKernels,
        renderer: Renderer,
        pages: tuple[str, ...],
        size: int,
        spare_mb: Callable[[], float] | None = None,
    ) -> None:
        self.kernels, self.renderer, self.size = kernels, renderer, size
        self._spare_mb = spare_mb or spare_megabytes
        self._ready: dict[str, list[PageKernel]] = {page: [] for page in pages}
        self._making: dict[str, asyncio.Task[PageKernel]] = {}
        self._pauses = {page: _Pause() for page in pages}
        self._short = asyncio.Event()
        # A crowd of visitors is served a few at a time, or none of them would be for long.
        self._starting = asyncio.Semaphore(max(2, available_cores()))
        self._keeper: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start to keep kernels ready; needs a running loop."""
        self._keeper = asyncio.get_running_loop().create_task(self._keep_full())

    def stop(self) -> None:
        """Make no more kernels."""
        for task in (self._keeper, *self._making.values()):
            if task is not None:
                task.cancel()

    def ready(self, page: str) -> int:
        """How many kernels of a page are ready."""
        return len(self._ready[page])

    async def take(self, page: str, name: str) -> PageKernel:
        """A kernel whose notebook has run, handed to a visitor.

        Raises
        ------
        PageNotThere, PageNotDrawn
        """
        try:
            while True:
                kernel = await self._next(page)
                if await self._lives(kernel):
                    self.kernels.hand_to(kernel, name)
                    return kernel
                await self.kernels.end(kernel)
        finally:
            self._short.set()

    async def make(self, page: str) -> PageKernel:
        """A kernel whose notebook has run, and which nobody owns.

        Raises
        ------
        PageNotThere, PageNotDrawn
        """
        self.renderer.load(page)  # before a process is started for nothing
        async with self._starting:
            try:
                kernel = await self.kernels.start_for(page)
            except Exception as error:
                raise PageNotDrawn(f"no kernel could be started ({error})") from error
            try:
                manager = self.kernels.get_kernel(kernel.id)
                kernel.notebook = await self.renderer.run(page, manager)
            except BaseException as error:
                await asyncio.shield(self.kernels.end(kernel))
                if isinstance(error, CrowdSkyError) or not isinstance(error, Exception):
                    raise
                # Such as ZeroMQ's, where no more files can be opened: whoever keeps kernels ready
                # tries again.
                raise PageNotDrawn(f"a kernel of '{page}' was lost ({error!r})") from error
        return kernel

    async def _next(self, page: str) -> PageKernel:
        if self._ready[page]:
            return self._ready[page].pop(0)
        making = self._making.pop(page, None)
        if making is not None:  # what is being made for later is taken now
            return await asyncio.shield(making)
        return await self.make(page)

    async def _lives(self, kernel: PageKernel) -> bool:
        if kernel.id not in self.kernels:
            return False
        manager: Any = self.kernels.get_kernel(kernel.id)
        return bool(await manager.is_alive())

    async def _keep_full(self) -> None:
        while True:
            page, wait_s = self._most_lacking()
            if page is not None and self._spare_mb() < _LEAST_SPARE_MB:
                log.warning("memory is short: no kernel is made ready for '%s'", page)
                self._pauses[page].longer()
            elif page is not None:
                await self._make_ready(page)
            else:
                self._short.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._short.wait(), wait_s)

    async def _make_ready(self, page: str) -> None:
        task = asyncio.get_running_loop().create_task(self.make(page))
        self._making[page] = task
        try:
            kernel = await asyncio.shield(task)
            self._pauses[page].over()
            if self._making.get(page) is task:  # nobody has taken it in the meantime
                self._ready[page].append(kernel)
        except CrowdSkyError as error:
            self._pauses[page].longer()
            log.error("%s", error)
        finally:
            if self._making.get(page) is task:
                del self._making[page]

    def _most_lacking(self) -> tuple[str | None, float | None]:
        """The page that most lacks a kernel, or the seconds until one may be tried again."""
        lacking = [page for page, ready in self._ready.items() if len(ready) < self.size]
        waits_s = {page: self._pauses[page].left_s() for page in lacking}
        free = [page for page in lacking if waits_s[page] <= 0.0]
        if free:
            return min(free, key=lambda page: len(self._ready[page])), None
        return None, min(waits_s.values(), default=None)


class _Pause:
    """How long a page that failed is left alone: longer each time, until it works again."""

    def __init__(self) -> None:
        self._pause_s, self._until_s = _FIRST_PAUSE_S, 0.0

    def longer(self) -> None:
        self._until_s = time.monotonic() + self._pause_s
        self._pause_s = min(2.0 * self._pause_s, _LONGEST_PAUSE_S)

    def over(self) -> None:
        self._pause_s, self._until_s = _FIRST_PAUSE_S, 0.0

    def left_s(self) -> float:
        return self._until_s - time.monotonic()


def spare_megabytes() -> float:
    """Memory that the system could still give; infinite where it does not say.

    Examples
    --------
    >>> spare_megabytes() > 0.0
    True
    """
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return float("inf")
    for line in told.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024.0
    return float("inf")
