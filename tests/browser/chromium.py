"""Debian's Chromium through Playwright, and axe-core for what it shows."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.real_data import ROOT

__all__ = [
    "ARGUMENTS", "axe_findings", "browser", "browser_process", "chromium_path", "kept_profile",
    "needs_chromium",
]  # fmt: skip

# A closed network is not asked for updates, and a sandbox cannot be had by root.
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    *(["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []),
]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


def chromium_path() -> str | None:
    """Where the browser is."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), None)


needs_chromium = pytest.mark.skipif(
    chromium_path() is None, reason="needs Chromium: apt-get install chromium"
)


@contextmanager
def browser() -> Iterator[Any]:
    """A browser of Playwright's synchronous interface, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def kept_profile(folder: Path, play: Any = None, **options: Any) -> Iterator[Any]:
    """A browser context whose profile stays in a folder, as a person's does.

    `play` is the Playwright that runs already, as there can be only one at a time.
    """
    from playwright.sync_api import Error, sync_playwright

    with nullcontext(play) if play is not None else sync_playwright() as running:
        opened = running.chromium.launch_persistent_context(
            str(folder), executable_path=chromium_path(), args=ARGUMENTS, **options
        )
        try:
            yield opened
        finally:
            with suppress(Error):  # it may have been killed
                opened.close()


def browser_process(profile: Path) -> int:
    """The browser that has a profile, by its process number; not one of its children."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if f"--user-data-dir={profile}" in words and not any(
            word.startswith("--type=") for word in words
        ):
            return int(process.pid)
    raise AssertionError("there is no such browser")


def axe_findings(page: Any) -> list[str]:
    """What axe-core finds serious or critical on a page as it is now, a line each."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    told = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{found['id']}: {json.dumps([node['target'] for node in found['nodes']][:5])}"
        for found in told["violations"]
        if found["impact"] in ("serious", "critical")
    ]
