"""Sign-in through a real JupyterHub behind its own proxy, of which the service is a part."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from crowdsky.errors import SettingsError
from crowdsky.supervise.proxy_program import proxy_command

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

PASSWORD = "the star light of night"
SESSION = "crowdsky-session"
PREFIX = "/services/crowdsky"

# Stands for a notebook server: it asks the service with the token that its kernels have too.
NOTEBOOK = """
import http.server, os, urllib.request
from urllib.parse import urlsplit
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urllib.request.Request(
            os.environ["CROWDSKY_SERVER"] + "/api/v1/me",
            headers={"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"]})
        try:
            told = urllib.request.urlopen(asked).read()
        except Exception as error:
            told = repr(error).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(told)
    def log_message(self, *_): pass
at = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
http.server.HTTPServer((at.hostname, at.port), Answer).serve_forever()
"""

CONFIG = """
import json, sys
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
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = told["folder"] + "/{{username}}"
c.Spawner.cmd = [sys.executable, "-c", told["notebook"]]
c.Spawner.environment = {{"CROWDSKY_SERVER": told["url"] + "/services/crowdsky"}}
c.Spawner.server_token_scopes = ["access:services!service=crowdsky"]
c.JupyterHub.services = [
    {{"name": "crowdsky", "url": told["service"], "oauth_no_confirm": True,
     "command": [sys.executable, "-m", "crowdsky.api.serve", "--port", told["service_port"]],
     "environment": told["environment"]}},
    {{"name": "other", "api_token": told["other_token"]}},
    {{"name": "tester", "api_token": told["admin_token"]}},
]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=crowdsky"]}},
    {{"name": "tester", "services": ["tester"], "scopes": ["admin:users", "tokens", "servers",
      "access:services"]}},
    {{"name": "other", "services": ["other"], "scopes": ["access:services!service=crowdsky"]}},
]
"""


@dataclass
class Hub:
    """A Hub, its proxy, and the service that it runs."""

    url: str
    service_url: str
    proxy_api: str
    proxy_token: str
    admin_token: str
    other_token: str

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, follow_redirects=True, timeout=60.0, trust_env=False)

    def signed_in(self, name: str) -> httpx.Client:
        """A browser that has been through the whole dance."""
        browser = self.browser()
        form = browser.get(f"{PREFIX}/login?next={PREFIX}/api/v1/me")
        assert form.url.path == "/hub/login", form.text
        landed = browser.post(
            str(form.url),
            data={
                "username": name,
                "password": PASSWORD,
                "_xsrf": browser.cookies.get("_xsrf", path="/hub/"),
            },
        )
        assert landed.status_code == 200, landed.text
        assert landed.url.path == f"{PREFIX}/api/v1/me"
        assert landed.json()["name"] == name
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        return browser

    def token(self, name: str, scopes: list[str]) -> str:
        with httpx.Client(trust_env=False, timeout=60.0) as admin:
            headers = {"Authorization": f"token {self.admin_token}"}
            admin.post(f"{self.url}/hub/api/users/{name}", headers=headers)
            made = admin.post(
                f"{self.url}/hub/api/users/{name}/tokens",
                headers=headers,
                json={"scopes": scopes},
            )
        assert made.status_code == 201, made.text
        return str(made.json()["token"])


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, repo_root: Path
) -> Iterator[Hub]:
    pytest_socket = pytest.importorskip("pytest_socket")
    pytest_socket.enable_socket()
    folder = tmp_path_factory.mktemp("hub")
    (folder / "crowdsky.db").write_bytes(sqlite_template.read_bytes())
    try:
        proxy = proxy_command()
    except SettingsError as error:
        pytest.skip(str(error))
    port, service_port, proxy_port = free_port(), free_port(), free_port()
    made = Hub(
        url=f"http://127.0.0.1:{port}",
        service_url=f"http://127.0.0.1:{service_port}",
        proxy_api=f"http://127.0.0.1:{proxy_port}",
        proxy_token=secrets.token_hex(16),
        admin_token=secrets.token_hex(16),
        other_token=secrets.token_hex(16),
    )
    told = {
        "url": made.url,
        "hub_port": free_port(),
        "folder": str(folder),
        "proxy": proxy,
        "proxy_api": made.proxy_api,
        "proxy_token": made.proxy_token,
        "service": made.service_url,
        "service_port": str(service_port),
        "notebook": NOTEBOOK,
        "password": PASSWORD,
        "admin_token": made.admin_token,
        "other_token": made.other_token,
        "environment": {
            "CROWDSKY_HOME": str(folder),
            "CROWDSKY_CACHE_DIR": str(folder / "cache"),
            "PYTHONPATH": str(repo_root),
        },
    }
    (folder / "told.json").write_text(json.dumps(told))
    config = folder / "jupyterhub_config.py"
    config.write_text(CONFIG.format(told=str(folder / "told.json")))
    log = folder / "hub.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(repo_root)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 120
        while True:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < end, log.read_text()[-3000:]
            try:
                health = httpx.get(f"{made.url}{PREFIX}/api/v1/health", trust_env=False)
                if health.status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield made
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


@pytest.fixture(scope="module")
def ann(hub: Hub) -> Iterator[httpx.Client]:
    browser = hub.signed_in("ann")
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def bob(hub: Hub) -> Iterator[httpx.Client]:
    browser = hub.signed_in("bob")
    yield browser
    browser.close()


def session_of(browser: httpx.Client) -> str:
    return next(cookie.value or "" for cookie in browser.cookies.jar if cookie.name == SESSION)


def test_without_a_cookie_there_is_401_and_a_way_to_sign_in(hub: Hub) -> None:
    with hub.browser() as browser:
        refused = browser.get(f"{PREFIX}/api/v1/me")
        assert refused.status_code == 401
        assert refused.json()["error"] == "NotAuthenticated"
        assert "sign in" in refused.json()["message"]
        begun = browser.get(f"{PREFIX}/login", follow_redirects=False)
        assert begun.status_code == 302
        address = urlsplit(begun.headers["location"])
        assert address.path == "/hub/api/oauth2/authorize"
        asked = parse_qs(address.query)
        assert asked["client_id"] == ["service-crowdsky"]
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["state"]


def test_a_user_is_who_the_hub_says(ann: httpx.Client, bob: httpx.Client) -> None:
    for browser, name in ((ann, "ann"), (bob, "bob")):
        told = browser.get(f"{PREFIX}/api/v1/me").json()
        assert (told["name"], told["via"]) == (name, "session")
        assert told["scopes"] == ["account", "read", "write"]
        assert session_of(browser) not in browser.get(f"{PREFIX}/api/v1/me").text


def test_the_cookie_is_out_of_reach_of_scripts_and_other_paths(hub: Hub, ann: httpx.Client) -> None:
    cookie = next(cookie for cookie in ann.cookies.jar if cookie.name == SESSION)
    assert cookie.path == f"{PREFIX}/"
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "lax"
    assert cookie.expires is not None
    assert cookie.expires - time.time() > 86400


def test_the_service_answers_below_its_prefix(hub: Hub, ann: httpx.Client) -> None:
    page = ann.get(f"{PREFIX}/")
    assert page.url.path == f"{PREFIX}/api/docs"
    assert f'href="{PREFIX}/api/docs.css"' in page.text
    assert ann.get(f"{PREFIX}/api/docs.css").status_code == 200
    assert ann.get(f"{PREFIX}/api/openapi.json").status_code == 200


def test_anothers_objects_are_not_found(hub: Hub, ann: httpx.Client, bob: httpx.Client) -> None:
    made = ann.post(f"{PREFIX}/api/v1/keys", json={"name": "of ann"})
    assert made.status_code == 201
    key = made.json()
    refused = bob.delete(f"{PREFIX}/api/v1/keys/{key['id']}")
    assert refused.status_code == 404
    shown = {"Authorization": f"Bearer {key['key']}"}
    with httpx.Client(base_url=hub.url, headers=shown, trust_env=False) as script:
        assert script.get(f"{PREFIX}/api/v1/me").json()["name"] == "ann"
        assert ann.delete(f"{PREFIX}/api/v1/keys/{key['id']}").status_code == 204
        assert script.get(f"{PREFIX}/api/v1/me").status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_from_elsewhere_changes_nothing(ann: httpx.Client, site: str) -> None:
    refused = ann.patch(
        f"{PREFIX}/api/v1/me",
        json={"credit": "Mallory"},
        headers={"Sec-Fetch-Site": site, "Tus-Resumable": "1.0.0"},
    )
    assert refused.status_code == 403
    assert "must come from a page of this site" in refused.json()["message"]
    assert ann.get(f"{PREFIX}/api/v1/me").json()["credit"] == ""


def test_a_browser_that_says_nothing_shows_the_token(hub: Hub, ann: httpx.Client) -> None:
    csrf = ann.get(f"{PREFIX}/api/v1/me").json()["csrf"]
    with httpx.Client(base_url=hub.url, cookies=ann.cookies, trust_env=False) as old:
        bare = old.patch(f"{PREFIX}/api/v1/me", json={"credit": "Ann"})
        assert bare.status_code == 403
        wrong = {"X-CSRF-Token": csrf[::-1]}
        assert old.patch(f"{PREFIX}/api/v1/me", json={}, headers=wrong).status_code == 403
        good = {"X-CSRF-Token": csrf}
        done = old.patch(f"{PREFIX}/api/v1/me", json={"credit": "Ann"}, headers=good)
        assert done.status_code == 200
        assert done.json()["credit"] == "Ann"
        done = old.patch(f"{PREFIX}/api/v1/me", json={"credit": ""}, headers=good)
        assert done.status_code == 200


def test_every_sign_in_is_a_new_session(hub: Hub, bob: httpx.Client) -> None:
    planted = session_of(bob)
    with hub.browser() as victim:
        victim.cookies.set(SESSION, planted, domain="127.0.0.1", path=f"{PREFIX}/")
        form = victim.get(f"{PREFIX}/login?next={PREFIX}/api/v1/me")
        landed = victim.post(
            str(form.url),
            data={
                "username": "carol",
                "password": PASSWORD,
                "_xsrf": victim.cookies.get("_xsrf", path="/hub/"),
            },
        )
        assert landed.json()["name"] == "carol"
        assert planted not in {cookie.value for cookie in victim.cookies.jar}


def test_a_sign_in_that_another_browser_began_is_refused(hub: Hub, ann: httpx.Client) -> None:
    # The address that the Hub sends a browser back to, given to somebody else.
    begun = ann.get(f"{PREFIX}/login", follow_redirects=False)
    back = ann.get(begun.headers["location"], follow_redirects=False)
    assert urlsplit(back.headers["location"]).path == f"{PREFIX}/oauth_callback"
    with hub.browser() as victim:
        refused = victim.get(back.headers["location"])
        assert refused.status_code == 400
        assert "begin again" in refused.json()["message"]
        assert not list(victim.cookies.jar)
    # A state that was used is worth nothing, nor is a code that the Hub never gave.
    assert ann.get(back.headers["location"]).status_code == 200
    assert ann.get(back.headers["location"]).status_code == 400
    begun = ann.get(f"{PREFIX}/login", follow_redirects=False)
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    guess = ann.get(f"{PREFIX}/oauth_callback?code=guess&state={state}")
    assert guess.status_code == 400
    assert "guess" not in guess.text


def test_a_page_and_its_agent_sign_in_at_the_same_moment(hub: Hub, ann: httpx.Client) -> None:
    def under_way() -> set[str]:
        return {cookie.name for cookie in ann.cookies.jar if "sign-in" in cookie.name}

    before = under_way()
    begun = [ann.get(f"{PREFIX}/login", follow_redirects=False) for _ in range(2)]
    assert len(under_way()) == len(before) + 2
    for one in begun:
        assert ann.get(one.headers["location"]).status_code == 200
    assert under_way() == before


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org/", "//example.org/", "/\\example.org", "/\r\nX: 1"]
)
def test_signing_in_leads_nowhere_else(hub: Hub, ann: httpx.Client, elsewhere: str) -> None:
    begun = ann.get(f"{PREFIX}/login", params={"next": elsewhere}, follow_redirects=False)
    back = ann.get(begun.headers["location"], follow_redirects=False)
    landed = ann.get(back.headers["location"], follow_redirects=False)
    assert landed.status_code == 302
    assert landed.headers["location"] == f"{PREFIX}/"


def test_tokens_of_the_hub(hub: Hub) -> None:
    def ask(token: str, method: str = "GET", path: str = "/api/v1/me") -> httpx.Response:
        shown = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, hub.url + PREFIX + path, headers=shown, trust_env=False)

    good = hub.token("dora", ["access:services!service=crowdsky"])
    told = ask(good).json()
    assert (told["name"], told["via"], told["scopes"]) == ("dora", "hub", ["read", "write"])
    assert ask(good, "GET", "/api/v1/keys").status_code == 403
    for bad in (
        hub.token("dora", ["read:users!user=dora"]),  # not for this service
        hub.other_token,  # a service, not a user
        "nonsense",
    ):
        refused = ask(bad)
        assert refused.status_code == 401
        assert refused.json()["message"] == (
            "the key or token is not known, has expired or was revoked"
        )


def test_a_kernel_reaches_the_service(hub: Hub, ann: httpx.Client) -> None:
    headers = {"Authorization": f"token {hub.admin_token}"}
    with httpx.Client(base_url=hub.url, headers=headers, timeout=60, trust_env=False) as admin:
        begun = admin.post("/hub/api/users/ann/server")
        assert begun.status_code in (201, 202), begun.text
        end = time.monotonic() + 60
        while not admin.get("/hub/api/users/ann").json()["servers"].get("", {}).get("ready"):
            assert time.monotonic() < end
            time.sleep(0.1)
        told = ann.get("/user/ann/").json()
        assert (told["name"], told["via"]) == ("ann", "hub")
        admin.delete("/hub/api/users/ann/server")


def test_signing_out(hub: Hub) -> None:
    browser = hub.signed_in("erik")
    copy = session_of(browser)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post(f"{PREFIX}/api/v1/logout", headers=foreign).status_code == 403
    assert browser.post(f"{PREFIX}/api/v1/logout").status_code == 204
    assert SESSION not in {cookie.name for cookie in browser.cookies.jar}
    assert browser.get(f"{PREFIX}/api/v1/me").status_code == 401
    browser.close()
    with hub.browser() as thief:
        thief.cookies.set(SESSION, copy, domain="127.0.0.1", path=f"{PREFIX}/")
        assert thief.get(f"{PREFIX}/api/v1/me").status_code == 401


def test_the_proxy_passes_the_subprotocol_of_a_websocket(hub: Hub) -> None:
    # Pages never come alive behind a proxy that drops it.
    listening = socket.create_server(("127.0.0.1", 0))
    seen: list[str] = []

    def backend() -> None:
        connection, _ = listening.accept()
        with connection:
            seen.append(connection.recv(65536).decode())
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"
                b"Sec-WebSocket-Protocol: v1.kernel.websocket.jupyter.org\r\n\r\n"
            )
            connection.recv(1)

    thread = threading.Thread(target=backend, daemon=True)
    thread.start()
    target = f"http://127.0.0.1:{listening.getsockname()[1]}"
    added = httpx.post(
        f"{hub.proxy_api}/api/routes/ws",
        json={"target": target},
        headers={"Authorization": f"token {hub.proxy_token}"},
        trust_env=False,
    )
    assert added.status_code == 201
    address = urlsplit(hub.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as browser:
        browser.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Protocol: v1.kernel.websocket.jupyter.org\r\n\r\n"
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = browser.recv(65536)
            assert piece, answer
            answer += piece
    thread.join(30)
    listening.close()
    protocol = "sec-websocket-protocol: v1.kernel.websocket.jupyter.org"
    assert protocol in seen[0].lower()
    assert protocol in answer.decode().lower()


def test_the_proxy_is_the_one_of_npm(hub: Hub, repo_root: Path) -> None:
    from importlib.util import find_spec

    assert find_spec("configurable_http_proxy") is None
    package = repo_root / "node_modules/configurable-http-proxy/package.json"
    assert int(json.loads(package.read_text())["version"].split(".")[0]) >= 5


def test_names_of_others_are_not_told(hub: Hub, bob: httpx.Client) -> None:
    known = bob.get(f"{PREFIX}/api/v1/me/ann")
    unknown = bob.get(f"{PREFIX}/api/v1/me/nobody")
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())


def test_the_hub_is_away(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that cannot be checked is no reason to say that it is over."""
    import asyncio

    from crowdsky.api.hub import HubDoor
    from crowdsky.errors import ServiceUnreachable

    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "x")
    monkeypatch.setenv("JUPYTERHUB_CLIENT_ID", "service-crowdsky")
    from jupyterhub.services.auth import HubOAuth

    auth: Any = HubOAuth(api_url=f"http://127.0.0.1:{free_port()}/hub/api")
    with pytest.raises(ServiceUnreachable, match="the Hub does not answer"):
        asyncio.run(HubDoor(auth).name_of("token"))
