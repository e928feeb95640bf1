"""The Hub's part of the group: its proxy, the Hub itself, and the server of the pages.

The proxy is a child of its own, not the Hub's: JupyterHub starts one in a session that no end of
the Hub would reach, and a Hub that is restarted would take every upload through it along.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crowdsky.errors import SettingsError
from crowdsky.pages_server.places import site_folder
from crowdsky.settings import ServerSettings
from crowdsky.supervise.child import ChildSpec
from crowdsky.supervise.hub_environment import hub_environment, service_prefix
from crowdsky.supervise.hub_file import HubFile, hub_file_path, read_hub_file
from crowdsky.supervise.ports import HOST, free_port, refuse_taken_port
from crowdsky.supervise.proxy_program import proxy_command
from crowdsky.supervise.secret_file import Secrets

__all__ = ["HubPart", "hub_part", "public_address"]

PAGES, SERVICE = "pages", "crowdsky"
_KEEP_ALIVE_MS = 75_000  # as the service: whoever stands in front closes connections, not we


@dataclass(frozen=True, slots=True)
class HubPart:
    """What the group gets for the Hub.

    Attributes
    ----------
    facts : HubFile
        For the Hub, still to be written.
    proxy, hub, pages : ChildSpec
    service_address : str
        Where the service is asked whether the site reaches it.
    service_variables : dict
        What the service has to know to sign people in, and to take their pages' tickets.
    """

    facts: HubFile
    proxy: ChildSpec
    hub: ChildSpec
    pages: ChildSpec
    service_address: str
    service_variables: dict[str, str] = field(repr=False)


def public_address(settings: ServerSettings) -> str:
    """The site's address as people use it."""
    alone = f"http://{HOST}:{settings.api_port}"
    if settings.public_url != alone:
        return settings.public_url
    return f"http://{HOST}:{settings.hub_port}"


def hub_part(settings: ServerSettings, overrides: Mapping[str, str], secrets: Secrets) -> HubPart:
    """Lay it out.

    Parameters
    ----------
    settings : ServerSettings
    overrides : mapping of str to str
        Variables that made these settings differ from what the environment says.
    secrets : Secrets

    Raises
    ------
    SettingsError
        If the proxy, the Hub's configuration or the pages' files are not there.
    """
    facts = _facts(settings, secrets)
    address = public_address(settings)
    common = {**overrides, "CROWDSKY_TICKET_SECRET": secrets.ticket_secret}
    return HubPart(
        facts=facts,
        proxy=_proxy(settings, facts),
        hub=_hub(settings, facts),
        pages=_pages(facts, common),
        service_address=_asked_at(facts, facts.service_url, SERVICE),
        service_variables={
            **common,
            "CROWDSKY_PUBLIC_URL": f"{address}{service_prefix(SERVICE).rstrip('/')}",
            **hub_environment(facts, SERVICE, url=facts.service_url, token=facts.service_token),
        },
    )


def _facts(settings: ServerSettings, secrets: Secrets) -> HubFile:
    email = {
        "host": settings.mail_host,
        "port": settings.mail_port,
        "sender": settings.mail_sender,
        "user": settings.mail_user,
        "password": settings.mail_password,
    }
    hub_api_port, proxy_api_port = _own_ports(hub_file_path(settings.home))
    return HubFile(
        home=str(settings.home / "hub"),
        bind_url=f"http://{HOST}:{settings.hub_port}",
        public_url=public_address(settings),
        hub_api_port=hub_api_port,
        proxy_api_port=proxy_api_port,
        proxy_token=secrets.proxy_token,
        cookie_secret=secrets.cookie_secret,
        crypt_key=secrets.crypt_key,
        service_url=f"http://{HOST}:{settings.api_port}",
        service_token=secrets.service_token,
        pages_url=f"http://{HOST}:{settings.pages_port}",
        pages_token=secrets.pages_token,
        supervisor_token=secrets.supervisor_token,
        database_url=settings.hub_database_url,
        admins=settings.operators,
        sign_up=settings.sign_up,
        minimum_password=settings.minimum_password,
        email=email if settings.mail_host else {},
        spawner=settings.spawner,
        subdomain_host=settings.subdomain_host,
        notebooks_folder=str(site_folder("notebooks")),
    )


