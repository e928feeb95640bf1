"""Kernels that wait, pages that are closed, too many or broken, a server that is killed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from tests.pages_server.site import BASE, CELL, Site, wait_until, write_notebook
from tests.pages_server.sockets import page_socket
from tests.pages_server.visits import KERNEL, OURS, ended, first_page, kernels, opened

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

IDLE_S = 3
TIGHT = {
    "CROWDSKY_PAGES_IDLE_S": str(IDLE_S),
    "CROWDSKY_PAGES_USER_VIEWS": "2",
    "CROWDSKY_PAGES_VIEWS": "3",
}


@pytest.fixture(scope="module")
def tight(site: Site, ann: httpx.Client, bob: httpx.Client) -> Iterator[Site]:
    """A server that is impatient and small, and lacks a page."""
    for browser in (ann, bob):
        assert browser.get(f"{BASE}health").status_code == 200
    for browser in (ann, bob):  # signed in before the server is started again
        kernel_id, _ = opened(browser)
        ended(browser, kernel_id)
    notebooks = site.folder / "notebooks"
    (notebooks / "stacks.ipynb").unlink()
    yield site
    write_notebook(notebooks / "stacks.ipynb", CELL)


@pytest.fixture(autouse=True)
def _tight(tight: Site) -> None:
    tight.have(**TIGHT)


def test_a_restart_signs_nobody_out(site: Site, ann: httpx.Client) -> None:
    kernel_id, page = opened(ann)
    assert page.history == []
    ended(ann, kernel_id)


def test_a_kernel_that_waited_long_serves_all_the_same(site: Site, ann: httpx.Client) -> None:
    first_page(site)
    wait_until(lambda: len(kernels(site)) == 2, "a kernel is ready for either page")
    ready = kernels(site)
    time.sleep(1.5 * IDLE_S)
    assert kernels(site) == ready
    kernel_id, page = opened(ann)
    (before,) = (pid for pid in ready if f"drawn by {pid} 409" in page.text)
    time.sleep(1.2)  # the next round of whoever ends idle ones
    with page_socket(site, ann, kernel_id) as socket:
        assert socket.ask("pid") == before
        # An open page is not idle, however little it says.
        time.sleep(1.5 * IDLE_S)
        assert socket.ask("ticket")["name"] == "ann"
    # Its tab is gone without a word.
    wait_until(lambda: not psutil.pid_exists(before), "the kernel of a closed page ends")
    path = f"{BASE}api/kernels/{kernel_id}"
    wait_until(lambda: ann.get(path).status_code == 404, "the server has forgotten it")


def test_so_many_pages_and_no_more(site: Site, ann: httpx.Client, bob: httpx.Client) -> None:
    with ExitStack() as stack:
        held = []
        for browser in (ann, ann, bob):
            kernel_id, _ = opened(browser)
            held.append(kernel_id)
            stack.enter_context(page_socket(site, browser, kernel_id))
        refused = ann.get(f"{BASE}upload")
        assert refused.status_code == 429
        assert "You have 2 pages of this site open, which is the most: close one" in refused.text
        full = bob.get(f"{BASE}upload")
        assert full.status_code == 503
        assert "3 pages are open, which is as many as this site can serve" in full.text
        assert f'http-equiv="refresh" content="{full.headers["retry-after"]}"' in full.text
        ended(ann, held[0])
        kernel_id, _ = opened(bob)
        ended(bob, kernel_id)
        # Frames and first pages are still there for everybody.
        assert bob.get(BASE).status_code == 200


def test_a_page_that_is_not_installed(site: Site, ann: httpx.Client) -> None:
    answer = ann.get(f"{BASE}stacks")
    assert answer.status_code == 404
    assert "The page &#x27;stacks&#x27; is not installed here." in answer.text
    assert "the notebook of the page 'stacks' is not there" in site.log()


def test_a_page_that_fails(site: Site, ann: httpx.Client) -> None:
    notebook = site.folder / "notebooks" / "status.ipynb"
    write_notebook(notebook, "raise KeyError('of the status page')")
    answer = ann.get(f"{BASE}status")
    if answer.status_code == 200:  # the one that was ready
        found = KERNEL.search(answer.text)
        assert found
        ended(ann, found[1])
        answer = ann.get(f"{BASE}status")
    assert answer.status_code == 500
    assert "The page could not be drawn; try again" in answer.text
    assert "KeyError" not in answer.text
    assert "of the status page" in site.log()
    wait_until(lambda: len(kernels(site)) == 1, "no kernel is left of it")
    script = ann.get(f"{BASE}status", headers={"Accept": "application/json"})
    assert script.json()["error"] == 500
    write_notebook(notebook, CELL)


def test_a_server_that_is_killed_and_a_hub_that_is_silent(site: Site, ann: httpx.Client) -> None:
    opened(ann)
    wait_until(lambda: len(kernels(site)) >= 2, "one is ready again")
    left = kernels(site)
    site.stop(kill=True)
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in left), "its kernels have ended")

    remains = list(Path(tempfile.gettempdir()).glob(f"crowdsky-pages-{site.port}-*"))
    assert len(remains) == 1

    site.have(**TIGHT, JUPYTERHUB_API_URL="http://127.0.0.1:9/hub/api")
    assert not remains[0].exists()
    answer = ann.get(f"{BASE}upload")
    assert answer.status_code == 503
    assert "Sign-in cannot be checked just now, because the Hub does not answer." in answer.text
    assert 'http-equiv="refresh"' in answer.text
    assert "9/hub/api" not in answer.text
    path = f"{BASE}api/kernels/00000000-0000-0000-0000-000000000000"
    assert ann.get(path, headers=OURS).status_code == 503
    assert ann.get(BASE).status_code == 200
    assert ann.get(f"{BASE}privacy").status_code == 200
