"""How many pages may be open: of one visitor, and in all.

Each open page has a kernel, and a kernel has memory, so there is a most. Pages that were closed
give way first; who has too many open is told so.
"""

from __future__ import annotations

import time
from collections import Counter

from crowdsky.errors import LimitExceeded
from crowdsky.pages_server.kernels import PageKernel, PageKernels
from crowdsky.pages_server.pool import Pool

__all__ = ["SiteFull", "TooManyViews", "Views"]

# A page that was just handed out has yet to open its websocket; a slow phone takes a while.
_OPENS_WITHIN_S = 60.0
# A page whose network has a hiccup comes back.
_COMES_BACK_WITHIN_S = 20.0


class TooManyViews(LimitExceeded):
    """A visitor has as many pages open as one may."""


class SiteFull(LimitExceeded):
    """As many pages are open as the machine is for."""


class Views:
    """Opens pages, as many as may be.

    Parameters
    ----------
    kernels : PageKernels
    pool : Pool
    most, most_per_user : int
    """

    def __init__(self, kernels: PageKernels, pool: Pool, most: int, most_per_user: int) -> None:
        self.kernels, self.pool = kernels, pool
        self.most, self.most_per_user = most, most_per_user
        self._coming: Counter[str] = Counter()

    async def open(self, page: str, name: str) -> PageKernel:
        """A kernel for a visitor's view of a page.

        Raises
        ------
        TooManyViews, SiteFull
        PageNotThere, PageNotDrawn
        """
        self._coming[name] += 1
        try:
            await self._make_room(name)
            return await self.pool.take(page, name)
        finally:
            self._coming[name] -= 1
            self._coming += Counter()  # names of nobody who comes are dropped

    async def _make_room(self, name: str) -> None:
        while len(self.kernels.owned(name)) + self._coming[name] > self.most_per_user:
            if not await self._end_one(self.kernels.owned(name)):
                raise TooManyViews(
                    f"you have {self.most_per_user} pages of this site open, which is the most: "
                    "close one, and load this page again",
                    limit=self.most_per_user,
                )
        while len(self.kernels.owned()) + self._coming.total() > self.most:
            if not await self._end_one(self.kernels.owned()):
                raise SiteFull(
                    f"{self.most} pages are open, which is as many as this site can serve: "
                    "this page tries again by itself",
                    limit=self.most,
                )

    async def _end_one(self, kernels: list[PageKernel]) -> bool:
        """End the kernel of the page that was closed first; whether there was one."""
        now_s = time.monotonic()
        closed = [kernel for kernel in kernels if self._is_closed(kernel, now_s)]
        if not closed:
            return False
        await self.kernels.end(min(closed, key=lambda kernel: kernel.closed_s or kernel.handed_s))
        return True

    def _is_closed(self, kernel: PageKernel, now_s: float) -> bool:
        if self.kernels.connections(kernel):
            return False
        if kernel.closed_s:
            return now_s - kernel.closed_s > _COMES_BACK_WITHIN_S
        return now_s - kernel.handed_s > _OPENS_WITHIN_S
