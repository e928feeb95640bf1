"""What a service needs to know of a Hub that did not start it.

JupyterHub gives these variables to services that it runs itself (`jupyterhub.services.service`),
and its OAuth client reads them. Ours are run by `crowdsky up`, so that an upload does not end when
the Hub does; here they are told the same.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from crowdsky.supervise.hub_file import HubFile

__all__ = ["hub_environment", "service_prefix"]


def service_prefix(name: str) -> str:
    """Path of a service on the site.

    Examples
    --------
    >>> service_prefix("crowdsky")
    '/services/crowdsky/'
    """
    return f"/services/{name}/"


def hub_environment(facts: HubFile, name: str, *, url: str, token: str) -> dict[str, str]:
    """The variables of one service.

    Parameters
    ----------
    facts : HubFile
    name : str
        As it is registered at the Hub.
    url : str
        Where it shall listen.
    token : str
        Its own token of the Hub.
    """
    prefix = service_prefix(name)
    access = json.dumps(["access:services", f"access:services!service={name}"])
    # With subdomains, pages and service stay on the Hub's own name: only users' servers move away.
    host = _origin(facts.subdomain_host)
    public = _origin(facts.public_url)
    return {
        "JUPYTERHUB_API_TOKEN": token,
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{facts.hub_api_port}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": f"service-{name}",
        "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED": "0",
        "JUPYTERHUB_HOST": host,
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": access,
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{host}{prefix}oauth_callback",
        "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": "[]",
        "JUPYTERHUB_OAUTH_SCOPES": access,
        "JUPYTERHUB_PUBLIC_HUB_URL": f"{public}/hub/",
        "JUPYTERHUB_PUBLIC_URL": f"{public}{prefix}",
        "JUPYTERHUB_SERVICE_NAME": name,
        "JUPYTERHUB_SERVICE_PREFIX": prefix,
        "JUPYTERHUB_SERVICE_URL": url,
    }


def _origin(url: str) -> str:
    """Scheme and host of an address; empty for none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
