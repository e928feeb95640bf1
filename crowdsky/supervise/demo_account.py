"""The account of the demo: an observer, a password for pages, a key for scripts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.engine import Archive
from crowdsky.archive.keys import create_key, find_key, list_keys, revoke_key
from crowdsky.supervise.secret_file import load_secrets, save_secrets

__all__ = ["DemoAccount", "demo_account"]

_USER = "demo"
_KEY_NAME = "demo"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """What a visitor of the demo signs in with."""

    user: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)


def demo_account(database_url: str, home: Path) -> DemoAccount:
    """Make the demo's account, or find the one that was made before.

    Parameters
    ----------
    database_url : str
        Of a migrated archive.
    home : Path
        Folder of the secrets, where the key is kept: the archive knows its hash only.

    Raises
    ------
    ArchiveUnavailable, SettingsError
    """
    secrets = load_secrets(home)
    archive = Archive(database_url)
    try:
        observer_id = ensure_observer(archive, _USER)
        facts = find_key(archive, secrets.demo_api_key)
        if facts is None or facts.observer_id != observer_id:
            # A key whose text is lost (another home, a restored database) is of no use to anybody.
            for key in list_keys(archive, observer_id):
                if key.name == _KEY_NAME and key.revoked_utc is None:
                    revoke_key(archive, observer_id, key.key_id)
            _, text = create_key(archive, observer_id, _KEY_NAME, scopes=("read", "write"))
            secrets = replace(secrets, demo_api_key=text)
            save_secrets(home, secrets)
    finally:
        archive.close()
    return DemoAccount(_USER, secrets.demo_password, secrets.demo_api_key)
