"""One platform and one browser for all tests of the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import pytest_socket

from crowdsky.archive.engine import Archive
from tests.browser.chromium import ARGUMENTS, chromium_path
from tests.browser.site import Site, running_site

# Machines that run these beside other things are slow at times.
PATIENCE_MS = 30_000


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The whole platform, as `crowdsky up` starts it."""
    pytest_socket.enable_socket()  # this begins before the first test's own marks are heard
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="package")
def archive_of_site(site: Site) -> Iterator[Archive]:
    """The platform's own database."""
    opened = Archive(f"sqlite:///{site.home / 'crowdsky.db'}")
    yield opened
    opened.close()


@pytest.fixture(scope="package")
def play() -> Iterator[Any]:
    """Playwright; there can be only one in a process."""
    from playwright.sync_api import sync_playwright

    pytest_socket.enable_socket()
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def chromium(play: Any) -> Iterator[Any]:
    """A browser without a window."""
    opened = play.chromium.launch(
        executable_path=chromium_path(), args=[*ARGUMENTS, "--enable-precise-memory-info"]
    )
    yield opened
    opened.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a browser that nobody has used before; gives its first page."""
    with ExitStack() as opened:

        def open_one(**options: Any) -> Any:
            options = {"viewport": {"width": 1280, "height": 900}} | options
            context = chromium.new_context(**options)
            context.set_default_timeout(PATIENCE_MS)
            opened.callback(context.close)
            return context.new_page()

        yield open_one
