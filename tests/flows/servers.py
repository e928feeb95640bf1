"""Prefect servers and workers of their own, as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

READY_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(condition: Callable[[], Any], seconds: float = 30.0, what: str = "") -> None:
    """Poll until something holds."""
    until = monotonic() + seconds
    while not condition():
        assert monotonic() < until, f"waited {seconds:g} s in vain {what}"
        sleep(0.05)


def tidy_environment(**changes: str) -> dict[str, str]:
    """The environment without settings of Prefect or CrowdSky, and with these changes."""
    ours = ("PREFECT_", "CROWDSKY_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    cache = {key: value for key, value in os.environ.items() if key == "CROWDSKY_CACHE_DIR"}
    return {**kept, **cache, **changes}


@dataclass
class PrefectServer:
    """A Prefect server in a folder of its own."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        env = tidy_environment(
            PREFECT_HOME=str(self.home),
            PREFECT_SERVER_ANALYTICS_ENABLED="false",
            PREFECT_LOGGING_LEVEL="WARNING",
        )
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)], env=env, stdout=log, stderr=log
            )
        wait_for(self.answers, READY_S, "for the Prefect server")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "server.log").read_text()[-2000:]
        try:
            return httpx.get(f"{self.api_url}/health", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:  # it waits for clients that stay connected
                self.process.kill()
                self.process.wait(10)
            self.process = None

    def ask(self, what: str, **query: Any) -> list[dict[str, Any]]:
        """All flow runs, task runs or artifacts."""
        body = {"limit": 200, **query}
        answer = httpx.post(f"{self.api_url}/{what}/filter", json=body, timeout=10.0)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found


@dataclass
class WorkerProcess:
    """``python -m flows.worker`` on some host."""

    env: dict[str, str]
    log: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> WorkerProcess:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.worker", *self.options],
                env=self.env,
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_ready(self) -> WorkerProcess:
        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.text()[-3000:]
            return ": ready" in self.text()

        wait_for(ready, READY_S, "for the worker")
        return self

    def stop(self, number: int = signal.SIGTERM, seconds: float = 40.0) -> int:
        """Send a signal and wait; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
