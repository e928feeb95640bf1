"""A Hub behind its own proxy, and the server of the pages beside it, as `crowdsky up` has them."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nbformat

from crowdsky.supervise.hub_environment import hub_environment
from crowdsky.supervise.hub_file import HubFile
from crowdsky.supervise.proxy_program import proxy_command

PASSWORD = "the star light of night"
BASE = "/services/pages/"
START_S = 120.0
RUNNER = Path(__file__).with_name("run_server.py")

CONFIG = """
import json
from pathlib import Path
told = json.loads(Path({told!r}).read_text())
c.JupyterHub.bind_url = told["url"]
c.JupyterHub.hub_port = told["hub_port"]
c.JupyterHub.db_url = "sqlite:///" + told["folder"] + "/hub.db"
c.JupyterHub.cookie_secret_file = told["folder"] + "/cookie_secret"
c.ConfigurableHTTPProxy.command = told["proxy"]
c.ConfigurableHTTPProxy.api_url = told["proxy_api"]
c.ConfigurableHTTPProxy.auth_token = told["proxy_token"]
c.ConfigurableHTTPProxy.pid_file = told["folder"] + "/proxy.pid"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = told["password"]
c.Authenticator.allow_all = True
c.JupyterHub.services = [{{"name": "pages", "url": told["pages_url"], "oauth_no_confirm": True,
                          "api_token": told["pages_token"]}}]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=pages"]}}]
"""

TEMPLATE = """<!doctype html>
<html lang="en" data-user="{{ resources.crowdsky.user }}" data-page="{{ resources.crowdsky.page }}">
<head><title>{{ resources.crowdsky.title }}</title>
<script nonce="{{ resources.crowdsky.nonce }}">window.it = 1</script></head>
<body>{% with kernel_id = kernel_start(nb) %}<p id="kernel">{{ kernel_id }}</p>
{% for cell in cell_generator(nb, kernel_id) %}{% for output in cell.outputs %}
<pre>{{ output.text or output.data["text/html"] }}</pre>{% endfor %}{% endfor %}{% endwith %}
{% for _ in range(30) %}<p>A page is longer than what is said where there is none.</p>{% endfor %}
</body>
</html>
"""

# What a kernel sees of the world, and a comm by which a page can ask it things.
CELL = """
import json, os, threading, urllib.request, urllib.error
from comm import create_comm, get_comm_manager
def ticket():
    asked = urllib.request.Request(
        os.environ["CROWDSKY_PAGES_URL"] + "/ticket",
        headers={"Authorization": "Bearer " + os.environ["CROWDSKY_KERNEL_KEY"]})
    try:
        with urllib.request.urlopen(asked) as answer:
            return {"status": answer.status} | json.load(answer)
    except urllib.error.HTTPError as error:
        return {"status": error.code} | json.load(error)
def opened(comm, message):
    @comm.on_msg
    def _(message):
        asked = message["content"]["data"]["ask"]
        told = {"ticket": ticket, "ran": lambda: globals().get("ran", "no"),
                "environ": lambda: dict(os.environ), "home": lambda: os.listdir(os.environ["HOME"]),
                "parent": lambda: peek(os.getppid()), "pid": os.getpid}[asked]()
        comm.send({"told": told})
