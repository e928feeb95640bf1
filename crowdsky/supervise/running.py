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
    address : str
        Of the service on this machine; its routes are below ``/api/v1``.
    prefect : str
        Of Prefect's pages.
    demo : DemoAccount or None
    pids : dict
        Process numbers by name.
    """

    settings: ServerSettings
    address: str
    prefect: str
    demo: DemoAccount | None
    pids: dict[str, int]


@contextmanager
def running_platform(
    settings: ServerSettings,
    overrides: Mapping[str, str],
    *,
    demo: bool,
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
        refuse_taken_port(settings.api_port, variable="CROWDSKY_API_PORT", option="--api-port")
        if not settings.prefect_api_url:
            refuse_taken_port(
                settings.prefect_port, variable="CROWDSKY_PREFECT_PORT", option="--prefect-port"
            )
        load_secrets(settings.home)
        database_url = _prepare(settings, say)
        account = demo_account(settings.database_url, settings.home) if demo else None
        group = Group(
            platform_specs(settings, overrides, prefect_database_url=database_url),
            settings.home / "logs",
            say,
            held=[held],
        )
        try:
            group.start()
            address, prefect = service_address(settings), prefect_address(settings)
            if ready_file is not None:
                write_ready_file(
                    ready_file, address=address, prefect=prefect, demo=account, pids=group.pids
                )
            yield Platform(settings, address, prefect, account, group.pids)
        finally:
            group.stop()


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
