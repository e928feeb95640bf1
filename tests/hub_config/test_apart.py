"""Servers with a user number of their own: what a notebook gets to see of others and of the Hub.

Python itself is the system's here, which everybody can run; it runs a stand-in for JupyterLab.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from hub_config.isolation import find_isolation
from tests.hub_config.hubs import CONFIG, NOTEBOOK, Hub, running, server_of

PYTHON = "/usr/bin/python3"

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not Path(PYTHON).exists(), reason="needs root and a system's Python"
    ),
]


@pytest.fixture(scope="module")
def hub(open_folder: Path) -> Iterator[Hub]:
    pytest.importorskip("pytest_socket").enable_socket()
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    found = find_isolation(home, PYTHON)
    if not found.apart:
        pytest.skip(f"people cannot be kept apart here: {found.reason}")
    command = open_folder / "server.py"
    command.write_text(NOTEBOOK)
    # The same configuration, with another Python.
    config = home / "jupyterhub_config.py"
    text = CONFIG.read_text().replace(
        "spawner.configure(c, facts)", f"spawner.configure(c, facts, python={PYTHON!r})"
    )
    folder = str(CONFIG.parent.parent)
    config.write_text(text.replace("str(Path(__file__).resolve().parent.parent)", repr(folder)))
    extra = f"c.LocalSpawner.cmd = [{PYTHON!r}, {str(command)!r}]\n"
    with running(home, extra, config, admins=("oper",)) as made:
        yield made


@pytest.fixture(scope="module")
def ann(hub: Hub) -> Iterator[httpx.Client]:
    with hub.signed_up("ann") as browser:
        yield browser


@pytest.fixture(scope="module")
def bob(hub: Hub) -> Iterator[httpx.Client]:
    with hub.signed_up("bob") as browser:
        yield browser


@pytest.fixture(scope="module")
def told(hub: Hub, ann: httpx.Client, bob: httpx.Client) -> dict[str, Any]:
    server_of(bob, "bob", hub)
    home = Path(hub.facts.home)
    people = home.parent.with_name("home-users")
    (people / "bob" / "secret.txt").write_text("of bob")
    looks = [home, home / "hub.json", home / "jupyterhub.sqlite", home / "jupyterhub_cookie_secret"]
    looks += [home.parent, people, people / "bob", people / "bob" / "secret.txt", people / "ann"]
    looks += [Path(f"/proc/{hub.process.pid}/environ"), Path("/etc/shadow")]
    query = urlencode([("look", str(path)) for path in looks])
    return server_of(ann, "ann", hub, f"?{query}")


def test_everybody_has_a_number(told: dict[str, Any]) -> None:
    assert told["uid"] == told["gid"] > 20_000
    assert told["groups"] == []
    assert told["mode"] == 0o700
    assert told["processes"] == 512
    assert "CapEff:\t0000000000000000" in told["status"]
    assert "NoNewPrivs:\t1" in told["status"]


def test_what_is_not_ones_own_is_shut(hub: Hub, told: dict[str, Any]) -> None:
    seen = told["seen"]
    own = next(name for name in seen if name.endswith("home-users/ann"))
    assert seen.pop(own).startswith("[")
    assert len(seen) == 10
    assert set(seen.values()) == {"Permission denied"}, seen


def test_users_are_told_nothing_when_all_is_well(hub: Hub, ann: httpx.Client) -> None:
    assert "trust each other" not in ann.get("/hub/home").text
    assert "not apart from" not in hub.log.read_text()


def test_stopping_ends_whatever_its_user_runs(
    hub: Hub, ann: httpx.Client, told: dict[str, Any]
) -> None:
    uid = told["uid"]
    stray = subprocess.Popen(
        [PYTHON, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        start_new_session=True,
    )
    try:
        cookies = {
            cookie.name: cookie.value for cookie in ann.cookies.jar if cookie.path == "/hub/"
        }
        headers = {"X-XSRFToken": cookies["_xsrf"] or "", "Referer": f"{hub.url}/hub/home"}
        stopped = ann.delete("/hub/api/users/ann/server", headers=headers)
        assert stopped.status_code in (202, 204), stopped.text
        assert stray.wait(60) == -9
    finally:
        if stray.poll() is None:
            stray.kill()
            stray.wait()


def test_a_folder_outlives_no_user(hub: Hub, told: dict[str, Any]) -> None:
    """Numbers of users who were deleted are given again: their folders may not go with them."""
    people = Path(hub.facts.home).parent.with_name("home-users")
    with hub.signed_up("gone") as browser:
        first = server_of(browser, "gone", hub)
        (people / "gone" / "diary.txt").write_text("mine")
    with hub.signed_up("oper") as oper:
        oper.get("/hub/home")
        cookies = {
            cookie.name: cookie.value for cookie in oper.cookies.jar if cookie.path == "/hub/"
        }
        headers = {"X-XSRFToken": cookies["_xsrf"] or "", "Referer": f"{hub.url}/hub/home"}
        end = time.monotonic() + 60
        while True:
            deleted = oper.delete("/hub/api/users/gone", headers=headers)
            if deleted.status_code == 204:
                break
            assert time.monotonic() < end, deleted.text
            time.sleep(0.5)
    assert not (people / "gone").exists()
    assert (people / ".gone").stat().st_mode & 0o777 == 0o700
    with hub.signed_up("gone") as browser:
        again = server_of(browser, "gone", hub)
    assert again["files"] == [".cache", ".notebook-server.log"]
    assert first["pid"] != again["pid"]
