"""The body of a request, read ahead of whoever writes it down."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

__all__ = ["Body"]

BATCH_BYTES = 1024 * 1024
AHEAD_BYTES = 1536 * 1024
IDLE_S = 15.0
GIVE_UP_S = 300.0


class Body:
    """Reads while the bytes before are being written, up to `AHEAD_BYTES` in front.

    Attributes
    ----------
    ended : str
        Empty while bytes may come; then ``complete``, ``cut`` (the sender is gone or mute) or
        ``evicted`` (a newer request for the same upload took over).
    """

    def __init__(self, request: Request) -> None:
        self.ended = ""
        self._chunks: list[bytes] = []
        self._n_bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._mute_s = 0.0
        self._reader = asyncio.create_task(self._read(request))

    def evict(self) -> None:
        """Take nothing more; what has come so far is kept."""
        if not self.ended:
            self.ended = "evicted"
            self._reader.cancel()
            self._wake.set()

    async def take(self) -> tuple[list[bytes], int, bool]:
        """Wait for a batch, for the end, or for `IDLE_S` seconds.

        Returns
        -------
        chunks : list of bytes
        n_bytes : int
            In them.
        last : bool
            Whether nothing more will come.
        """
        while self._n_bytes < BATCH_BYTES and not self.ended:
            self._wake.clear()
            try:
                async with asyncio.timeout(IDLE_S):
                    await self._wake.wait()
            except TimeoutError:
                self._mute_s = 0.0 if self._n_bytes else self._mute_s + IDLE_S
                if self._mute_s >= GIVE_UP_S:
                    self.ended = "cut"
                    self._reader.cancel()
                break
        chunks, n_bytes = self._chunks, self._n_bytes
        self._chunks, self._n_bytes = [], 0
        self._room.set()
        return chunks, n_bytes, bool(self.ended)

    async def close(self) -> None:
        """Stop reading."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self, request: Request) -> None:
        try:
            async for chunk in request.stream():
                if self.ended:
                    return
                self._chunks.append(chunk)
                self._n_bytes += len(chunk)
                if self._n_bytes >= BATCH_BYTES:
                    self._wake.set()
                while self._n_bytes >= AHEAD_BYTES:
                    self._room.clear()
                    await self._room.wait()
            self.ended = self.ended or "complete"
        except ClientDisconnect:
            self.ended = self.ended or "cut"
        finally:
            self._wake.set()
