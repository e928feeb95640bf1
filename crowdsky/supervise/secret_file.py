"""Secrets of one installation, made at its first start and readable by its owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from crowdsky.aside import written_aside
from crowdsky.errors import SettingsError

__all__ = ["Secrets", "load_secrets", "save_secrets"]

_NAME = "secrets.json"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What nobody else may know.

    Attributes
    ----------
    demo_password : str
        Of the demo account at the Hub's sign-in.
    demo_api_key : str
        Key of the demo account; the archive keeps its hash alone. Empty until one was made.
    """

    demo_password: str = field(default="", repr=False)
    demo_api_key: str = field(default="", repr=False)


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
    if not found.demo_password:
        found = replace(found, demo_password=secrets.token_urlsafe(15))
        save_secrets(home, found)
    return found


def save_secrets(home: Path, found: Secrets) -> None:
    """Write the secrets whole or not at all, with mode 0600 from the first byte."""
    with written_aside(home / _NAME) as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(json.dumps(asdict(found), indent=2).encode("utf-8") + b"\n")
