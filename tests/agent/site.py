"""A site around the service, as the Hub's proxy makes one: pages, and the API below its prefix.

It can be told to misbehave: to be away, to lose requests half-way, to know nobody. And it counts
every byte of a body that comes in, for what a client says of itself proves little.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PREFIX = "/services/crowdsky"
_CHUNK = 64 * 1024
_TYPES = {".js": "text/javascript", ".html": "text/html; charset=utf-8"}


@dataclass
class Request:
    """The head of a request."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def length(self) -> int:
        return int(self.headers.get("content-length", "0"))


@dataclass
class Site:
    """What is served, and how.

    Attributes
    ----------
    files : dict
        Pages and scripts by path.
    upstream_port : int
        Where the service listens.
    key : str
        Of whoever is signed in; empty if nobody is.
    hub_key : str
        Whom the Hub knows: a visit to the login signs them in. Empty if it asks for a password.
    away : bool
        Connections are broken at once.
    cut_after : int
        Bytes after which the next `cuts` bodies are lost, connection and all.
    pace_bytes_per_s : float
        Of each body; 0 for as fast as can be.
    """

    files: dict[str, tuple[str, bytes]]
    upstream_port: int
    key: str = ""
    hub_key: str = ""
    away: bool = False
    cut_after: int = 0
    cuts: int = 0
    pace_bytes_per_s: float = 0.0
    answer_with: Callable[[Request], tuple[int, dict[str, str], bytes] | None] | None = None
    received: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    logins: int = 0
    port: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve in a thread."""
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            self._done = asyncio.Event()
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._done.wait()
            server.close()
            self._break()
            await asyncio.sleep(0.05)

        def run() -> None:
            self._loop.run_until_complete(serve())
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    self._loop.run_until_complete(task)
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def go_away(self) -> None:
        """Break every connection, and each that is tried."""
        self.away = True
        self._loop.call_soon_threadsafe(self._break)

    def come_back(self) -> None:
        self.away = False

    def _break(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    # --- a connection is a request ----------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                if self.away:
                    writer.transport.abort()
                    return
                head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(_parse(head), reader, writer)
                await writer.drain()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        path = urlsplit(request.path).path
        self.requests[f"{request.method} {path.rsplit('/', 1)[0]}/"] += 1
        self.requests[f"{request.method} {path}"] += 1
        if path in self.files:
            kind, content = self.files[path]
            _send(writer, 200, {"Content-Type": kind, "Cache-Control": "no-store"}, content)
        elif path == f"{PREFIX}/login":
            self._login(request, writer)
        elif path.startswith(f"{PREFIX}/"):
            told = self.answer_with(request) if self.answer_with else None
            if told is not None:
                await reader.readexactly(request.length)
                _send(writer, *told)
            else:
                await self._forward(request, reader, writer)
        else:
            _send(writer, 404, {}, b"")

    def _login(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.logins += 1
        if self.hub_key:
            self.key = self.hub_key
            there = parse_qs(urlsplit(request.path).query)["next"][0]
            _send(writer, 302, {"Location": there}, b"")
        else:
            _send(writer, 200, {"Content-Type": "text/html"}, b"<h1>Log in</h1>")

    async def _forward(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        except OSError:
            _send(writer, 503, {}, b"Service Unavailable")
            return
        try:
            dropped = ("host", "connection", "authorization", "cookie", "accept-encoding")
            lines = [f"{request.method} {request.path.removeprefix(PREFIX)} HTTP/1.1"]
            lines += [f"{k}: {v}" for k, v in request.headers.items() if k not in dropped]
            lines += [f"host: 127.0.0.1:{self.upstream_port}", "connection: close"]
            if self.key:
                lines.append(f"authorization: Bearer {self.key}")
            up_writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            body = asyncio.create_task(self._body(request, reader, up_writer, writer))
            try:
                await self._relay(up_reader, writer)
            finally:
                body.cancel()
                await asyncio.gather(body, return_exceptions=True)
        finally:
            up_writer.close()

    async def _body(
        self,
        request: Request,
        reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
    ) -> None:
        left, taken = request.length, 0
        while left:
            chunk = await reader.read(min(left, _CHUNK))
            if not chunk:
                up_writer.transport.abort()
                return
            left -= len(chunk)
            taken += len(chunk)
            if request.method == "PATCH":
                self.received[request.path.rsplit("/", 1)[1]] += len(chunk)
                if self.cuts and taken >= self.cut_after:
                    self.cuts -= 1
                    up_writer.transport.abort()
                    writer.transport.abort()
                    return
            up_writer.write(chunk)
            await up_writer.drain()
            if self.pace_bytes_per_s:
                await asyncio.sleep(len(chunk) / self.pace_bytes_per_s)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionError):
            # As the Hub's proxy does when the service dies under a request.
            with suppress(ConnectionError):
                _send(writer, 503, {}, b"Service Unavailable")
            return
        lines = []
        for line in head.rstrip().split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "location" and value.startswith("/api/"):
                line = f"{name}: {PREFIX}{value}"
            if name.lower() not in ("connection", "keep-alive"):
                lines.append(line)
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()


def page_files(folder: Path, pages: dict[str, str]) -> dict[str, tuple[str, bytes]]:
    """Scripts of a folder, and pages by their path."""
    files = {
        f"/{path.name}": (_TYPES[path.suffix], path.read_bytes()) for path in folder.glob("*.js")
    }
    for path, text in pages.items():
        files[path] = (_TYPES[".html"], text.encode())
    return files


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return Request(method, path, {name.lower(): value for name, value in headers.items()})


def _send(writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: bytes) -> None:
    lines = [f"HTTP/1.1 {status} -"]
    told = {**headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines += [f"{name}: {value}" for name, value in told.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