def _own_ports(path: Path) -> tuple[int, int]:
    """Two ports that only parts of the site use; those of the last time, where they are free.

    Somebody's notebooks that outlived a crash of everything look for the Hub where it was.
    """
    try:
        last = read_hub_file(path)
        ports = (last.hub_api_port, last.proxy_api_port)
        for port in ports:
            refuse_taken_port(port, variable="", option="")
    except SettingsError:
        return free_port(), free_port()
    return ports


def _proxy(settings: ServerSettings, facts: HubFile) -> ChildSpec:
    hub = f"http://{HOST}:{facts.hub_api_port}"
    argv = [
        *proxy_command(),
        *("--ip", HOST, "--port", str(settings.hub_port)),
        *("--api-ip", HOST, "--api-port", str(facts.proxy_api_port)),
        # Until the Hub has named its routes, and where it has named none, it is asked itself.
        *("--default-target", hub, "--error-target", f"{hub}/hub/error"),
        *("--keep-alive-timeout", str(_KEEP_ALIVE_MS), "--log-level", "warn"),
    ]
    if facts.subdomain_host:
        argv.append("--host-routing")
    return ChildSpec(
        name="proxy",
        argv=tuple(argv),
        variables={"CONFIGPROXY_AUTH_TOKEN": facts.proxy_token},
        ready_url=f"{facts.bind_url}/_chp_healthz",
        stop_s=5.0,
        restarted=lambda: _routes_are_back(facts),
    )


def _hub(settings: ServerSettings, facts: HubFile) -> ChildSpec:
    config = site_folder("hub_config") / "jupyterhub_config.py"
    return ChildSpec(
        name="hub",
        # A database of an older version is brought up to date, after a copy was made of it.
        argv=(sys.executable, "-m", "jupyterhub", "--upgrade-db", "-f", str(config)),
        variables={"CROWDSKY_HUB_FILE": str(hub_file_path(settings.home))},
        ready_url=f"{facts.bind_url}/hub/api",
        stop_s=30.0,  # it ends notebooks
    )


def _pages(facts: HubFile, common: Mapping[str, str]) -> ChildSpec:
    _need_bundle()
    return ChildSpec(
        name="pages",
        argv=(sys.executable, "-m", "crowdsky.pages_server"),
        variables={
            **common,
            **hub_environment(facts, PAGES, url=facts.pages_url, token=facts.pages_token),
        },
        ready_url=f"{_asked_at(facts, facts.pages_url, PAGES)}/health",
    )


def _need_bundle() -> None:
    static = site_folder("voila_templates") / "crowdsky" / "static"
    if not (static / "assets.j2").is_file():
        raise SettingsError(
            "the pages' scripts are not built: run `make setup` in the checkout "
            "(it runs `npm run build`); `crowdsky up --no-hub` does without pages",
            file=static,
        )


def _asked_at(facts: HubFile, listens: str, name: str) -> str:
    """Address of a service: through the proxy, unless that goes by the name of the host."""
    through = listens if facts.subdomain_host else facts.bind_url
    return f"{through}{service_prefix(name).rstrip('/')}"


def _routes_are_back(facts: HubFile) -> bool:
    """Have the Hub tell a new proxy its routes; else it would look only every few minutes."""
    import httpx

    try:
        answer = httpx.post(
            f"http://{HOST}:{facts.hub_api_port}/hub/api/proxy",
            headers={"Authorization": f"token {facts.supervisor_token}"},
            timeout=5.0,
            trust_env=False,
        )
    except httpx.HTTPError:
        return False
    return answer.is_success
