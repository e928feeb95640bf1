"""Secrets of one installation, made at its first start and readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from crowdsky.aside import written_aside
from crowdsky.errors import SettingsError

__all__ = ["Secrets", "load_secrets", "save_secrets"]

_NAME = "secrets.json"


def _hex_secret() -> str:
    return secrets.token_hex(32)


_MAKERS: dict[str, Callable[[], str]] = {
    "demo_password": lambda: secrets.token_urlsafe(15),
    **dict.fromkeys(
        (
            "service_token",
            "pages_token",
            "supervisor_token",
            "proxy_token",
            "cookie_secret",
            "crypt_key",
            "ticket_secret",
        ),
        _hex_secret,
    ),
}


@dataclass(frozen=True, slots=True)
class Secrets:
    """What nobody else may know.

    Attributes
    ----------
    demo_password : str
        Of the demo account at the Hub's sign-in.
    demo_api_key : str
        Key of the demo account; the archive keeps its hash alone. Empty until one was made.
    service_token, pages_token, supervisor_token : str
        With which the service, the pages server and `crowdsky up` show the Hub who they are.
    proxy_token : str
        Of the proxy's table of routes.
    cookie_secret, crypt_key : str
        With which the Hub signs its cookies and encrypts what it keeps of a sign-in: 32 bytes in
        hexadecimal. Whoever changes them signs everybody out.
    ticket_secret : str
        Signs the tickets of pages' kernels (`crowdsky.tickets`).
    """

    demo_password: str = field(default="", repr=False)
    demo_api_key: str = field(default="", repr=False)
    service_token: str = field(default="", repr=False)
    pages_token: str = field(default="", repr=False)
    supervisor_token: str = field(default="", repr=False)
    proxy_token: str = field(default="", repr=False)
    cookie_secret: str = field(default="", repr=False)
    crypt_key: str = field(default="", repr=False)
    ticket_secret: str = field(default="", repr=False)


def load_secrets(home: Path) -> Secrets:
    """Read the secrets of an installation; make them at its first start.

    Parameters
    ----------
    home : Path
        The folder that holds ``secrets.json``.

    Raises
    ------
    SettingsError
        If the file is there and cannot be used; it is never written over then.
    """
    path = home / _NAME
    try:
        path.chmod(0o600)
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        table = {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"the secrets cannot be read ({error})", file=path) from None
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise SettingsError("the secrets must be a table of texts", file=path)
    known = {item.name for item in fields(Secrets)}
    found = Secrets(**{name: value for name, value in table.items() if name in known})
    # Also those that a newer version has need of.
    lacking = {name: make() for name, make in _MAKERS.items() if not getattr(found, name)}
    if lacking:
        found = replace(found, **lacking)
        save_secrets(home, found)
    return found


def save_secrets(home: Path, found: Secrets) -> None:
    """Write the secrets whole or not at all, with mode 0600 from the first byte."""
    with written_aside(home / _NAME) as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(json.dumps(asdict(found), indent=2).encode("utf-8") + b"\n")
