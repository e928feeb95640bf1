"""What the Hub is told by its supervisor, in one file: addresses, tokens, and how people sign up.

The Hub's configuration (`hub_config`) is Python that JupyterHub runs in a process of its own. It
reads this file and nothing else, so that settings are read in one place only and no secret is on a
command line or in an environment that notebooks could inherit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from crowdsky.aside import written_aside
from crowdsky.errors import SettingsError

__all__ = ["HubFile", "hub_file_path", "read_hub_file", "write_hub_file"]


@dataclass(frozen=True, slots=True)
class HubFile:
    """The Hub's facts.

    Attributes
    ----------
    home : str
        Folder of what the Hub keeps; absolute.
    bind_url, public_url : str
        Where its proxy listens, and the address that people use.
    hub_api_port, proxy_api_port : int
        On 127.0.0.1: the Hub itself, and the proxy's table of routes.
    proxy_token, cookie_secret, crypt_key : str
        Of the proxy's table; what signs cookies, and what encrypts sign-ins' state. The latter two
        are 64 hexadecimal digits.
    service_url, service_token, pages_url, pages_token : str
        The two services behind the proxy: where they listen on this machine, and their Hub tokens.
    supervisor_token : str
        With which `crowdsky up` asks the Hub.
    proxy_command : tuple of str
        With which the Hub shall start its proxy; empty where somebody else keeps the proxy alive,
        as `crowdsky up` does: then an upload through it does not notice that the Hub is restarted.
    database_url : str
        Of the Hub's own database; empty for a SQLite file in `home`.
    admins : tuple of str
    sign_up : str
        ``open``, ``approval`` or ``closed``.
    minimum_password : int
        Characters.
    email : dict
        ``host``, ``port``, ``sender``, ``user``, ``password`` of the mail server; empty without
        one.
    spawner : str
        ``local``, ``docker`` or ``kube``.
    subdomain_host : str
        Where each user's server has a name of its own; empty if none has.
    notebooks_folder : str
        Absolute.
    templates_public : str
        Path, on the site, of the files that the Hub's own pages may use.
    """

    home: str
    bind_url: str
    public_url: str
    hub_api_port: int
    proxy_api_port: int
    proxy_token: str = field(repr=False)
    cookie_secret: str = field(repr=False)
    crypt_key: str = field(repr=False)
    service_url: str
    service_token: str = field(repr=False)
    pages_url: str
    pages_token: str = field(repr=False)
    supervisor_token: str = field(repr=False)
    proxy_command: tuple[str, ...] = ()
    database_url: str = field(default="", repr=False)
    admins: tuple[str, ...] = ()
    sign_up: str = "open"
    minimum_password: int = 10
    email: Mapping[str, Any] = field(default_factory=dict, repr=False)
    spawner: str = "local"
    subdomain_host: str = ""
    notebooks_folder: str = ""
    templates_public: str = "/services/pages/static"


def hub_file_path(home: Path) -> Path:
    """Where the file lies in the platform's folder."""
    return home / "hub" / "hub.json"


def write_hub_file(path: Path, facts: HubFile) -> None:
    """Write the file whole or not at all, with mode 0600 from the first byte.

    Raises
    ------
    SettingsError
        If the folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with written_aside(path) as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(json.dumps(asdict(facts), indent=2).encode("utf-8") + b"\n")
    except OSError as error:
        raise SettingsError(
            f"the Hub's file cannot be written ({error.strerror})", file=path
        ) from None


def read_hub_file(path: Path) -> HubFile:
    """Read the file.

    Raises
    ------
    SettingsError
        If it is not there, is no such table, lacks a key or has one that nobody knows.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the Hub's file cannot be read ({error}); `crowdsky up` writes it", file=path
        ) from None
    if not isinstance(table, dict):
        raise SettingsError("the Hub's file must be a table", file=path)
    known = {item.name for item in fields(HubFile)}
    for name in sorted(table.keys() - known):
        raise SettingsError(f"the Hub's file has a key that nobody knows: {name}", file=path)
    for name in ("proxy_command", "admins"):
        if name in table:
            table[name] = tuple(table[name])
    try:
        return HubFile(**table)
    except TypeError as error:
        lacking = str(error).partition(": ")[2] or str(error)
        raise SettingsError(f"the Hub's file lacks {lacking}", file=path) from None
