"""Real servers for stores: S3 (moto), WebDAV (WsgiDAV), and a proxy that spoils their answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from crowdsky.settings import ServerSettings

USER, PASSWORD = "robot", "p:ss wörd"
BUCKET = "sky"
_OF_THE_HOP = ("content-length", "transfer-encoding", "connection")


def settings_for(store_url: str, folder: Path, **changes: Any) -> ServerSettings:
    return ServerSettings(
        home=folder,
        cache_dir=folder,
        database_url="",
        store_url=store_url,
        scratch_dir=folder / "scratch",
        jobs=1,
        **changes,
    )


@contextmanager
def s3_server() -> Iterator[int]:
    """An S3 server with one bucket; its port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("PUT", f"/{BUCKET}")
    assert connection.getresponse().status == 200
    connection.close()
    try:
        yield port
    finally:
        server.stop()


@contextmanager
def dav_server(folder: Path) -> Iterator[int]:
    """A WebDAV server over a folder; its port."""
    from wsgidav.wsgidav_app import WsgiDAVApp

    folder.mkdir(exist_ok=True)
    application = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(folder)},
            "http_authenticator": {"accept_basic": True, "accept_digest": False},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "verbose": 0,
            "logging": {"enable": False},
            "dir_browser": {"enable": False},
            "property_manager": False,
            "lock_storage": False,
        }
    )

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            return  # a client that hung up

    server = make_server("127.0.0.1", 0, _bounded(application), Server, _QuietHandler)
    with _served(server):
        yield server.server_port


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        return


class _Body:
    """The body of a request and nothing beyond it, which wsgiref leaves to the application."""

    def __init__(self, stream: Any, n_bytes: int) -> None:
        self.stream, self.left = stream, n_bytes

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self.stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(piece)
        return piece


def _bounded(application: Any) -> Any:
    def bounded(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        body = _Body(environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = body
        yield from application(environ, start_response)
        # What the application did not want is read all the same: to close before that would
        # reset the connection, and the answer would be lost with it.
        while body.read(1 << 20):
            continue

    return bounded


@contextmanager
def _served(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@dataclass
class Answer:
    """What a server said, for a fault to change; `cut`: bytes after which the line breaks."""

    method: str
    path: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: int | None = None


Fault = Callable[[Answer], Answer | None]


@dataclass
class SpoilingProxy:
    """Forwards requests to a server and hands its answers to `fault`; None: hang up."""

    port: int
    upstream: int
    fault: Fault | None = None
    before: Fault | None = None  # the same, and nothing is forwarded if it answers
    seen: list[tuple[str, str]] = field(default_factory=list)


class _Forwarder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: SpoilingProxy

    def _forward(self) -> None:
        body = self._body()
        self.proxy.seen.append((self.command, self.path))
        asked = Answer(self.command, self.path, 0, [], body)
        answer: Answer | None = asked
        if self.proxy.before is not None:
            answer = self.proxy.before(asked)
        if answer is asked:
            answer = self._ask(asked.body)
            if self.proxy.fault is not None:
                answer = self.proxy.fault(answer)
        if answer is not None:
            self._send(answer)
        self.close_connection = True

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask(self, body: bytes) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=30)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_HOP
        }
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        with connection.getresponse() as response:
            content = response.read()
            kept = [pair for pair in response.getheaders() if pair[0].lower() not in _OF_THE_HOP]
            length = response.getheader("Content-Length") or str(len(content))
            kept.append(("Content-Length", length))
            status = response.status
        connection.close()
        return Answer(self.command, self.path, status, kept, content)

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.cut])
            self.wfile.flush()

    def log_message(self, *args: object) -> None:
        return

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _forward
    do_MOVE = do_MKCOL = do_PROPFIND = _forward


class _ProxyServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # a client that hung up


@contextmanager
def spoiling_proxy(upstream: int) -> Iterator[SpoilingProxy]:
    """A proxy before a server on this machine."""
    proxy = SpoilingProxy(0, upstream)
    server = _ProxyServer(("127.0.0.1", 0), type("Handler", (_Forwarder,), {"proxy": proxy}))
    proxy.port = server.server_address[1]
    with _served(server):
        yield proxy


def length_of(answer: Answer, n_bytes: int) -> list[tuple[str, str]]:
    """The headers of an answer, with another length."""
    kept = [pair for pair in answer.headers if pair[0].lower() != "content-length"]
    return [*kept, ("Content-Length", str(n_bytes))]
