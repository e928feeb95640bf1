"""Where the Hub and its proxy listen, and what they keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crowdsky.supervise.hub_file import HubFile

__all__ = ["SESSION_DAYS", "configure", "hub_database_url"]

SESSION_DAYS = 14


def configure(c: Any, facts: HubFile) -> None:
    """Addresses, secrets, database and proxy."""
    home = Path(facts.home)
    hub, proxy = c.JupyterHub, c.ConfigurableHTTPProxy
    hub.bind_url = facts.bind_url
    hub.hub_ip, hub.hub_port = "127.0.0.1", facts.hub_api_port
    if facts.public_url and facts.public_url != facts.bind_url:
        hub.public_url = f"{facts.public_url.rstrip('/')}/"
    hub.db_url = hub_database_url(home, facts.database_url)
    hub.upgrade_db = True  # it keeps a copy; a Hub that does not start helps nobody
    hub.pid_file = str(home / "hub.pid")
    hub.cookie_secret = bytes.fromhex(facts.cookie_secret)
    c.CryptKeeper.keys = [bytes.fromhex(facts.crypt_key)]
    # One session is as long at the Hub as at the services, which hold tokens of the Hub.
    hub.cookie_max_age_days = SESSION_DAYS
    hub.tornado_settings = {"cookie_options": {"samesite": "Lax"}}
    # A reverse proxy on this machine says whom it speaks for; nobody else is believed.
    hub.trusted_downstream_ips = ["127.0.0.1", "::1"]
    proxy.api_url = f"http://127.0.0.1:{facts.proxy_api_port}"
    proxy.auth_token = facts.proxy_token
    proxy.pid_file = str(home / "proxy.pid")
    if facts.proxy_command:
        proxy.command = list(facts.proxy_command)
    else:
        # Kept alive by somebody else: uploads go on through it while the Hub is restarted.
        proxy.should_start = False
        hub.cleanup_proxy = False
    if facts.subdomain_host:
        hub.subdomain_host = facts.subdomain_host
        hub.subdomain_hook = subdomain


def hub_database_url(home: Path, given: str = "") -> str:
    """The Hub's own database.

    Examples
    --------
    >>> hub_database_url(Path("/srv/crowdsky/hub"))
    'sqlite:////srv/crowdsky/hub/jupyterhub.sqlite'
    """
    return given or f"sqlite:///{home / 'jupyterhub.sqlite'}"


def subdomain(name: str, domain: str, kind: str) -> str:
    """Hosts of users' servers; the services stay on the Hub's own.

    Names are of small letters, digits and hyphens, so that they may stand in a host's name; what
    may not begin or end with a hyphen gets a letter there, which no other name can give.

    Examples
    --------
    >>> subdomain("ann", "sky.example", "user"), subdomain("pages", "sky.example", "service")
    ('u-ann-u.sky.example', 'sky.example')
    """
    return f"u-{name}-u.{domain}" if kind == "user" else domain


def is_local(address: str) -> bool:
    """Whether only people on this machine can reach an address.

    Examples
    --------
    >>> is_local("http://127.0.0.1:8000"), is_local("https://sky.example")
    (True, False)
    """
    return (urlsplit(address).hostname or "") in ("127.0.0.1", "localhost", "::1")
