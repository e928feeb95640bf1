"""What a visitor does, and what it costs."""

from __future__ import annotations

import re
from typing import Any

import httpx
import psutil

from tests.pages_server.site import BASE, Site, wait_until

KERNEL = re.compile(r'<p id="kernel">([0-9a-f-]{36})</p>')
OURS = {"Sec-Fetch-Site": "same-origin"}


def opened(browser: httpx.Client, page: str = "upload", **named: Any) -> tuple[str, httpx.Response]:
    """A page and its kernel's id."""
    answer = browser.get(f"{BASE}{page}", **named)
    assert answer.status_code == 200, answer.text
    found = KERNEL.search(answer.text)
    assert found, answer.text
    return found[1], answer


def kernels(site: Site) -> set[int]:
    """Processes of the server's kernels."""
    assert site.server is not None
    return {child.pid for child in psutil.Process(site.server.pid).children()}


def ended(browser: httpx.Client, kernel_id: str) -> None:
    """Close a page, as a browser does."""
    path = f"{BASE}voila/api/shutdown/{kernel_id}"
    assert browser.post(path, headers=OURS).status_code == 204


def first_page(site: Site) -> httpx.Response:
    """The first page, once it has been drawn."""
    with site.browser() as browser:

        def drawn() -> httpx.Response | None:
            answer = browser.get(BASE)
            assert answer.status_code == 200
            return answer if "splash drawn by" in answer.text else None

        answer = wait_until(drawn, "the first page is drawn")
        assert isinstance(answer, httpx.Response)
        return answer
