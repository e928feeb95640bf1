"""What `crowdsky up` tells the Hub, its proxy, and the services behind it."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crowdsky.errors import SettingsError
from crowdsky.supervise import hub_specs
from crowdsky.supervise.hub_environment import hub_environment
from crowdsky.supervise.hub_file import HubFile, hub_file_path, read_hub_file, write_hub_file
from crowdsky.supervise.hub_specs import HubPart, hub_part, public_address
from crowdsky.supervise.options import settings_with
from crowdsky.supervise.proxy_program import proxy_command
from crowdsky.supervise.secret_file import load_secrets
from crowdsky.supervise.specs import platform_specs

pytestmark = [pytest.mark.enable_socket]


def facts(**more: object) -> HubFile:
    told: dict[str, object] = {
        "home": "/srv/crowdsky/hub",
        "bind_url": "http://127.0.0.1:8000",
        "public_url": "http://127.0.0.1:8000",
        "hub_api_port": 8001,
        "proxy_api_port": 8002,
        "proxy_token": "proxy word",
        "cookie_secret": "c0" * 32,
        "crypt_key": "c1" * 32,
        "service_url": "http://127.0.0.1:8642",
        "service_token": "service word",
        "pages_url": "http://127.0.0.1:8643",
        "pages_token": "pages word",
        "supervisor_token": "supervisor word",
        "admins": ("ada",),
        "email": {"host": "mail.example.org", "password": "mail word"},
    }
    return HubFile(**(told | more))  # type: ignore[arg-type]


def test_the_file_is_read_as_it_was_written_and_is_its_owners_only(tmp_path: Path) -> None:
    path = hub_file_path(tmp_path)
    write_hub_file(path, facts())
    assert read_hub_file(path) == facts()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert " word" not in repr(facts())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cannot be read \(.*\); `crowdsky up` writes it"),
        ("{", "cannot be read"),
        ("[]", "must be a table"),
        ('{"home": "/srv"}', "lacks 'bind_url'"),
        ('{"home": "/srv", "tea": 1}', "has a key that nobody knows: tea"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "hub.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        read_hub_file(path)


def test_a_service_is_told_what_the_hub_tells_its_own() -> None:
    told = hub_environment(facts(), "pages", url="http://127.0.0.1:8643", token="pages word")
    # What JupyterHub's client makes of it, in a process that has it.
    source = (
        "import json; from jupyterhub.services.auth import HubOAuth; a = HubOAuth();"
        "print(json.dumps([a.api_url, a.api_token, a.base_url, a.hub_prefix, a.oauth_client_id,"
        " a.oauth_redirect_uri, a.oauth_authorization_url, a.oauth_token_url,"
        " sorted(a.access_scopes), a.cookie_host_prefix_enabled]))"
    )
    plain = {name: value for name, value in os.environ.items() if "JUPYTER" not in name}
    asked = subprocess.run(
        [sys.executable, "-c", source],
        env=plain | told,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(asked.stdout) == [
        "http://127.0.0.1:8001/hub/api",
        "pages word",
        "/services/pages/",
        "/hub/",
        "service-pages",
        "/services/pages/oauth_callback",
        "/hub/api/oauth2/authorize",
        "http://127.0.0.1:8001/hub/api/oauth2/token",
        ["access:services", "access:services!service=pages"],
        False,
    ]


def test_with_subdomains_the_services_stay_on_the_hubs_own_name() -> None:
    told = hub_environment(
        facts(public_url="https://sky.example.org", subdomain_host="https://sky.example.org"),
        "crowdsky",
        url="http://127.0.0.1:8642",
        token="service word",
    )
    assert told["JUPYTERHUB_HOST"] == "https://sky.example.org"
    assert told["JUPYTERHUB_OAUTH_CALLBACK_URL"] == (
        "https://sky.example.org/services/crowdsky/oauth_callback"
    )
    assert told["JUPYTERHUB_PUBLIC_URL"] == "https://sky.example.org/services/crowdsky/"


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, repo_root: Path) -> Path:
    """A site whose scripts are built."""
    site = tmp_path / "site"
    (site / "voila_templates" / "crowdsky" / "static").mkdir(parents=True)
    (site / "voila_templates" / "crowdsky" / "static" / "assets.j2").touch()
    for name in ("hub_config", "notebooks"):
        (site / name).mkdir()
    monkeypatch.setattr(hub_specs, "site_folder", lambda name: site / name)
    monkeypatch.setattr(hub_specs, "proxy_command", lambda: ("node", "proxy.js"))
    return site


def part_of(home: Path, **variables: str) -> HubPart:
    overrides = {"CROWDSKY_HOME": str(home)} | variables
    return hub_part(settings_with(overrides), overrides, load_secrets(home))


def test_who_is_told_which_secret(bundle: Path, tmp_path: Path) -> None:
    secrets = load_secrets(tmp_path)
    part = part_of(tmp_path)
    told = {
        "proxy": part.proxy.variables,
        "hub": part.hub.variables,
        "pages": part.pages.variables,
        "service": part.service_variables,
    }
    holders = {
        "proxy_token": {"proxy"},
        "service_token": {"service"},
        "pages_token": {"pages"},
        "ticket_secret": {"service", "pages"},
        "supervisor_token": set(),
        "cookie_secret": set(),
        "crypt_key": set(),
    }
    for name, wanted in holders.items():
        text = getattr(secrets, name)
        assert {who for who, table in told.items() if text in table.values()} == wanted, name
        for spec in (part.proxy, part.hub, part.pages):
            assert not any(text in word for word in spec.argv), name
    assert part.hub.variables == {"CROWDSKY_HUB_FILE": str(hub_file_path(tmp_path))}


def test_the_order_of_the_group(bundle: Path, tmp_path: Path) -> None:
    overrides = {"CROWDSKY_HOME": str(tmp_path)}
    settings = settings_with(overrides)
    part = hub_part(settings, overrides, load_secrets(tmp_path))
    waves = platform_specs(settings, overrides, hub=part)
    assert [[spec.name for spec in wave] for wave in waves] == [
        ["proxy"],
        ["prefect", "service", "hub", "pages"],
        ["worker", "maintenance", "example"],
    ]
    specs = {spec.name: spec for wave in waves for spec in wave}
    site = "http://127.0.0.1:8000"
    # Through the proxy, so that its routes are there when the platform says that it is ready.
    assert specs["service"].ready_url == f"{site}/services/crowdsky/api/v1/health"
    assert specs["pages"].ready_url == f"{site}/services/pages/health"
    assert specs["hub"].ready_url == f"{site}/hub/api"
    assert specs["example"].once
    for name in ("service", "worker"):
        assert specs[name].variables["CROWDSKY_PUBLIC_URL"] == f"{site}/services/crowdsky"
    # The worker speaks with the database, not with the Hub.
    assert not any(name.startswith("JUPYTERHUB") for name in specs["worker"].variables)


def test_what_the_settings_say_reaches_the_hub(bundle: Path, tmp_path: Path) -> None:
    told = part_of(
        tmp_path,
        CROWDSKY_HUB_PORT="8100",
        CROWDSKY_PAGES_PORT="8101",
        CROWDSKY_API_PORT="8102",
        CROWDSKY_PUBLIC_URL="https://sky.example.org/",
        CROWDSKY_SUBDOMAIN_HOST="https://sky.example.org",
        CROWDSKY_SIGN_UP="approval",
        CROWDSKY_SPAWNER="docker",
        CROWDSKY_OPERATORS="ada, grace",
        CROWDSKY_MINIMUM_PASSWORD="12",
        CROWDSKY_HUB_DATABASE_URL="postgresql://db.example.org/hub",
        CROWDSKY_MAIL_HOST="mail.example.org",
        CROWDSKY_MAIL_SENDER="sky@example.org",
    )
    found = told.facts
    assert found.bind_url == "http://127.0.0.1:8100"
    assert (found.pages_url, found.service_url) == (
        "http://127.0.0.1:8101",
        "http://127.0.0.1:8102",
    )
    assert found.public_url == "https://sky.example.org"
    assert (found.sign_up, found.spawner, found.minimum_password) == ("approval", "docker", 12)
    assert found.admins == ("ada", "grace")
    assert found.database_url == "postgresql://db.example.org/hub"
    assert (found.email["host"], found.email["port"]) == ("mail.example.org", 587)
    assert found.proxy_command == ()  # it is this group's own child
    assert "--host-routing" in told.proxy.argv
    # A proxy that routes by host does not know 127.0.0.1.
    assert told.pages.ready_url == "http://127.0.0.1:8101/services/pages/health"
    assert part_of(tmp_path).facts.email == {}


def test_the_hub_stays_where_it_was_unless_somebody_else_is_there(
    bundle: Path, tmp_path: Path
) -> None:
    first = part_of(tmp_path).facts
    assert first.hub_api_port != first.proxy_api_port
    write_hub_file(hub_file_path(tmp_path), first)
    second = part_of(tmp_path).facts
    assert (second.hub_api_port, second.proxy_api_port) == (
        first.hub_api_port,
        first.proxy_api_port,
    )
    with socket.create_server(("127.0.0.1", first.hub_api_port)):
        assert part_of(tmp_path).facts.hub_api_port != first.hub_api_port


def test_the_sites_address(tmp_path: Path) -> None:
    settings = settings_with({"CROWDSKY_HOME": str(tmp_path), "CROWDSKY_HUB_PORT": "8100"})
    assert public_address(settings) == "http://127.0.0.1:8100"
    told = replace(settings, public_url="https://sky.example.org")
    assert public_address(told) == "https://sky.example.org"


def test_scripts_that_are_not_built_are_told(bundle: Path, tmp_path: Path) -> None:
    (bundle / "voila_templates" / "crowdsky" / "static" / "assets.j2").unlink()
    with pytest.raises(SettingsError, match="the pages' scripts are not built: run `make setup`"):
        part_of(tmp_path)


def test_the_proxy_is_run_by_node_itself(repo_root: Path, tmp_path: Path) -> None:
    node, script = proxy_command()
    assert Path(script) == (
        repo_root / "node_modules/configurable-http-proxy/bin/configurable-http-proxy"
    )
    # The command of that name beside Python is a script that would stand between us and node.
    with Path(node).open("rb") as stream:
        assert stream.read(2) != b"#!"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("v")


def test_a_proxy_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="npm install -g configurable-http-proxy"):
        proxy_command(tmp_path)
