"""A real Hub with the site's configuration behind npm's proxy; services and notebooks stand in."""

from __future__ import annotations

import http.server
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from crowdsky.errors import SettingsError
from crowdsky.supervise.hub_file import HubFile, hub_file_path, write_hub_file
from crowdsky.supervise.proxy_program import proxy_command
from tests.real_data import ROOT

PASSWORD = "the star light of night"
CONFIG = ROOT / "hub_config" / "jupyterhub_config.py"

# Stands for a notebook server: tells who and where it is, and what it can see.
NOTEBOOK = r"""
import http.server, json, os, resource, sys
from urllib.parse import parse_qs, urlsplit
def look(path):
    try:
        return "read" if os.path.isfile(path) and open(path, "rb").read() is not None else str(
            sorted(os.listdir(path)))
    except OSError as error:
        return error.strerror
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        told = {"environment": dict(os.environ), "uid": os.getuid(), "gid": os.getgid(),
            "groups": os.getgroups(), "folder": os.getcwd(), "pid": os.getpid(),
            "mode": os.stat(".").st_mode & 0o777, "files": sorted(os.listdir(".")),
            "address_space": resource.getrlimit(resource.RLIMIT_AS)[0],
            "processes": resource.getrlimit(resource.RLIMIT_NPROC)[0],
            "status": open("/proc/self/status").read(),
            "seen": {path: look(path) for path in asked.get("look", [])}}
        body = json.dumps(told).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
at = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
http.server.HTTPServer((at.hostname, at.port), Answer).serve_forever()
"""


@dataclass
class Hub:
    """A running Hub."""

    facts: HubFile
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return self.facts.bind_url

    def browser(self, **more: Any) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, follow_redirects=True, timeout=60.0, trust_env=False, **more
        )

    def ask(self, token: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"token {token}"}
        address = f"{self.url}/hub/api{path}"
        return httpx.request(
            method, address, headers=headers, timeout=60.0, trust_env=False, **more
        )

    @contextmanager
    def signed_up(self, name: str, password: str = PASSWORD) -> Iterator[httpx.Client]:
        with self.browser() as browser:
            landed = sign_up(browser, name, password)
            assert landed.url.path == "/services/pages/upload", words(landed)
            yield browser

    @contextmanager
    def signed_in(self, name: str, password: str = PASSWORD) -> Iterator[httpx.Client]:
        with self.browser() as browser:
            landed = log_in(browser, name, password)
            assert landed.url.path == "/services/pages/upload", words(landed)
            yield browser


def send(browser: httpx.Client, path: str, fields: dict[str, str], **more: Any) -> httpx.Response:
    """Fill in and send the form of a page."""
    page = browser.get(path)
    assert page.status_code == 200, page.text
    token = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
    assert token is not None, page.text
    return browser.post(path, data={**fields, "_xsrf": token[1]}, **more)


def sign_up(browser: httpx.Client, name: str, password: str = PASSWORD, **more: str) -> Any:
    fields = {"username": name, "signup_password": password}
    fields["signup_password_confirmation"] = password
    path = more.pop("path", "/hub/signup")
    return send(browser, path, {**fields, **more})


def log_in(browser: httpx.Client, name: str, password: str = PASSWORD, path: str = "") -> Any:
    return send(browser, path or "/hub/login", {"username": name, "password": password})


def words(page: httpx.Response) -> str:
    """What stands in the main part of a page."""
    main = page.text.partition("<main")[2].partition(">")[2].partition("</main>")[0]
    text = re.sub(r"<(script|style).*?</\1>", "", main, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class StandIn(http.server.BaseHTTPRequestHandler):
    """Both services: tell the address that was asked, and who asked by which header."""

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.rpartition("/")[2]
        file = ROOT / "voila_templates/crowdsky/src" / name
        style = "/static/" in self.path and name.endswith(".css") and file.is_file()
        body = file.read_bytes() if style else f"page {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/css" if style else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def made_facts(home: Path, **changed: Any) -> HubFile:
    """Facts as `crowdsky up` writes them."""
    facts = HubFile(
        home=str(home / "hub"),
        bind_url="http://127.0.0.1:8000",
        public_url="",
        hub_api_port=8081,
        proxy_api_port=8001,
        proxy_token=secrets.token_hex(16),
        cookie_secret=secrets.token_hex(32),
        crypt_key=secrets.token_hex(32),
        service_url="http://127.0.0.1:1",
        service_token=secrets.token_hex(16),
        pages_url="http://127.0.0.1:1",
        pages_token=secrets.token_hex(16),
        supervisor_token=secrets.token_hex(16),
        proxy_command=("node", "configurable-http-proxy"),
        notebooks_folder=str(home / "notebooks"),
    )
    facts = replace(facts, **changed)
    return facts if facts.public_url else replace(facts, public_url=facts.bind_url)


@contextmanager
def running(home: Path, extra: str = "", config: Path = CONFIG, **changed: Any) -> Iterator[Hub]:
    """Run a Hub in a folder; stop it, and what it started, at the end."""
    try:
        proxy = proxy_command()
    except SettingsError as error:
        pytest.skip(str(error))
    services = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=services.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{services.server_port}"
    listening = {
        "bind_url": f"http://127.0.0.1:{free_port()}",
        "hub_api_port": free_port(),
        "proxy_api_port": free_port(),
        "service_url": address,
        "pages_url": address,
        "proxy_command": proxy,
    }
    facts = made_facts(home, **{**listening, **changed})
    file = hub_file_path(home)
    write_hub_file(file, facts)
    if extra:
        (file.parent / "extra_config.py").write_text(extra)
    log = home / "hub.log"
    environ = {**os.environ, "CROWDSKY_HUB_FILE": str(file)}
    environ.pop("PYTHONPATH", None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            cwd=home,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 120
        while True:
            assert process.poll() is None, log.read_text()[-5000:]
            assert time.monotonic() < end, log.read_text()[-5000:]
            try:
                answer = httpx.get(f"{facts.bind_url}/hub/health", trust_env=False)
                if answer.status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield Hub(facts, process, log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
        services.shutdown()
        services.server_close()


def server_of(browser: httpx.Client, name: str, hub: Hub, query: str = "") -> dict[str, Any]:
    """Start somebody's server in their browser and hear what the stand-in for it says."""
    browser.get("/hub/user-redirect/")
    end = time.monotonic() + 120
    while True:
        answer = browser.get(f"/user/{name}/{query}")
        if answer.status_code == 200 and answer.text.startswith("{"):
            told: dict[str, Any] = answer.json()
            return told
        assert time.monotonic() < end, hub.log.read_text()[-5000:]
        assert "did not start" not in answer.text, hub.log.read_text()[-5000:]
        time.sleep(0.2)
