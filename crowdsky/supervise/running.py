"""The whole platform on this machine, from an empty folder to everything answering."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crowdsky.settings import ServerSettings
from crowdsky.supervise.demo_account import DemoAccount, demo_account
from crowdsky.supervise.group import Group
from crowdsky.supervise.home import held_home, make_home
from crowdsky.supervise.hub_account import ensure_hub_account
from crowdsky.supervise.hub_environment import service_prefix
from crowdsky.supervise.hub_file import hub_file_path, write_hub_file
from crowdsky.supervise.hub_specs import HubPart, hub_part
from crowdsky.supervise.ports import refuse_taken_port
from crowdsky.supervise.prefect_database import prefect_database
from crowdsky.supervise.ready_file import write_ready_file
from crowdsky.supervise.secret_file import load_secrets
from crowdsky.supervise.specs import platform_specs, prefect_address, service_address

__all__ = ["Platform", "running_platform"]


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that answers.

    Attributes
    ----------
    site : str
        The address that people use.
    addresses : dict
        On this machine: ``address`` of the site, ``api`` of its routes, and ``service``,
        ``prefect``, and where there are a Hub and pages ``hub`` and ``pages``.
    demo : DemoAccount or None
    pids : dict
        Process numbers by name.
    """

    settings: ServerSettings
    site: str
    addresses: dict[str, str]
    demo: DemoAccount | None
    pids: dict[str, int]


@contextmanager
def running_platform(
    settings: ServerSettings,
    overrides: Mapping[str, str],
    *,
    demo: bool,
    with_hub: bool,
    say: Callable[[str], None],
    ready_file: Path | None = None,
) -> Iterator[Platform]:
    """Start the platform, and stop it at the end of the block.

    Parameters
    ----------
    settings : ServerSettings
        What `crowdsky.supervise.options.settings_with` gave for the overrides.
    overrides : mapping of str to str
        Variables that the children get on top of the environment.
    demo : bool
        Whether there shall be a demo account.
    with_hub : bool
        Whether there shall be a Hub and pages.
    say : callable
        Given lines for the operator.
    ready_file : Path, optional
        Written once everything answers, removed at the end.

    Raises
    ------
    Conflict
        If the folder is another platform's; carries its ``pid``.
    SettingsError
        If a port is taken, among others.
    ServiceError
        If a part does not come up.
    """
    make_home(settings.home)
    with held_home(settings.home) as held, _removed(ready_file):
        _refuse_taken_ports(settings, with_hub)
        secrets = load_secrets(settings.home)
        hub = hub_part(settings, overrides, secrets) if with_hub else None
        database_url = _prepare(settings, say)
        account = demo_account(settings.database_url, settings.home) if demo else None
        if hub is not None:
            write_hub_file(hub_file_path(settings.home), hub.facts)
            if account is not None:
                ensure_hub_account(hub.facts, account)
        group = Group(
            platform_specs(settings, overrides, hub=hub, prefect_database_url=database_url),
            settings.home / "logs",
            say,
            held=[held],
        )
        try:
            group.start()
            addresses = _addresses(settings, hub)
            if ready_file is not None:
                write_ready_file(ready_file, addresses=addresses, demo=account, pids=group.pids)
            site = addresses["address"] if hub is None else hub.facts.public_url
            yield Platform(settings, site, addresses, account, group.pids)
        finally:
            group.stop()


def _refuse_taken_ports(settings: ServerSettings, with_hub: bool) -> None:
    ports = [("api", settings.api_port)]
    if with_hub:
        ports += [("hub", settings.hub_port), ("pages", settings.pages_port)]
    if not settings.prefect_api_url:
        ports.append(("prefect", settings.prefect_port))
    for name, port in ports:
        refuse_taken_port(port, variable=f"CROWDSKY_{name.upper()}_PORT", option=f"--{name}-port")


def _addresses(settings: ServerSettings, hub: HubPart | None) -> dict[str, str]:
    service, prefect = service_address(settings), prefect_address(settings)
    if hub is None:
        return {
            "address": service,
            "api": f"{service}/api/v1",
            "service": service,
            "prefect": prefect,
        }
    site = hub.facts.bind_url
    return {
        "address": site,
        "api": f"{site}{service_prefix('crowdsky')}api/v1",
        "service": service,
        "prefect": prefect,
        "hub": f"{site}/hub/",
        "pages": f"{site}{service_prefix('pages')}",
    }


@contextmanager
def _removed(path: Path | None) -> Iterator[None]:
    """Neither before nor after is there a file: it would tell addresses that are no more."""
    if path is not None:
        path.unlink(missing_ok=True)
    try:
        yield
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


def _prepare(settings: ServerSettings, say: Callable[[str], None]) -> str:
    """Bring the database up to date; Prefect's own, as a URL."""
    from crowdsky.archive.migrate import migrate

    migrate(settings.database_url)
    if settings.prefect_api_url:
        return ""
    url, notice = prefect_database(settings.database_url)
    if notice:
        say(notice)
    return url
