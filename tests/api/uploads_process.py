"""The service as a process that may be killed: started in a blink, for a parent has it all loaded.

``python -m tests.api.uploads_process`` reads a line of JSON for each service to start, forks, and
answers with its port and process id.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}


@dataclass
class Service:
    """A running service and the keys of those who may use it."""

    port: int
    pid: int
    keys: dict[str, str]
    home: Path

    @property
    def key(self) -> str:
        return self.keys["alice"]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, name: str = "alice", **headers: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {self.keys[name]}", **TUS, **headers},
            timeout=30.0,
        )

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        self.wait()

    def is_alive(self) -> bool:
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return False
        return text.rsplit(")", 1)[1].split()[0] != "Z"

    def wait(self, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while self.is_alive():
            assert time.monotonic() < deadline, "the service does not end"
            time.sleep(0.01)


@dataclass
class Nursery:
    """Starts services."""

    process: subprocess.Popen[str]
    started: list[Service] = field(default_factory=list)

    def start(
        self,
        home: Path,
        *,
        database_url: str = "",
        port: int = 0,
        kill_at: str = "",
        nth: int = 1,
        sandbox: bool = True,
        full_after: int = 0,
        store_full: bool = False,
        settings: Mapping[str, str] | None = None,
        routers: Sequence[str] = ("serve_health", "uploads", "serve_docs"),
    ) -> Service:
        """Start one; with `kill_at` it dies when it reaches a step for the `nth` time.

        With `full_after` scratch files take so many bytes and no more, with `store_full` the store
        takes none, until there is a file ``space`` in `home`.
        """
        home.mkdir(parents=True, exist_ok=True)
        environ = {"CROWDSKY_HOME": str(home), **(settings or {})}
        if database_url:
            environ["CROWDSKY_DATABASE_URL"] = database_url
        order = {
            "environ": environ, "port": port, "kill_at": kill_at, "nth": nth, "sandbox": sandbox,
            "full_after": full_after, "store_full": store_full, "routers": list(routers),
        }  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        service = Service(told["port"], told["pid"], told["keys"], home)
        self.started.append(service)
        wait_until(lambda: answers(service), "the service does not answer")
        return service

    def close(self) -> None:
        for service in self.started:
            if service.is_alive():
                service.stop()
        with self.process:  # closes its pipes, at which it ends
            pass


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A parent of services, for as long as it is needed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.api.uploads_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    opened = Nursery(process)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def running_service(home: Path, **settings: str) -> Iterator[Service]:
    """One service, in its own process."""
    with nursery() as parent:
        service = parent.start(home, settings=settings)
        yield service
        service.stop()


def answers(service: Service) -> bool:
    if not service.is_alive():
        return True  # it was to die early
    with suppress(httpx.TransportError):
        return httpx.options(f"{service.address}/api/v1/uploads").status_code == 204
    return False


def wait_until(condition: Callable[[], bool], message: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.01)


def metadata(name: str, sha256: str = "") -> dict[str, str]:
    pairs = [f"filename {base64.b64encode(name.encode()).decode()}".strip()]
    if sha256:
        pairs.append(f"sha256 {base64.b64encode(sha256.encode()).decode()}")
    return {"Upload-Metadata": ",".join(pairs)}


def create(client: httpx.Client, length: int, name: str = "a.fit", **headers: str) -> str:
    """Begin an upload; its path."""
    response = client.post(
        "/api/v1/uploads",
        headers={"Upload-Length": str(length), **metadata(name), **headers},
    )
    assert response.status_code == 201, response.text
    return response.headers["Location"]


def send(
    client: httpx.Client, path: str, offset: int, content: Any, **headers: str
) -> httpx.Response:
    """Send bytes."""
    return client.patch(
        path, content=content, headers={"Upload-Offset": str(offset), **OCTETS, **headers}
    )


def upload(client: httpx.Client, content: bytes, name: str = "a.fit") -> httpx.Response:
    """Send a whole file; the answer to its last bytes."""
    return send(client, create(client, len(content), name), 0, content)


# --- the parent -----------------------------------------------------------------------------------


def _main() -> None:
    # Everything that takes time to load is loaded once.
    import uvicorn  # noqa: F401

    from crowdsky.api import app, uploads  # noqa: F401
    from crowdsky.archive import accounts, keys, migrate, open_store  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wait_until(lambda: _bound(listening, order["port"]), "the port is in use")  # noqa: B023
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _serve(order, listening, writer)
                os._exit(0)
            os.close(writer)
            with os.fdopen(reader) as told:
                known = json.loads(told.readline())
            port = listening.getsockname()[1]
        print(json.dumps({"port": port, "pid": pid, "keys": known}), flush=True)


def _bound(listening: socket.socket, port: int) -> bool:
    # The threads of a process that was killed die one by one, and hold its port until then.
    with suppress(OSError):
        listening.bind(("127.0.0.1", port))
        return True
    return False


def _serve(order: dict[str, Any], listening: socket.socket, writer: int) -> None:
    import uvicorn

    from crowdsky.api import app as application
    from crowdsky.api.context import Context
    from crowdsky.archive.engine import Archive
    from crowdsky.archive.migrate import migrate
    from crowdsky.archive.open_store import open_store
    from crowdsky.settings import load_server_settings
    from crowdsky.steps import on_step

    settings = load_server_settings(order["environ"])
    if settings.database_url.startswith("sqlite"):
        migrate(settings.database_url)
    archive = Archive(settings.database_url)
    known = _keys(archive, settings.home / "keys.json")
    if not order["sandbox"]:
        _without_sandbox()
    if order["kill_at"]:
        left = order["nth"]

        def hook(step: str) -> None:
            nonlocal left
            if step == order["kill_at"]:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        on_step(hook)
    store = open_store(settings)
    if order["full_after"]:
        _fill_scratch(order["full_after"], settings.home / "space")
    if order["store_full"]:
        _fill_store(store, settings.home / "space")
    application.ROUTERS = tuple(order["routers"])  # the rest takes time to load
    app = application.create_app(Context(settings, archive, store))
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    with os.fdopen(writer, "w") as out:
        out.write(json.dumps(known) + "\n")
    # The parent's output is for its own answers.
    os.dup2(2, 1)
    uvicorn.Server(config).run(sockets=[listening])


def _keys(archive: Any, path: Path) -> dict[str, str]:
    from crowdsky.archive.accounts import ensure_observer
    from crowdsky.archive.keys import create_key

    if not path.exists():
        known = {}
        for name in ("alice", "bob"):
            observer_id = ensure_observer(archive, name)
            known[name] = create_key(archive, observer_id, "test")[1]
        known["reader"] = create_key(
            archive, ensure_observer(archive, "alice"), "reads", scopes=("read",)
        )[1]
        path.write_text(json.dumps(known), encoding="utf-8")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _without_sandbox() -> None:
    """Look at files in the service itself: for tests that start it many times."""
    from crowdsky.api import intake

    class Inline:
        def __init__(self, **_: object) -> None: ...

        def start(self) -> None: ...

        def close(self) -> None: ...

        async def run(
            self, task: Callable[..., Any], _timeout_s: float, _cpu_s: float, *args: Any
        ) -> Any:
            return task(*args)

    intake.Sandbox = Inline  # type: ignore[assignment, misc]


def _fill_scratch(most: int, space: Path) -> None:
    import errno

    from crowdsky.api.uploads_scratch import ScratchFile

    write = ScratchFile._write

    def limited(self: Any, chunks: Any) -> None:
        write(self, chunks)
        if not space.exists() and os.fstat(self._handle).st_size > most:
            raise OSError(errno.ENOSPC, "No space left on device")

    ScratchFile._write = limited  # type: ignore[method-assign]


def _fill_store(store: Any, space: Path) -> None:
    from crowdsky.errors import StoreFull

    put = type(store).put

    def limited(self: Any, path: Path, sha256: str, **options: bool) -> None:
        if not space.exists():
            raise StoreFull("no space")
        put(self, path, sha256, **options)

    type(store).put = limited


def empty(folder: Path) -> bool:
    """Whether a folder holds no file."""
    return not any(path.is_file() for path in folder.rglob("*"))


def remove(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    _main()
