"""Parts of the Hub's configuration, without a Hub."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
from traitlets.config import Config

from crowdsky.errors import SettingsError
from hub_config import base, login, look, roles, services
from hub_config.attempts import Attempts
from hub_config.mail import MailServer
from tests.hub_config.hubs import made_facts

MODULES = sorted(
    path.stem
    for path in (Path(base.__file__).parent).glob("*.py")
    if path.stem not in ("__init__", "jupyterhub_config")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_documentation(name: str) -> None:
    module = importlib.import_module(f"hub_config.{name}")
    assert doctest.testmod(module).failed == 0


# --- tries ----------------------------------------------------------------------------------------


def test_tries_come_back_after_the_window() -> None:
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    assert [attempts.take({"ann": 3}, 60) for _ in range(4)] == [0, 0, 0, 60]
    now[0] = 59
    assert attempts.take({"ann": 3}, 60) == 1
    now[0] = 60
    assert attempts.take({"ann": 3}, 60) == 0


def test_one_spent_limit_is_enough_and_takes_nothing_from_the_others() -> None:
    attempts = Attempts(clock=lambda: 0.0)
    assert attempts.take({"a": 1, "b": 2}, 60) == 0
    assert attempts.take({"a": 1, "b": 2}, 60) == 60
    assert [attempts.take({"b": 2}, 60) for _ in range(2)] == [0, 60]


def test_good_tries_do_not_count() -> None:
    attempts = Attempts(clock=lambda: 0.0)
    for _ in range(10):
        assert attempts.take({"a": 2}, 60) == 0
        attempts.give_back({"a": 2})
    assert [attempts.take({"a": 2}, 60) for _ in range(3)] == [0, 0, 60]
    attempts.clear("a")
    assert attempts.take({"a": 2}, 60) == 0


# --- mail -----------------------------------------------------------------------------------------


def test_a_mail_server_needs_a_sender() -> None:
    assert MailServer.of({}) is None
    with pytest.raises(SettingsError, match="needs the sender's address"):
        MailServer.of({"host": "mail.example"})
    made = MailServer.of({"host": "mail.example", "sender": "sky@mail.example", "password": "p4ss"})
    assert made is not None
    assert made.port == 587
    assert "p4ss" not in repr(made)


# --- configuration --------------------------------------------------------------------------------


def test_where_things_listen(tmp_path: Path) -> None:
    c, facts = Config(), made_facts(tmp_path, public_url="https://sky.example")
    base.configure(c, facts)
    assert c.JupyterHub.bind_url == facts.bind_url
    assert (c.JupyterHub.hub_ip, c.JupyterHub.hub_port) == ("127.0.0.1", facts.hub_api_port)
    assert c.JupyterHub.public_url == "https://sky.example/"
    assert c.JupyterHub.cookie_secret == bytes.fromhex(facts.cookie_secret)
    assert c.ConfigurableHTTPProxy.command == list(facts.proxy_command)
    assert "should_start" not in c.ConfigurableHTTPProxy


def test_a_proxy_that_somebody_else_keeps(tmp_path: Path) -> None:
    c = Config()
    base.configure(c, made_facts(tmp_path, proxy_command=()))
    assert c.ConfigurableHTTPProxy.should_start is False
    assert c.JupyterHub.cleanup_proxy is False


def test_users_get_hosts_and_services_do_not(tmp_path: Path) -> None:
    c = Config()
    base.configure(c, made_facts(tmp_path, subdomain_host="https://sky.example"))
    assert c.JupyterHub.subdomain_host == "https://sky.example"
    assert c.JupyterHub.subdomain_hook("ann", "sky.example", "user") == "u-ann-u.sky.example"
    assert c.JupyterHub.subdomain_hook("pages", "sky.example", "service") == "sky.example"


def test_services_are_kept_by_nobody_here(tmp_path: Path) -> None:
    c, facts = Config(), made_facts(tmp_path)
    services.configure(c, facts)
    made = {service["name"]: service for service in c.JupyterHub.services}
    assert sorted(made) == ["crowdsky", "pages", "supervisor"]
    assert not any("command" in service or "admin" in service for service in made.values())
    assert made["crowdsky"]["url"] == facts.service_url
    assert made["pages"]["api_token"] == facts.pages_token
    assert "url" not in made["supervisor"]


def test_nobody_gets_more_than_is_needed(tmp_path: Path) -> None:
    c = Config()
    roles.configure(c, made_facts(tmp_path))
    made = {role["name"]: role for role in c.JupyterHub.load_roles}
    assert not [scope for scope in made["user"]["scopes"] if "shares" in scope or scope == "self"]
    assert all("!" in scope for scope in made["user"]["scopes"])
    assert made["supervisor"]["scopes"] == ["read:hub", "proxy"]
    assert c.Spawner.server_token_scopes == [
        "users:activity!user",
        "access:servers!server",
        "access:services!service=crowdsky",
    ]


@pytest.mark.parametrize(
    ("sign_up", "address", "needed"),
    [
        ("open", "http://127.0.0.1:8000", False),
        ("approval", "http://localhost:8000", False),
        ("closed", "http://127.0.0.1:8000", True),
        ("open", "https://sky.example", True),
        ("open", "http://192.168.1.7:8000", True),
    ],
)
def test_whose_name_is_free(tmp_path: Path, sign_up: str, address: str, needed: bool) -> None:
    c = Config()
    login.configure(c, made_facts(tmp_path, sign_up=sign_up, public_url=address))
    assert c.CrowdSkyAuthenticator.operators_need_link is needed
    assert c.CrowdSkyAuthenticator.check_common_password is True


def test_where_people_land(tmp_path: Path) -> None:
    from jupyterhub.handlers.pages import HomeHandler, RootHandler

    c = Config()
    look.configure(c, made_facts(tmp_path), notice="mind the step")
    assert c.JupyterHub.template_vars["notebook_notice"] == "mind the step"
    assert c.JupyterHub.default_url(RootHandler.__new__(RootHandler)) == "/services/pages/"
    assert c.JupyterHub.default_url(HomeHandler.__new__(HomeHandler)) == "/services/pages/upload"
    assert Path(c.JupyterHub.logo_file).is_file()


def test_the_only_colours_are_those_of_the_theme(repo_root: Path) -> None:
    css = (Path(look.__file__).parent / "templates" / "hub.css").read_text()
    assert not re.findall(r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl)a?\(", css)
    theme = (repo_root / "voila_templates/crowdsky/src/theme.css").read_text()
    used = set(re.findall(r"var\((--cs-[a-z0-9-]+)\)", css))
    assert used - set(re.findall(r"(--cs-[a-z0-9-]+):", theme)) == set()


def test_templates_name_no_other_host() -> None:
    folder = Path(look.__file__).parent / "templates"
    for path in sorted(folder.iterdir()):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", ""), path.name
