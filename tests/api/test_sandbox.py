"""The sandbox: what goes on in it costs one task, never the service."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest

from crowdsky.api.sandbox import Sandbox
from crowdsky.errors import UnreadableFrame, UploadError

pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    opened = Sandbox(1, memory_bytes=200 << 20, file_bytes=1 << 20)
    yield opened
    opened.close()


def run(
    sandbox: Sandbox, task: object, *args: object, timeout_s: float = 30, cpu_s: float = 30
) -> object:
    return asyncio.run(sandbox.run(task, timeout_s, cpu_s, *args))  # type: ignore[arg-type]


def process_id() -> int:
    return os.getpid()


def fail(name: str) -> None:
    raise UnreadableFrame("is no good", file=name, value=3)


def eat_memory() -> int:
    try:
        return len(bytearray(1 << 30))
    except MemoryError:
        return -1


def write_much(path: str) -> str:
    try:
        with open(path, "wb") as out:  # noqa: PTH123
            out.write(bytes(4 << 20))
            out.flush()
    except OSError as error:
        return error.strerror
    return ""


def spin() -> None:
    while True:
        pass


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_and_errors_come_back(sandbox: Sandbox) -> None:
    first = run(sandbox, process_id)
    assert first != os.getpid()
    assert run(sandbox, process_id) == first  # it lives long
    with pytest.raises(UnreadableFrame) as caught:
        run(sandbox, fail, "a.fit")
    assert str(caught.value) == "a.fit: 3: is no good"


def test_memory_and_files_are_limited(sandbox: Sandbox, tmp_path: object) -> None:
    assert run(sandbox, eat_memory) == -1
    assert run(sandbox, write_much, f"{tmp_path}/big") == "File too large"


@pytest.mark.slow
def test_a_task_that_dies_hangs_or_spins_is_that_tasks_trouble(sandbox: Sandbox) -> None:
    with pytest.raises(UploadError, match="the process that looked at it died, twice"):
        run(sandbox, die)
    with pytest.raises(UploadError, match=r"looking at it took longer than 0\.5 s and was ended"):
        run(sandbox, time.sleep, 60, timeout_s=0.5)
    with pytest.raises(UploadError, match="the process that looked at it died, twice"):
        run(sandbox, spin, cpu_s=0.1)
    assert run(sandbox, process_id) != os.getpid()


def test_processes_leave_with_a_service_that_is_killed(tmp_path: object) -> None:
    import subprocess
    import sys

    code = (
        "import asyncio, os, signal\n"
        "from crowdsky.api.sandbox import Sandbox\n"
        "print(asyncio.run(Sandbox(1).run(os.getpid, 60, 60)), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == -signal.SIGKILL
    child = int(out.stdout)
    deadline = time.monotonic() + 20
    while _lives(child):
        assert time.monotonic() < deadline, "the sandbox outlived its service"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
