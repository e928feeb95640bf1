"""`crowdsky up` as it is run: the whole platform from an empty folder, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def platform(home: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The platform in a process group of its own, once it answers."""
    ready = home.with_name(f"{home.name}-ready.json")
    log = home.with_name(f"{home.name}-up.log")
    words = (*words, "--jobs", "2")
    for part in ("hub", "api", "pages", "prefect"):
        words = (*words, f"--{part}-port", "0")
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*UP, "--home", str(home), *words, "--ready-file", str(ready)],
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


def stop(process: subprocess.Popen[str], log: Path) -> None:
    """Stop it as an operator does; nothing is left."""
    everything = family(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120.0) == 0
    until(lambda: not running(everything), 15.0, "the end of every process")
    assert log.read_text(encoding="utf-8").endswith("stopped\n")


PARTS = {"proxy", "prefect", "service", "hub", "pages", "worker", "maintenance"}
SERVICE = "/services/crowdsky"
ME = f"{SERVICE}/api/v1/me"


@contextmanager
def browsing(facts: dict[str, Any]) -> Iterator[httpx.Client]:
    """A browser, of nobody so far."""
    with httpx.Client(
        base_url=facts["address"], follow_redirects=True, timeout=120.0, trust_env=False
    ) as browser:
        yield browser


def sign_in(browser: httpx.Client, facts: dict[str, Any]) -> None:
    """Sign in as the demo's user."""
    form = browser.get(f"{SERVICE}/login?next={ME}")
    assert form.url.path == "/hub/login", form.text
    words = {"username": facts["demo"]["user"], "password": facts["demo"]["password"]}
    words["_xsrf"] = browser.cookies.get("_xsrf", path="/hub/") or ""
    landed = browser.post(str(form.url), data=words)
    assert (landed.status_code, landed.url.path) == (200, ME), landed.text
    assert (landed.json()["name"], landed.json()["via"]) == ("demo", "session")


def is_at_work(browser: httpx.Client) -> bool:
    """Whether the Hub, the service and the pages answer somebody who signed in long ago."""
    try:
        home = browser.get("/hub/home")
        answers = [home, browser.get(ME), browser.get("/services/pages/health")]
    except httpx.TransportError:
        return False
    assert not any(answer.url.path == "/hub/login" for answer in answers), "signed out"
    assert not any(answer.status_code == 401 for answer in answers), "signed out"
    return all(answer.is_success for answer in answers)


def test_the_demo_night_goes_up_is_stacked_and_all_stops_at_sigterm(
    home: Path, repo_root: Path
) -> None:
    with platform(home, "--demo") as (process, facts):
        what_is_told(process, facts, home)
        until(lambda: the_night_is_done(process, facts), 300.0, "the demo night")
        the_night_is_there(facts, home)
        with browsing(facts) as browser:
            sign_in(browser, facts)
            what_dies_comes_back(browser, facts)
            copy = home.with_name("copy")
            copied = subprocess.run(
                [sys.executable, repo_root / "docs/examples/backup.py", home, copy],
                capture_output=True,
                text=True,
                check=False,
            )
            assert copied.returncode == 0, copied.stderr
            # One of the people's own servers, which is no part of the group.
            browser.get("/hub/spawn")
            until(lambda: notebooks_are_there(browser), 180.0, "JupyterLab of the demo")
            cookies = browser.cookies
        commands = [
            " ".join(psutil.Process(pid).cmdline())
            for pid in family(process.pid)
            if psutil.pid_exists(pid)
        ]
        assert any("jupyterhub.singleuser" in command for command in commands)
        stop(process, facts["log"])

    # What was copied while all that went on is a platform of its own, at another address.
    with platform(copy) as (process, restored):
        assert restored["demo"] is None
        restored["demo"] = facts["demo"]
        the_night_is_there(restored, home)
        with browsing(restored) as browser:
            sign_in(browser, restored)
        # Who was signed in when the copy was made still is: cookies do not know of ports.
        with browsing(restored) as browser:
            browser.cookies = cookies
            assert browser.get(ME).json()["name"] == "demo"
        with Client(restored["service"], facts["demo"]["api_key"]) as client:
            fetched = client.download_zip(client.stacks(scope="mine"), home / "again.zip")
            assert (fetched.n_stacks, fetched.n_missing) == (3, 0)
        stop(process, restored["log"])


