"""The little that a page may ask about its kernel by HTTP: whether it is there, and that it end.

Whoever asks for a kernel that is not theirs is told that there is none.
"""

from __future__ import annotations

from tornado.web import HTTPError

from crowdsky.pages_server.handlers import SignedInHandler
from crowdsky.pages_server.kernels import PageKernel, PageKernels

__all__ = ["KERNEL_ID", "KernelEndHandler", "KernelHandler", "own_kernel"]

KERNEL_ID = r"(?P<kernel_id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_NONE = "this page is no longer running: load it again"


def own_kernel(kernels: PageKernels, kernel_id: str, name: str) -> PageKernel:
    """A visitor's kernel.

    Raises
    ------
    HTTPError
        404, if it is not there or somebody else's.
    """
    kernel = kernels.of(kernel_id, name)
    if kernel is None:
        raise HTTPError(404, _NONE)
    return kernel


class _KernelHandler(SignedInHandler):
    def initialize(self, kernels: PageKernels) -> None:
        """Take the kernels."""
        self.kernels = kernels

    def get_login_url(self) -> str:
        """A script is not sent to sign in."""
        raise HTTPError(403, "sign in first")

    async def end(self, kernel_id: str) -> None:
        """End the kernel of a page that is closed."""
        await self.kernels.end(own_kernel(self.kernels, kernel_id, self.visitor))
        self.set_status(204)
        self.finish()


class KernelHandler(_KernelHandler):
    """``api/kernels/<id>``, as Jupyter's front end knows it."""

    async def get(self, kernel_id: str) -> None:
        """The kernel's state."""
        own_kernel(self.kernels, kernel_id, self.visitor)
        self.finish(self.kernels.kernel_model(kernel_id))

    async def delete(self, kernel_id: str) -> None:
        """End it."""
        await self.end(kernel_id)


class KernelEndHandler(_KernelHandler):
    """``voila/api/shutdown/<id>``, which a page that is being closed can still POST to."""

    async def post(self, kernel_id: str) -> None:
        """End it."""
        await self.end(kernel_id)
