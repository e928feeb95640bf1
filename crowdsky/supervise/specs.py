"""What `crowdsky up` runs: Hub and pages, the Prefect server, the service, worker, maintenance."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from crowdsky.settings import ServerSettings
from crowdsky.supervise.child import ChildSpec
from crowdsky.supervise.hub_specs import HubPart
from crowdsky.supervise.ports import HOST

__all__ = ["platform_specs", "prefect_address", "service_address"]


def service_address(settings: ServerSettings) -> str:
    """Where the service answers on this machine."""
    return f"http://{HOST}:{settings.api_port}"


def prefect_address(settings: ServerSettings) -> str:
    """Where Prefect's pages are."""
    if settings.prefect_api_url:
        return settings.prefect_api_url.removesuffix("/api")
    return f"http://{HOST}:{settings.prefect_port}"


def platform_specs(
    settings: ServerSettings,
    overrides: Mapping[str, str],
    *,
    hub: HubPart | None = None,
    prefect_database_url: str = "",
) -> list[list[ChildSpec]]:
    """Lay out the group in waves; those of one wave start together.

    Parameters
    ----------
    settings : ServerSettings
    overrides : mapping of str to str
        Variables that made these settings differ from what the environment says.
    hub : HubPart, optional
        The Hub's part; without one there are neither sign-in nor pages, and API keys alone.
    prefect_database_url : str
        Where Prefect keeps its runs; a SQLite file in the home folder when empty.
    """
    told = overrides if hub is None else hub.service_variables
    site = service_address(settings) if hub is None else hub.service_address
    first = [
        ChildSpec(
            name="service",
            argv=(sys.executable, "-m", "crowdsky.api.serve"),
            variables=told,
            ready_url=f"{site}/api/v1/health",
        )
    ]
    if hub is not None:
        # The Hub looks for its services before it names their routes, so they start together.
        first += [hub.hub, hub.pages]
    if not settings.prefect_api_url:
        first.insert(0, _prefect_server(settings, prefect_database_url))
    flows = {**overrides, **_prefect_client(settings)}
    if hub is not None:
        flows["CROWDSKY_PUBLIC_URL"] = told["CROWDSKY_PUBLIC_URL"]
    worker = ChildSpec(
        name="worker",
        argv=(sys.executable, "-m", "flows.worker"),
        variables=flows,
        ready_text=": ready",  # its first line once its pool is warm
        stop_s=30.0,
    )
    maintenance = ChildSpec(
        name="maintenance",
        argv=(sys.executable, "-m", "flows.maintenance"),
        variables=flows,
    )
    if hub is None:
        return [first, [worker, maintenance]]
    return [[hub.proxy], first, [worker, maintenance, _example_night(settings, overrides)]]


def _example_night(settings: ServerSettings, overrides: Mapping[str, str]) -> ChildSpec:
    return ChildSpec(
        name="example",
        argv=(sys.executable, "-m", "crowdsky.supervise.example_night", str(settings.home)),
        variables=overrides,
        once=True,
    )


def _prefect_server(settings: ServerSettings, database_url: str) -> ChildSpec:
    environ = {
        **_prefect_folder(settings),
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(settings.prefect_port),
        "PREFECT_SERVER_UI_ENABLED": "true",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # Else it writes its pages into its own package, which may not be ours to write.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(settings.home / "prefect" / "ui"),
    }
    if database_url:
        environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database_url
    port = str(settings.prefect_port)
    return ChildSpec(
        name="prefect",
        argv=(
            *(sys.executable, "-m", "prefect", "server", "start"),
            *("--host", HOST, "--port", port),
        ),
        variables=environ,
        ready_url=f"http://{HOST}:{port}/api/health",
    )


def _prefect_client(settings: ServerSettings) -> dict[str, str]:
    url = settings.prefect_api_url or f"http://{HOST}:{settings.prefect_port}/api"
    return {**_prefect_folder(settings), "PREFECT_API_URL": url}


def _prefect_folder(settings: ServerSettings) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_COLORS": "false",
        "DO_NOT_TRACK": "1",
    }
