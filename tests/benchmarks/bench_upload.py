"""Frames over loopback: the service that keeps every promise, beside nginx that just writes files.

The sender is a process of its own with a thread a connection and blocking sockets, the same for
both. nginx takes a PUT a file and syncs nothing. The service takes two requests a file, as tus
clients send them (or one, with the bytes in the first), and answers when the frame is hashed, on
the disk, checked at the door, in the store and in the ledger.
"""

from __future__ import annotations

import base64
import http.client
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.figure import Figure

UPLOADERS = 50
RATIO_BAR = 0.5
NGINX = """
daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 1g; client_body_temp_path {folder}/temp;
  proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s; keepalive_requests 100000;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {folder}/files; dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""


def figures(quick: bool) -> Iterator[Figure]:
    """Megabytes a second, and their ratio; the two take turns.

    With few files nginx writes to memory only, and the ratio says little: the bar is for 1,000.
    """
    n_files = 50 if quick else 1000
    with tempfile.TemporaryDirectory(prefix="upload") as name:
        folder = Path(name)
        frame = folder / "frame.fit"
        _write_frame(frame)
        megabytes = n_files * frame.stat().st_size / 1e6
        for mode, what in (("tus", "POST and PATCH"), ("once", "one POST")):
            peer = _peer_s(folder / "nginx", frame, n_files) if shutil.which("nginx") else None
            with _service(folder / mode) as (port, key, pid):
                _send(mode, port, key, frame, 4, first=10**6)
                before = _rss_mb(pid)
                peak = _Peak(pid)
                rate = megabytes / _send(mode, port, key, frame, n_files)
                grown = peak.stop() - before
            shutil.rmtree(folder / mode)
            yield Figure(f"{n_files} frames by {what}", rate, "MB/s", beside="all accepted")
            if peer is None:
                yield Figure("of nginx's rate: nginx is not installed here", 0.0, "")
            else:
                bar = None if quick else RATIO_BAR
                rival = f"nginx by PUT {megabytes / peer:.0f} MB/s, nothing synced"
                ratio = rate * peer / megabytes
                yield Figure(f"of nginx's rate, by {what}", ratio, "", bar, "more", beside=rival)
            yield Figure(
                f"memory of the service, {UPLOADERS} senders",
                grown,
                "MB",
                200.0,
                beside=f"beyond {before:.0f} MB before",
            )


def _peer_s(folder: Path, frame: Path, n_files: int) -> float:
    with _nginx(folder) as port:
        took_s = _send("put", port, "", frame, n_files)
    shutil.rmtree(folder)
    return took_s


def _write_frame(path: Path) -> None:
    import numpy as np

    from tests.frames.fits_files import sub_bytes

    pixels = np.random.default_rng(1).integers(0, 60_000, (1920, 1080)).astype(np.uint16)
    path.write_bytes(sub_bytes(pixels=pixels))


@contextmanager
def _nginx(folder: Path) -> Iterator[int]:
    port = _free_port()
    (folder / "files").mkdir(parents=True)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port), encoding="utf-8")
    # As root its workers would be another user, who may not write here.
    user = ["-g", "user root;"] if Path("/root").exists() else []
    with subprocess.Popen(["nginx", "-c", str(config), *user]) as process:
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()


@contextmanager
def _service(home: Path) -> Iterator[tuple[int, str, int]]:
    from tests.api.uploads_process import running_service

    with running_service(home) as service:
        yield service.port, service.key, service.pid


def _send(mode: str, port: int, key: str, frame: Path, n_files: int, *, first: int = 0) -> float:
    """Seconds until everything was answered."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_upload", "send"]
    done = subprocess.run(
        [*command, mode, str(port), key, str(frame), str(n_files), str(first)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return float(done.stdout)


class _Peak:
    """Watches the memory of a process."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._stop = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float:
        self._stop.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self._peak = max(self._peak, _rss_mb(self._pid))


def _rss_mb(pid: int) -> float:
    import psutil

    return psutil.Process(pid).memory_info().rss / 1e6


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


# --- the sender -----------------------------------------------------------------------------------


def _sender(mode: str, port: int, key: str, frame: Path, n_files: int, first: int) -> float:
    whole = memoryview(frame.read_bytes())
    numbers = iter(range(first, first + n_files))
    lock = threading.Lock()
    wrong: list[str] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None or wrong:
                return connection.close()
            # Two pixels make each file another.
            tail = (number * 2 + 1).to_bytes(4, "big")
            try:
                told = _MODES[mode](connection, number, key, whole, tail)
            except (OSError, http.client.HTTPException) as error:
                told = repr(error)
            if told:
                wrong.append(told)

    start = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(min(UPLOADERS, n_files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"{len(wrong)} failed: {wrong[0]}")
    return time.monotonic() - start


def _put(
    connection: http.client.HTTPConnection, number: int, _key: str, whole: memoryview, tail: bytes
) -> str:
    response = _request(connection, "PUT", f"/{number}.fit", {}, whole, tail)
    return "" if response.status in (201, 204) else f"{response.status}"


def _tus(
    connection: http.client.HTTPConnection, number: int, key: str, whole: memoryview, tail: bytes
) -> str:
    headers = {"Authorization": f"Bearer {key}", "Tus-Resumable": "1.0.0"}
    name = base64.b64encode(f"{number}.fit".encode()).decode()
    begin = {"Upload-Length": str(len(whole)), "Upload-Metadata": f"filename {name}"}
    connection.request("POST", "/api/v1/uploads", headers=headers | begin)
    response = connection.getresponse()
    response.read()
    if response.status != 201:
        return f"POST {response.status}"
    more = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    path = response.headers["Location"]
    response = _request(connection, "PATCH", path, headers | more, whole, tail)
    return _accepted(response)


def _once(
    connection: http.client.HTTPConnection, number: int, key: str, whole: memoryview, tail: bytes
) -> str:
    name = base64.b64encode(f"{number}.fit".encode()).decode()
    headers = {
        "Authorization": f"Bearer {key}",
        "Tus-Resumable": "1.0.0",
        "Content-Type": "application/offset+octet-stream",
        "Upload-Length": str(len(whole)),
        "Upload-Metadata": f"filename {name}",
    }
    return _accepted(_request(connection, "POST", "/api/v1/uploads", headers, whole, tail))


def _accepted(response: http.client.HTTPResponse) -> str:
    outcome = response.headers.get("Upload-Outcome")
    return "" if outcome == "accepted" else f"{response.status} {dict(response.headers)}"


def _request(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    whole: memoryview,
    tail: bytes,
) -> http.client.HTTPResponse:
    # The last block is padding, so the pixels that differ are a little before it.
    split = len(whole) - 8192
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in (headers | {"Content-Length": str(len(whole))}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(whole[:split])
    connection.send(tail)
    connection.send(whole[split + len(tail) :])
    response = connection.getresponse()
    response.read()
    return response


_MODES = {"put": _put, "tus": _tus, "once": _once}

if __name__ == "__main__":
    _, mode, port, key, frame, n_files, first = sys.argv[1:]
    print(_sender(mode, int(port), key, Path(frame), int(n_files), int(first)))