def notebooks_are_there(browser: httpx.Client) -> bool:
    lab = browser.get("/user/demo/lab")
    return lab.status_code == 200 and lab.url.path == "/user/demo/lab"


def what_is_told(process: subprocess.Popen[str], facts: dict[str, Any], home: Path) -> None:
    assert set(facts["pids"]) == {"supervisor", *PARTS}
    assert facts["pids"]["supervisor"] == process.pid
    assert facts["api"] == f"{facts['address']}{SERVICE}/api/v1"
    for address in (
        f"{facts['api']}/health",
        f"{facts['service']}/api/v1/health",  # as keys reach it
        f"{facts['hub']}api",
        f"{facts['pages']}health",
        f"{facts['prefect']}/api/health",
    ):
        assert httpx.get(address, trust_env=False).is_success, address
    # One address to open comes first, and how the demo signs in.
    lines = facts["log"].read_text(encoding="utf-8").splitlines()
    assert lines[:2] == [f"starting in {home}", f"open {facts['address']}"]
    assert "as demo with the password" in lines[2]
    second = subprocess.run(
        [*UP, "--home", str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 1
    assert f"already runs on this folder, as process {process.pid};" in second.stderr


def the_night_is_done(process: subprocess.Popen[str], facts: dict[str, Any]) -> bool:
    told: str = facts["log"].read_text(encoding="utf-8")
    assert process.poll() is None, told
    return "running; Ctrl-C stops everything" in told


def the_night_is_there(facts: dict[str, Any], home: Path) -> None:
    with Client(facts["service"], facts["demo"]["api_key"]) as client:
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
    assert len(names) == len(stacks) == 3
    # The same key opens the service by way of the site.
    with Client(f"{facts['address']}{SERVICE}", facts["demo"]["api_key"]) as client:
        assert len(client.stacks(scope="mine")) == len(stacks)
    for secret in (home / "secrets.json", home / "hub" / "hub.json"):
        assert secret.stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    until((home / "example-night.zip").exists, 120.0, "the example night")


def what_dies_comes_back(browser: httpx.Client, facts: dict[str, Any]) -> None:
    """Each part is killed once; who was signed in stays so, and nothing is left of the dead."""
    log: Path = facts["log"]
    assert is_at_work(browser)
    for name in sorted(PARTS):
        pid = facts["pids"][name]
        relatives = [one for one in family(pid) if one != pid]
        os.kill(pid, signal.SIGKILL)
        until(
            lambda name=name: f"{name} was killed by SIGKILL" in log.read_text(encoding="utf-8"),
            30.0,
            f"a word about {name}",
        )
        if name == "hub":
            # Transfers do not notice: they go by the proxy to the service.
            assert browser.get(ME).is_success
        until(lambda: is_at_work(browser), 120.0, f"the return of {name}")
        until(lambda left=relatives: not running(left), 30.0, f"the end of what {name} left")
    with Client(facts["service"], facts["demo"]["api_key"]) as client:
        assert client.books().balances


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--hub-port", "HUB", "--api-port", "0"], "hub"),
        # Without a Hub its port is nobody's concern.
        (["--no-hub", "--hub-port", "HUB", "--api-port", "API"], "api"),
    ],
)
def test_a_taken_port_is_told_before_anything_is_started(
    home: Path, words: list[str], part: str
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        ports = {"HUB": str(one.getsockname()[1]), "API": str(two.getsockname()[1])}
        refused = subprocess.run(
            [*UP, "--home", str(home), *(ports.get(word, word) for word in words)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert refused.returncode == 2
    assert (
        f"port {ports[part.upper()]} of 127.0.0.1 is taken by another program; "
        f"choose another with --{part}-port or CROWDSKY_{part.upper()}_PORT"
    ) in refused.stderr
    assert not (home / "crowdsky.db").exists()
