"""Uploads that somebody is sending just now: one sender each, and the newest wins.

A sender whose network went away leaves a request behind that may hang for minutes. When it comes
back with a new one, the old one is told to stop; what had arrived by it is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from crowdsky.api.uploads_body import Body
from crowdsky.errors import UploadError

__all__ = ["LiveUpload", "LiveUploads"]

EVICTION_S = 10.0
MOST_REMEMBERED = 10_000


@dataclass
class LiveUpload:
    """What this process knows about an upload beyond its row.

    Attributes
    ----------
    body : Body or None
        What is being received.
    digest : hash object or None
        SHA-256 of the first `hashed` bytes, where this process received them all.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    body: Body | None = None
    digest: Any = None
    hashed: int = 0
    newest: object = None
    n_users: int = 0

    def take_digest(self, offset: int) -> Any:
        """The SHA-256 so far, to be continued; None if it would have to be read from the file."""
        digest, self.digest = self.digest, None
        if offset == 0:
            return hashlib.sha256()
        return digest if self.hashed == offset else None

    def keep_digest(self, digest: Any, offset: int) -> None:
        """Keep it for the next request."""
        self.digest, self.hashed = digest, offset


class LiveUploads:
    """All of them."""

    def __init__(self) -> None:
        self._live: OrderedDict[str, LiveUpload] = OrderedDict()

    @asynccontextmanager
    async def turn(self, upload_id: str) -> AsyncIterator[LiveUpload]:
        """Have an upload for oneself; a request that has it is evicted.

        Raises
        ------
        UploadError
            A still newer request came, or the other does not let go.
        """
        live = self._live.setdefault(upload_id, LiveUpload())
        self._live.move_to_end(upload_id)
        ticket = live.newest = object()
        live.n_users += 1
        try:
            if live.body is not None:
                live.body.evict()
            try:
                async with asyncio.timeout(EVICTION_S):
                    await live.lock.acquire()
            except TimeoutError:
                raise UploadError(
                    "another request writes to this upload; try again", status=423, retry_after_s=5
                ) from None
            try:
                if live.newest is not ticket:
                    raise UploadError("a newer request continues this upload", status=409)
                yield live
            finally:
                live.lock.release()
        finally:
            live.n_users -= 1
            self._forget_oldest()

    def forget(self, upload_id: str) -> None:
        """Nothing more will come."""
        live = self._live.get(upload_id)
        if live is not None and not live.n_users:
            del self._live[upload_id]

    def _forget_oldest(self) -> None:
        while len(self._live) > MOST_REMEMBERED:
            upload_id, live = next(iter(self._live.items()))
            if live.n_users:
                return
            del self._live[upload_id]
