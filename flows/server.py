"""Which Prefect server is spoken to."""

from __future__ import annotations

from crowdsky.settings import ServerSettings

__all__ = ["api_url_of", "ui_url_of", "use_server"]


def api_url_of(settings: ServerSettings) -> str:
    """Address of the Prefect server's API: the one that was named, else this machine's own."""
    return settings.prefect_api_url or f"http://127.0.0.1:{settings.prefect_port}/api"


def ui_url_of(api_url: str) -> str:
    """Address of the pages that belong to an API."""
    return api_url.rstrip("/").removesuffix("/api")


def use_server(api_url: str) -> None:
    """Have all threads of this process speak to a server.

    Prefect takes its settings from the environment when it is imported; ours come from
    `crowdsky.settings`. Its documented ways to change them hold for one thread and its context
    only, while events are sent by a thread of their own: so the process-wide default is replaced.
    """
    import prefect.context
    from prefect.context import SettingsContext, get_settings_context

    before = get_settings_context()
    changed = before.settings.copy_with_update(updates={"api.url": api_url})
    prefect.context.GLOBAL_SETTINGS_CONTEXT = SettingsContext(
        profile=before.profile, settings=changed
    )
