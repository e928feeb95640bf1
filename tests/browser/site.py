"""The whole platform for the browser tests, and what people do on it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.frames.fits_files import sub_bytes

__all__ = ["Site", "real_size_night", "running_site", "small_night", "until"]

START_S = 240.0
UP = [
    sys.executable, "-c", "import sys; from crowdsky.cli.main import main; sys.exit(main())", "up",
]  # fmt: skip


@dataclass
class Site:
    """A platform that answers.

    Attributes
    ----------
    address : str
        Of the site, as people open it.
    facts : dict
        What the ready file holds.
    home : Path
    """

    address: str
    facts: dict[str, Any]
    home: Path
    process: subprocess.Popen[str]
    passwords: dict[str, str] = field(default_factory=dict)

    def sign_up(self, page: Any, name: str) -> None:
        """From the splash page to an account, as a newcomer goes."""
        self.passwords[name] = secrets.token_urlsafe(12)
        page.goto(self.address)
        page.get_by_role("link", name="Sign up").first.click()
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password", exact=True).fill(self.passwords[name])
        page.get_by_label("Password again").fill(self.passwords[name])
        page.get_by_role("button", name="Sign up").click()
        if "/hub/login" in page.url:
            self._fill_in(page, name)
        page.wait_for_url("**/services/pages/**")

    def sign_in(self, page: Any, name: str) -> None:
        """From the splash page to one's pages."""
        page.goto(self.address)
        page.get_by_role("link", name="Log in").first.click()
        self._fill_in(page, name)
        page.wait_for_url("**/services/pages/**")

    def _fill_in(self, page: Any, name: str) -> None:
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password", exact=True).fill(self.passwords[name])
        page.get_by_role("button", name="Log in").click()

    def ask(self, page: Any, path: str, method: str = "GET", body: Any = None) -> Any:
        """Have a page's own script ask the service; status and JSON."""
        return page.evaluate(
            """async ([path, method, body]) => {
                // The page's own way, which signs in at the service where that was not done yet.
                const plain = (path, init) => fetch('/services/crowdsky/api/v1' + path, init);
                const answer = await (window.crowdsky?.fetchApi ?? plain)(path, {
                    method, headers: {'Content-Type': 'application/json'},
                    body: body === null ? undefined : JSON.stringify(body)});
                const text = await answer.text();
                let told; try { told = JSON.parse(text); } catch { told = text; }
                return {status: answer.status, json: told};
            }""",
            [path, method, body],
        )

    def kill(self, part: str) -> None:
        """End a part as a crash does; the supervisor starts it again."""
        pid = self.pids()[part]
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.pids().get(part) not in (pid, 0, None), 60.0, f"{part} to be back")

    def pids(self) -> dict[str, int]:
        """Process numbers of the parts now: those of the supervisor's children by their names."""
        import psutil

        found: dict[str, int] = {}
        words = {"service": "crowdsky.api.serve", "pages": "crowdsky.pages_server",
                 "worker": "flows.worker", "hub": "jupyterhub"}  # fmt: skip
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # ended just now
                line = " ".join(child.cmdline())
                found |= {name: child.pid for name, word in words.items() if word in line}
        return found


@contextmanager
def running_site(folder: Path, *options: str, **variables: str) -> Iterator[Site]:
    """Start the platform on ports of its own, and stop it at the end."""
    home, ready, log = folder / "home", folder / "ready.json", folder / "up.log"
    words = ["--home", str(home), "--jobs", "2", "--ready-file", str(ready), *options]
    for part in ("hub", "api", "pages", "prefect"):
        words += [f"--{part}-port", "0"]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*UP, *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"CROWDSKY_REQUESTS_PER_MINUTE": "100000"} | variables,
            start_new_session=True,
            text=True,
        )
    try:
        until(lambda: ready.exists() or process.poll() is not None, START_S, "the platform")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        facts = json.loads(ready.read_text(encoding="utf-8"))
        yield Site(facts["address"], facts, home, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(90.0)


def until(said: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for something that takes its time."""
    end = time.monotonic() + seconds
    while True:
        try:
            if said():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)


def real_size_night(folder: Path, n: int, *, word: str) -> list[Path]:
    """Frames of 4 MB, each with pixels of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(word)).integers(0, 60_000, (1920, 1080)).astype(np.uint16)
    paths = []
    for number in range(n):
        at = f"21{number // 6 % 60:02d}{number % 6 * 10:02d}"
        path = folder / f"Light_{word}_10.0s_IRCUT_20260301-{at}.fit"
        content = sub_bytes(
            pixels=np.roll(noise, number, axis=0),
            OBJECT=word,
            DATE_OBS=f"2026-03-01T{at[:2]}:{at[2:4]}:{at[4:]}",
        )
        path.write_bytes(content)
        paths.append(path)
    return paths


def small_night(folder: Path, n: int, *, word: str) -> list[Path]:
    """Frames of a few kilobytes, for where their size does not matter; ten seconds apart."""
    folder.mkdir(parents=True, exist_ok=True)
    first = datetime(2026, 3, 1, 20, tzinfo=UTC)
    paths = []
    for number in range(n):
        at = first + timedelta(seconds=10 * number)
        path = folder / f"Light_{word}_10.0s_IRCUT_{at:%Y%m%d-%H%M%S}.fit"
        path.write_bytes(sub_bytes(OBJECT=word, DATE_OBS=at.isoformat()[:19]))
        paths.append(path)
    return paths
