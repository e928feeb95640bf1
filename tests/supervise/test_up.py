"""`crowdsky up` as it is run: the whole platform from an empty folder, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from crowdsky.client import Client

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

START_S = 240.0
UP = [
    sys.executable,
    "-c",
    "import sys; from crowdsky.cli.main import main; sys.exit(main())",
    "up",
]


def until(said: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)


def running(pids: list[int]) -> list[int]:
    return [
        pid
        for pid in pids
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def family(pid: int) -> list[int]:
    """A process, its descendants, and theirs."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def up(home: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The platform with its demo, in a process group of its own, once it answers."""
    ready = tmp_path / "ready.json"
    log = tmp_path / "up.log"
    words = ["--home", str(home), "--jobs", "2", "--api-port", "0", "--prefect-port", "0"]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*UP, *words, "--demo", "--ready-file", str(ready)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    try:
        until(lambda: ready.exists() or process.poll() is not None, START_S, "the platform")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        facts = json.loads(ready.read_text(encoding="utf-8"))
        facts["log"] = log
        yield process, facts
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_demo_night_goes_up_is_stacked_and_all_stops_at_sigterm(
    up: tuple[subprocess.Popen[str], dict[str, Any]], home: Path, tmp_path: Path
) -> None:
    process, facts = up
    assert set(facts["pids"]) == {"supervisor", "prefect", "service", "worker", "maintenance"}
    assert facts["pids"]["supervisor"] == process.pid
    assert facts["api"] == f"{facts['address']}/api/v1"
    assert httpx.get(f"{facts['api']}/health", trust_env=False).json()["status"] == "ok"
    assert httpx.get(f"{facts['prefect']}/api/health", trust_env=False).is_success

    second = subprocess.run(
        [*UP, "--home", str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 1
    assert f"already runs on this folder, as process {process.pid};" in second.stderr

    log: Path = facts["log"]

    def done() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        return "running; Ctrl-C stops everything" in log.read_text(encoding="utf-8")

    until(done, 300.0, "the demo night")
    with Client(facts["address"], facts["demo"]["api_key"]) as client:
        assert client.me().name == facts["demo"]["user"] == "demo"
        books = client.books()
        stacks = client.stacks(scope="mine")
        assert books.balances
        assert (books.accepted, books.pending) == (28, 0)
        assert {str(target) for target in stacks["target"]} == {"M 51", "NGC 7023"}
        assert stacks["n_used"].sum() == books.stacked
        assert stacks["solved"].all()
    with zipfile.ZipFile(home / "demo" / "crowdsky.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith((".fits", ".fit"))]
    assert len(names) == len(stacks)
    assert (home / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700

    # A part that dies comes back, and it is said.
    worker = facts["pids"]["worker"]
    os.kill(worker, signal.SIGKILL)
    until(lambda: "worker was killed by SIGKILL" in log.read_text(encoding="utf-8"), 30.0, "a word")

    everything = family(process.pid)
    assert len(everything) >= 4
    process.send_signal(signal.SIGTERM)
    assert process.wait(90.0) == 0
    until(lambda: not running(everything), 10.0, "the end of every process")
    assert log.read_text(encoding="utf-8").endswith("stopped\n")
