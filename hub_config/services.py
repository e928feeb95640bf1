"""The services behind the Hub's proxy, and how they sign people in.

They are kept alive by `crowdsky up`, so none has a ``command`` here: an upload goes on while the
Hub is restarted. Servers that nobody uses end by themselves (`hub_config.spawner`), so no service
that culls them is needed, nor its scopes.
"""

from __future__ import annotations

from typing import Any

from crowdsky.supervise.hub_file import HubFile

__all__ = ["configure"]


def configure(c: Any, facts: HubFile) -> None:
    """Register what is behind ``/services/``."""
    c.JupyterHub.services = [
        {
            "name": name,
            "url": url,
            "api_token": token,
            # They are parts of this site: asking whether they may know who signs in helps nobody.
            "oauth_no_confirm": True,
            "display": False,
        }
        for name, url, token in (
            ("crowdsky", facts.service_url, facts.service_token),
            ("pages", facts.pages_url, facts.pages_token),
        )
    ] + [{"name": "supervisor", "api_token": facts.supervisor_token, "display": False}]
