"""The kernels of the pages: how they are started, whose they are, and when they end.

A kernel belongs to one view of one page. It is *ready* from the time its notebook has run until it
is handed to a visitor, and from then on it is that visitor's and nobody else's: every address that
holds a kernel's id asks `PageKernels.of` first.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import (
    AsyncMappingKernelManager,
    ServerKernelManager,
)

from crowdsky.pages_server.facts import Facts
from crowdsky.pages_server.kernel_environment import kernel_environment
from crowdsky.pages_server.kernel_user import KernelUsers, find_kernel_users, give, popen_options

__all__ = ["ALLOWED_MESSAGES", "PageKernel", "PageKernelManager", "PageKernels", "all_ended"]

# What a browser may say to a kernel. None of it runs code that is not the page's own.
ALLOWED_MESSAGES = (
    "comm_open",
    "comm_close",
    "comm_msg",
    "comm_info_request",
    "kernel_info_request",
)
# Nobody types into these kernels, and a history is a database for each of them.
_ARGUMENTS = ("--HistoryManager.enabled=False", "--log-level=ERROR")


@dataclass(slots=True, eq=False)
class PageKernel:
    """A kernel and what is known of it.

    Attributes
    ----------
    page : str
        Name of its notebook.
    key_digest : bytes
        SHA-256 of the key by which it asks for tickets.
    owner : str
        Name of the visitor it was handed to; empty before.
    notebook : object
        Its notebook, once that has run.
    handed_s : float
        When, of `time.monotonic`.
    closed_s : float
        When its page last closed a websocket, of the same clock; 0 if never.
    """

    id: str
    page: str
    key_digest: bytes
    home: Path
    uid: int | None
    owner: str = ""
    notebook: Any = None
    handed_s: float = 0.0
    closed_s: float = 0.0


class PageKernelManager(ServerKernelManager):
    """One kernel; its connection file belongs to the user that it runs as."""

    file_owner: int | None = None

    async def _async_pre_start_kernel(self, **kwargs: Any) -> Any:
        """Remember who will have to read the connection file."""
        self.file_owner = kwargs.get("user")
        return await super()._async_pre_start_kernel(**kwargs)

    def write_connection_file(self, **kwargs: Any) -> None:
        """Write the file, and give it away."""
        super().write_connection_file(**kwargs)
        give(Path(self.connection_file), self.file_owner)


@dataclass(slots=True)
class _Books:
    by_id: dict[str, PageKernel] = field(default_factory=dict)
    by_key: dict[bytes, PageKernel] = field(default_factory=dict)


class PageKernels(AsyncMappingKernelManager):
    """All kernels of the server.

    `facts` are set by the server before the first kernel starts.
    """

    facts: Facts

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.books = _Books()
        self._users: asyncio.Task[KernelUsers] | None = None

    async def users(self) -> KernelUsers:
        """As whom kernels run, which is tried out once."""
        if self._users is None:
            environment = kernel_environment(self.facts, "", Path("/nonexistent"))
            finding = asyncio.to_thread(find_kernel_users, environment)
            self._users = asyncio.get_running_loop().create_task(finding)
        return await asyncio.shield(self._users)

    async def start_for(self, page: str) -> PageKernel:
        """Start a kernel for a page, which nobody owns yet.

        Raises
        ------
        OSError, RuntimeError
            If the system does not give what a process needs.
        """
        kernel_id, key = str(uuid.uuid4()), secrets.token_urlsafe(32)
        uid = (await self.users()).take()
        home = Path(self.connection_dir) / f"home-{kernel_id}"
        digest = hashlib.sha256(key.encode("ascii")).digest()
        kernel = PageKernel(kernel_id, page, digest, home, uid)
        self.books.by_id[kernel_id] = self.books.by_key[digest] = kernel
        try:
            home.mkdir(mode=0o700)
            give(home, uid)
            await self.start_kernel(
                kernel_id=kernel_id,
                kernel_name="python3",
                env=kernel_environment(self.facts, key, home),
                cwd=str(home),
                extra_arguments=list(_ARGUMENTS),
                **popen_options(uid),
            )
        except BaseException:
            self._strike_off(kernel_id)
            raise
        return kernel

    def hand_to(self, kernel: PageKernel, name: str) -> None:
        """Make a kernel a visitor's.

        Raises
        ------
        ValueError
            If it is somebody's already.
        """
        if kernel.owner or not name:
            raise ValueError("a kernel is handed out once, to somebody")
        kernel.owner, kernel.handed_s = name, time.monotonic()
        # Its time begins now: a kernel that was kept ready for long would be ended at once.
        self._kernels[kernel.id].last_activity = utcnow()

    def of(self, kernel_id: str, name: str) -> PageKernel | None:
        """A visitor's kernel; None if it is not there or not theirs."""
        kernel = self.books.by_id.get(kernel_id)
        if kernel is None or not name or kernel.owner != name or kernel_id not in self:
            return None
        return kernel

    def with_key(self, key: str) -> PageKernel | None:
        """The kernel that shows a key."""
        return self.books.by_key.get(hashlib.sha256(key.encode("utf-8", "replace")).digest())

    def connections(self, kernel: PageKernel) -> int:
        """Websockets that a page has open."""
        return int(self._kernel_connections.get(kernel.id, 0))

    def owned(self, name: str | None = None) -> list[PageKernel]:
        """Kernels that were handed out, the oldest first; of one visitor if named."""
        return [
            kernel
            for kernel in self.books.by_id.values()
            if kernel.owner and kernel.owner == (name or kernel.owner)
        ]

    async def end(self, kernel: PageKernel) -> None:
        """End a kernel now; it has nothing to save."""
        if kernel.id in self:
            await self.shutdown_kernel(kernel.id, now=True)
        self._strike_off(kernel.id)

    def notify_disconnect(self, kernel_id: str) -> None:
        """A page has closed its websocket: from now on it counts as idle."""
        super().notify_disconnect(kernel_id)
        if kernel_id in self._kernels:
            self._kernels[kernel_id].last_activity = utcnow()
        if kernel_id in self.books.by_id:
            self.books.by_id[kernel_id].closed_s = time.monotonic()

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End the kernel of a page that was closed; those that are kept ready stay."""
        kernel = self.books.by_id.get(kernel_id)
        if kernel is not None and kernel.owner:
            await super().cull_kernel_if_idle(kernel_id)

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forget a kernel that has ended, for whatever reason."""
        try:
            return super().remove_kernel(kernel_id)
        finally:
            self._strike_off(kernel_id)

    def _strike_off(self, kernel_id: str) -> None:
        kernel = self.books.by_id.pop(kernel_id, None)
        if kernel is None:
            return
        self.books.by_key.pop(kernel.key_digest, None)
        if self._users is not None:
            self._users.result().give_back(kernel.uid)
        shutil.rmtree(kernel.home, ignore_errors=True)


async def all_ended(kernels: PageKernels) -> None:
    """End every kernel, at the server's own end."""
    await asyncio.gather(
        *(kernels.end(kernel) for kernel in list(kernels.books.by_id.values())),
        return_exceptions=True,
    )
