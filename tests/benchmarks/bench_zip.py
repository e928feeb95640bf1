"""A ZIP of 1,000 stacks over loopback, beside a plain copy of the same bytes.

The service is a process of its own, whose memory is watched; the reader is this process and throws
the bytes away, as ``shutil.copyfile`` writes its copies to the disk. The first download hashes
every stack before it is sent, the second remembers which files have not changed since.
"""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.figure import Figure

STACK_BYTES = 2_000_000
RATIO_BAR = 0.5
MEMORY_BAR_MB = 100.0


def figures(quick: bool) -> Iterator[Figure]:
    """Megabytes a second, their ratio, and the service's memory."""
    from crowdsky.archive.migrate import migrate
    from tests.api.conftest import Running, opened, serving_process, settings_in
    from tests.api.product_rows import make_stack, random_bytes

    n_stacks, rounds = (100, 1) if quick else (1000, 3)
    with tempfile.TemporaryDirectory(prefix="zip") as name:
        folder = Path(name)
        settings = settings_in(folder, f"sqlite:///{folder / 'crowdsky.db'}")
        migrate(settings.database_url)
        noise = random_bytes(STACK_BYTES, 1)
        with opened(settings) as context:
            for number in range(n_stacks):
                make_stack(context, "ann", number.to_bytes(8, "big") + noise)
            key = Running("", context).key_for("ann")
            files = [path for path in settings_store(folder) if path.stat().st_size > STACK_BYTES]
        total_mb = n_stacks * STACK_BYTES / 1e6
        with serving_process(settings, folder) as (url, process):
            began = time.perf_counter()
            path, n_bytes = _make(url, key)
            yield Figure(
                f"making a download of {n_stacks} stacks", time.perf_counter() - began, "s"
            )
            before = _rss_mb(process.pid)
            copies, sent = [], []
            for _ in range(rounds + 1):
                copies.append(total_mb / _copy_s(files, folder / "copies"))
                sent.append(n_bytes / 1e6 / _fetch_s(url, key, path, n_bytes))
            grown = _peak_mb(process.pid) - before
        yield Figure("plain copy of the files", max(copies), "MB/s")
        yield Figure("the ZIP, hashed on the way", sent[0], "MB/s")
        yield Figure(
            "of a copy's rate, hashed on the way", sent[0] / copies[0], "", RATIO_BAR, "more"
        )
        yield Figure("the ZIP, files known to be right", max(sent[1:]), "MB/s")
        yield Figure(
            "of a copy's rate, files known to be right", max(sent[1:]) / max(copies), "",
            RATIO_BAR, "more",
        )  # fmt: skip
        yield Figure(
            "memory of the service while it sends", grown, "MB", MEMORY_BAR_MB,
            beside=f"beyond {before:.0f} MB at rest",
        )  # fmt: skip


def settings_store(folder: Path) -> list[Path]:
    """The files of the store."""
    return sorted(path for path in (folder / "store").glob("??/*") if path.is_file())


def _make(url: str, key: str) -> tuple[str, int]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/downloads", b"{}", headers)
    response = connection.getresponse()
    told = json.loads(response.read())
    connection.close()
    return str(told["url"]), int(told["n_bytes"])


def _fetch_s(url: str, key: str, path: str, n_bytes: int) -> float:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    began = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    buffer = memoryview(bytearray(1 << 20))
    got = 0
    while n := response.readinto(buffer):
        got += n
    seconds = time.perf_counter() - began
    connection.close()
    assert got == n_bytes, (got, n_bytes)
    return seconds


def _copy_s(files: list[Path], folder: Path) -> float:
    folder.mkdir()
    began = time.perf_counter()
    for path in files:
        shutil.copyfile(path, folder / path.name)
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds


def _rss_mb(pid: int) -> float:
    import psutil

    return float(psutil.Process(pid).memory_info().rss) / 1e6


def _peak_mb(pid: int) -> float:
    """The most memory a process ever had, as the kernel remembers it (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return float(line.split()[1]) * 1024 / 1e6
    return 0.0
