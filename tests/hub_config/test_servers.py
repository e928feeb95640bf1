"""Notebook servers: what each has, and what it cannot reach. All run as one user here."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hub_config.hubs import NOTEBOOK, Hub, running, server_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

# One user has JupyterLab, which takes long; the others a stand-in.
COMMAND = f"""
import os, sys
if os.environ["JUPYTERHUB_USER"] == "lab":
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub.singleuser", *sys.argv[1:]])
{NOTEBOOK}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    pytest.importorskip("pytest_socket").enable_socket()
    home = tmp_path_factory.mktemp("home")
    (home / "tutorials").mkdir()
    (home / "tutorials" / "first.ipynb").write_text("{}")
    command = home / "server.py"
    command.write_text(COMMAND)
    extra = f"c.LocalSpawner.cmd = [{sys.executable!r}, {str(command)!r}]\n"
    with running(home, extra, admins=("oper",)) as made:
        yield made


@pytest.fixture(scope="module")
def ann(hub: Hub) -> Iterator[httpx.Client]:
    with hub.signed_up("ann") as browser:
        yield browser


@pytest.fixture(scope="module")
def told(hub: Hub, ann: httpx.Client) -> dict[str, Any]:
    return server_of(ann, "ann", hub)


def test_everybody_has_a_folder(hub: Hub, told: dict[str, Any]) -> None:
    folder = Path(hub.facts.home).parent / "users" / "ann"
    assert told["folder"] == str(folder)
    assert told["mode"] == 0o700
    assert told["environment"]["HOME"] == str(folder)
    assert (folder / "tutorials" / "first.ipynb").read_text() == "{}"


def test_no_secret_of_the_hub_is_in_the_environment(hub: Hub, told: dict[str, Any]) -> None:
    said = "\n".join(f"{name}={value}" for name, value in told["environment"].items())
    facts = hub.facts
    for secret in (facts.proxy_token, facts.cookie_secret, facts.crypt_key, facts.service_token):
        assert secret not in said
    for secret in (facts.pages_token, facts.supervisor_token, "hub.json"):
        assert secret not in said
    names = set(told["environment"])
    # The Hub's process has these; a server is handed a list of names, not whatever there is.
    assert not names & {"CROWDSKY_HUB_FILE", "PYTEST_CURRENT_TEST", "CONFIGPROXY_AUTH_TOKEN"}
    assert told["environment"]["CROWDSKY_SERVER"] == f"{hub.url}/services/crowdsky"


def test_servers_are_limited(told: dict[str, Any]) -> None:
    assert 8 << 30 <= told["address_space"] <= 1 << 50
    assert "NoNewPrivs:\t1" in told["status"]


def test_a_servers_token_is_its_users_and_for_little(
    hub: Hub, ann: httpx.Client, told: dict[str, Any]
) -> None:
    with hub.signed_up("bob"):
        pass
    token = told["environment"]["JUPYTERHUB_API_TOKEN"]
    me = hub.ask(token, "/user").json()
    assert me["name"] == "ann"
    assert set(me["scopes"]) == {
        "access:servers!server=ann/",
        "access:services!service=crowdsky",
        "users:activity!user=ann",
        # What every token tells of whose it is.
        "read:users:activity!user=ann",
        "read:users:groups!user=ann",
        "read:users:name!user=ann",
    }
    # Everybody's list is its own user alone, if it is told at all.
    listed = hub.ask(token, "/users")
    assert listed.status_code in (200, 403)
    if listed.status_code == 200:
        assert [user["name"] for user in listed.json()] == ["ann"]
    for path in ("/users/bob", "/users/bob/tokens", "/groups", "/services", "/proxy", "/info"):
        assert hub.ask(token, path).status_code in (403, 404), path
    for path in ("/users/ann/server", "/users/bob/server", "/users/ann/tokens", "/users"):
        assert hub.ask(token, path, "POST", json={"usernames": ["x"]}).status_code in (403, 404)
    assert hub.ask(token, "/users/ann/server", "DELETE").status_code == 403
    assert hub.ask(token, "/users/ann", "DELETE").status_code in (403, 404)
    assert hub.ask(token, "/shutdown", "POST", json={}).status_code == 403


def test_users_see_and_start_nothing_of_others(hub: Hub, told: dict[str, Any]) -> None:
    with hub.signed_up("carl") as carl:
        for path in ("/hub/spawn/ann", "/hub/spawn-pending/ann", "/hub/api/users/ann"):
            assert carl.get(path).status_code in (403, 404), path
        listed = carl.get("/hub/api/users", headers={"Referer": f"{hub.url}/hub/home"})
        assert listed.status_code == 403 or [user["name"] for user in listed.json()] == ["carl"]


def test_tokens_of_the_services_and_the_supervisor(hub: Hub, told: dict[str, Any]) -> None:
    for token in (hub.facts.service_token, hub.facts.pages_token, hub.facts.supervisor_token):
        assert hub.ask(token, "/users").status_code == 403
        assert hub.ask(token, "/users/ann/server", "POST").status_code in (403, 404)
        assert hub.ask(token, "/shutdown", "POST", json={}).status_code == 403
    assert hub.ask(hub.facts.supervisor_token, "/info").status_code == 200
    assert hub.ask(hub.facts.service_token, "/info").status_code == 403


def test_one_trust_is_told_to_users_and_operators(
    hub: Hub, ann: httpx.Client, told: dict[str, Any]
) -> None:
    # pytest's folders are shut to other users, so nobody can have a number of their own here.
    found = hub.log.read_text()
    assert f"Server of ann runs as user number {os.geteuid()}, not apart from the" in found
    assert "people who trust each other" in ann.get("/hub/home").text


def test_who_is_shut_out_keeps_neither_token_nor_server(hub: Hub) -> None:
    with hub.signed_up("oper") as oper, hub.signed_up("gus") as gus:
        told = server_of(gus, "gus", hub)
        token = told["environment"]["JUPYTERHUB_API_TOKEN"]
        assert hub.ask(token, "/user").json()["name"] == "gus"
        form = re.search(r'name="_xsrf" value="([^"]+)"', oper.get("/hub/authorize").text)
        assert form is not None
        oper.post("/hub/unauthorize/gus", data={"_xsrf": form[1]}).raise_for_status()
        assert hub.ask(token, "/user").status_code == 403
        end = time.monotonic() + 30
        while Path(f"/proc/{told['pid']}/cmdline").exists():
            assert time.monotonic() < end, hub.log.read_text()[-5000:]
            time.sleep(0.1)


def test_jupyterlab_is_its_users_alone(hub: Hub) -> None:
    with hub.signed_up("lab") as lab, hub.signed_up("nosy") as nosy:
        lab.get("/hub/user-redirect/lab")
        end = time.monotonic() + 150
        while True:
            page = lab.get("/user/lab/lab")
            if "jupyter-config-data" in page.text:
                break
            assert time.monotonic() < end, hub.log.read_text()[-5000:]
            time.sleep(0.5)
        assert '"hubUser": "lab"' in page.text
        refused = nosy.get("/user/lab/lab")
        assert refused.status_code == 403
        assert "jupyter-config-data" not in refused.text
        with hub.browser() as anonymous:
            assert anonymous.get("/user/lab/lab").url.path == "/hub/login"
            assert anonymous.get("/user/lab/api/contents").status_code == 403
        log = Path(hub.facts.home).parent / "users" / "lab" / ".notebook-server.log"
        assert "LabApp" in log.read_text() or "ServerApp" in log.read_text()
        assert "Unrecognized" not in log.read_text()
