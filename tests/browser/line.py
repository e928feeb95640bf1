"""A network between browser and site that can be slow, be cut, and counts what goes through it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

__all__ = ["Line", "line_to"]

_PIECE = 64 * 1024


class Line:
    """Passes bytes on, both ways.

    Attributes
    ----------
    address : str
        Of the site, through this line.
    pace_bytes_per_s : float
        How fast it takes bytes from browsers, all together; 0 for as fast as they come.
    sent_bytes, received_bytes : int
        What browsers have sent and received so far.
    """

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self.pace_bytes_per_s = 0.0
        self.sent_bytes = self.received_bytes = 0
        self.address = ""
        self._is_away = False
        self._due = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """No byte goes through, and what was under way is lost."""
        self._is_away = True
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10.0)

    def mend(self) -> None:
        """It is as before."""
        self._is_away = False

    def start(self) -> None:
        """Listen."""
        # What the system buffers would arrive at once, whatever the pace.
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
        listening.bind(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._thread.start()
        opening = asyncio.start_server(self._meet, sock=listening, limit=_PIECE)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(10.0)

    def stop(self) -> None:
        """Listen no longer."""

        async def end() -> None:
            self._server.close()
            await self._drop()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    async def _drop(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_away:
            writer.transport.abort()
            return
        try:
            there, onward = await asyncio.open_connection(*self._to, limit=_PIECE)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, onward}
        both = [
            self._loop.create_task(self._pump(reader, onward, is_sent=True)),
            self._loop.create_task(self._pump(there, writer, is_sent=False)),
        ]
        self._pumps |= set(both)
        await asyncio.wait(both)
        self._pumps -= set(both)
        self._open -= {writer, onward}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_sent: bool
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                if is_sent:
                    self.sent_bytes += len(piece)
                    await self._wait_for(len(piece))
                else:
                    self.received_bytes += len(piece)
                writer.write(piece)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def _wait_for(self, n_bytes: int) -> None:
        if not self.pace_bytes_per_s:
            return
        now = time.monotonic()
        self._due = max(now, self._due) + n_bytes / self.pace_bytes_per_s
        await asyncio.sleep(self._due - now)


@contextmanager
def line_to(address: str) -> Iterator[Line]:
    """A line to a site, for as long as the block lasts."""
    at = urlsplit(address)
    line = Line(str(at.hostname), int(at.port or 80))
    line.start()
    try:
        yield line
    finally:
        line.stop()