def peek(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError as error:
        return type(error).__name__
get_comm_manager().register_target("test", opened)
print("drawn by", os.getpid(), ticket()["status"])
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until(done: Callable[[], Any], what: str, within_s: float = START_S) -> Any:
    end = time.monotonic() + within_s
    while True:
        found = done()
        if found:
            return found
        assert time.monotonic() < end, f"waited {within_s:g} s until {what}"
        time.sleep(0.05)


def write_notebook(path: Path, *cells: str) -> None:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(made, path)


def write_site(folder: Path) -> None:
    """Notebooks and a template."""
    notebooks, template = folder / "notebooks", folder / "crowdsky"
    notebooks.mkdir()
    (template / "static").mkdir(parents=True)
    for page in ("upload", "status", "stacks"):
        write_notebook(notebooks / f"{page}.ipynb", CELL)
    write_notebook(
        notebooks / "splash.ipynb",
        "from pathlib import Path\nimport os\nprint('splash drawn by', os.getpid())",
    )
    (template / "conf.json").write_text('{"base_template": "base"}')
    (template / "index.html.j2").write_text(TEMPLATE)
    (template / "static" / "theme.css").write_text(":root { --cs-bg: #000 }\n" * 100)
    (template / "static" / "app-5XQ2W7ZD.js").write_text("export const a = 1;\n")
    (template / "secret.txt").write_text("not static")


@dataclass
class Site:
    """Addresses and processes."""

    folder: Path
    url: str
    pages_url: str
    environment: dict[str, str]
    ticket_secret: str
    server: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    logs: list[Path] = field(default_factory=list)

    @property
    def port(self) -> str:
        return self.environment["CROWDSKY_PAGES_PORT"]

    def browser(self, **named: Any) -> httpx.Client:
        named.setdefault("follow_redirects", True)
        headers = {"Accept": "text/html"}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=90.0, trust_env=False, **named
        )

    @contextmanager
    def signed_in(self, name: str, path: str = f"{BASE}privacy") -> Iterator[httpx.Client]:
        """A browser that has signed in at the Hub, and gone to a page from there."""
        with self.browser() as browser:
            form = browser.get("/hub/login", params={"next": path})
            told = {
                "username": name,
                "password": PASSWORD,
                "_xsrf": browser.cookies.get("_xsrf", path="/hub/"),
            }
            landed = browser.post(str(form.url), data=told)
            assert landed.url.path == path.partition("?")[0], landed.text
            yield browser

    def log(self) -> str:
        return "\n".join(path.read_text("utf-8", "replace")[-4000:] for path in self.logs)

    def start(self, **settings: str) -> None:
        """Start the server, told a little more."""
        self.settings = settings
        log = self.folder / f"pages-{len(self.logs)}.log"
        self.logs.append(log)
        with log.open("wb") as output:
            self.server = subprocess.Popen(
                [sys.executable, str(RUNNER), str(self.folder)],
                cwd=self.folder,
                env=self.environment | settings,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(self.answers, "the server of the pages answers")

    def have(self, **settings: str) -> None:
        """Start the server if there is none, or one that was told something else."""
        if self.server is None or self.settings != settings:
            self.stop()
            self.start(**settings)

    def answers(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, self.log()
        try:
            health = httpx.get(f"{self.pages_url}{BASE}health", trust_env=False)
        except httpx.TransportError:
            return False
        return health.json() == {"status": "ok"}

    def stop(self, *, kill: bool = False) -> None:
        if self.server is not None and self.server.poll() is None:
            (self.server.kill if kill else self.server.terminate)()
            self.server.wait(60)
        self.server = None


@contextmanager
def running_site(folder: Path, repo_root: Path) -> Iterator[Site]:
    """A Hub and the server, both answering."""
    port, pages_port, hub_port = free_port(), free_port(), free_port()
    told = {
        "url": f"http://127.0.0.1:{port}",
        "hub_port": hub_port,
        "folder": str(folder),
        "proxy": proxy_command(),
        "proxy_api": f"http://127.0.0.1:{free_port()}",
        "proxy_token": secrets.token_hex(16),
        "pages_url": f"http://127.0.0.1:{pages_port}",
        "pages_token": secrets.token_hex(16),
        "password": PASSWORD,
    }
    (folder / "told.json").write_text(json.dumps(told))
    config = folder / "jupyterhub_config.py"
    config.write_text(CONFIG.format(told=str(folder / "told.json")))
    facts = HubFile(
        home=str(folder),
        bind_url=str(told["url"]),
        public_url=str(told["url"]),
        hub_api_port=hub_port,
        proxy_api_port=0,
        proxy_token="",
        cookie_secret="",
        crypt_key="",
        service_url="",
        service_token="",
        pages_url=str(told["pages_url"]),
        pages_token=str(told["pages_token"]),
        supervisor_token="",
    )
    ticket_secret = secrets.token_hex(32)
    environment = {
        **os.environ,
        **hub_environment(facts, "pages", url=facts.pages_url, token=facts.pages_token),
        "CROWDSKY_HOME": str(folder),
        "CROWDSKY_PAGES_PORT": str(pages_port),
        "CROWDSKY_PAGES_PREHEAT": "1",
        "CROWDSKY_TICKET_SECRET": ticket_secret,
        "CROWDSKY_DATABASE_URL": "sqlite:////nowhere/archive.db",
        "PYTHONPATH": str(repo_root),
    }
    site = Site(folder, facts.bind_url, facts.pages_url, environment, ticket_secret)
    log = folder / "hub.log"
    site.logs.append(log)
    with log.open("wb") as output:
        hub = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def answers() -> bool:
        assert hub.poll() is None, site.log()
        try:
            return httpx.get(f"{site.url}/hub/health", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        site.start()  # the Hub looks for its services while it starts
        wait_until(answers, "the Hub answers")
        yield site
    finally:
        site.stop()
        hub.terminate()
        try:
            hub.wait(30)
        except subprocess.TimeoutExpired:
            hub.kill()
            hub.wait(30)
