"""A real service for tests: uvicorn on a free port, in a thread or as a process of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from crowdsky.api.context import Context
from crowdsky.api.serve import Service, make_service
from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.engine import Archive
from crowdsky.archive.keys import create_key
from crowdsky.settings import ServerSettings

START_S = 60.0


@dataclass
class Running:
    """A service that answers.

    `client_for` gives a client with a key of an observer, who is made when first named.
    """

    url: str
    context: Context
    app: Any = None
    server: Any = None
    _open: list[httpx.Client] = field(default_factory=list)

    def key_for(self, name: str, scopes: tuple[str, ...] = ("read", "write", "account")) -> str:
        observer_id = ensure_observer(self.context.archive, name)
        label = f"test {time.monotonic_ns()}"
        return create_key(self.context.archive, observer_id, label, scopes=scopes)[1]

    def client_for(
        self, name: str, scopes: tuple[str, ...] = ("read", "write", "account")
    ) -> httpx.Client:
        return self.client({"Authorization": f"Bearer {self.key_for(name, scopes)}"})

    def client(self, headers: dict[str, str] | None = None) -> httpx.Client:
        """A client that shows what it is given, and nothing else."""
        made = httpx.Client(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)
        self._open.append(made)
        return made

    def close(self) -> None:
        for client in self._open:
            client.close()


@contextmanager
def serving(context: Context) -> Iterator[Running]:
    """A service in a thread of this process, on a free port."""
    server = make_service(context)
    # Said to be TCP, or answers would wait for Nagle.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    thread = threading.Thread(target=_serve, args=(server, listening), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    running = Running(address, context, server.config.app, server)
    try:
        _wait_until(lambda: server.started or not thread.is_alive(), "the service starts")
        assert server.started, "the service did not start"
        yield running
    finally:
        running.close()
        server.should_exit = True
        thread.join(START_S)
        listening.close()
        assert not thread.is_alive(), "the service did not stop"


def _serve(server: Service, listening: socket.socket) -> None:
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve([listening]))


@contextmanager
def serving_process(
    settings: ServerSettings, folder: Path, more: dict[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A service as a process, told by its environment; its address and the process."""
    # Said to be TCP, or answers would wait for Nagle.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    log = folder / "service.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "crowdsky.api.serve", "--fd", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            env={**os.environ, **environment(settings), **(more or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    listening.close()
    try:

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return httpx.get(f"{address}/api/v1/health", trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        _wait_until(answers, "the service answers")
        yield address, process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(START_S)


def environment(settings: ServerSettings) -> dict[str, str]:
    """The settings as variables."""
    return {
        "CROWDSKY_HOME": str(settings.home),
        "CROWDSKY_CACHE_DIR": str(settings.cache_dir),
        "CROWDSKY_DATABASE_URL": settings.database_url,
        "CROWDSKY_STORE_URL": settings.store_url,
        "CROWDSKY_SCRATCH_DIR": str(settings.scratch_dir),
        "CROWDSKY_REQUESTS_PER_MINUTE": str(settings.requests_per_minute),
        "CROWDSKY_OPERATORS": ",".join(settings.operators),
    }


def _wait_until(done: Callable[[], bool], what: str, within_s: float = START_S) -> None:
    end = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < end, f"waited {within_s:g} s until {what}"
        time.sleep(0.02)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait until something holds, and fail after a while."""
    return _wait_until


def settings_in(folder: Path, database_url: str) -> ServerSettings:
    """Settings of a platform in a folder."""
    return ServerSettings(
        home=folder,
        cache_dir=folder / "cache",
        database_url=database_url,
        store_url=str(folder / "store"),
        scratch_dir=folder / "scratch",
        jobs=1,
        requests_per_minute=100_000,
    )


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> ServerSettings:
    """Settings with a fresh database of each kind, and a store in a folder."""
    return settings_in(tmp_path, database_url)


@pytest.fixture
def sqlite_settings(tmp_path: Path, sqlite_template: Path) -> ServerSettings:
    """Settings with a fresh SQLite database, for what does not depend on the kind."""
    path = tmp_path / "crowdsky.db"
    path.write_bytes(sqlite_template.read_bytes())
    return settings_in(tmp_path, f"sqlite:///{path}")


@contextmanager
def opened(settings: ServerSettings) -> Iterator[Context]:
    """A context, closed at the end."""
    from crowdsky.archive.open_store import open_store

    archive = Archive(settings.database_url)
    try:
        yield Context(settings, archive, open_store(settings))
    finally:
        archive.close()


@pytest.fixture
def service(settings: ServerSettings) -> Iterator[Running]:
    """A running service, once with each kind of database."""
    with opened(settings) as context, serving(context) as running:
        yield running


@pytest.fixture
def sqlite_service(sqlite_settings: ServerSettings) -> Iterator[Running]:
    """A running service on SQLite."""
    with opened(sqlite_settings) as context, serving(context) as running:
        yield running


@pytest.fixture
def strict_service(sqlite_settings: ServerSettings) -> Iterator[Callable[..., Any]]:
    """Makes a running service with other settings: ``strict_service(requests_per_minute=5)``."""

    @contextmanager
    def make(**changed: Any) -> Iterator[Running]:
        with opened(replace(sqlite_settings, **changed)) as context, serving(context) as running:
            yield running

    return make


@pytest.fixture
def client_for(service: Running) -> Callable[..., httpx.Client]:
    """A client with a key of an observer: ``client_for("ann")``."""
    return service.client_for


@pytest.fixture
def service_process(
    sqlite_settings: ServerSettings, tmp_path: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A service as a process of its own, on SQLite."""
    with serving_process(sqlite_settings, tmp_path) as running:
        yield running
