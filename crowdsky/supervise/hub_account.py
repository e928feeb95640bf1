"""The demo's account at the Hub: a name and a password that people can sign in with.

The Hub's configuration is a folder of the site and no part of this package, and what brings its
database up to date changes how its process logs, so it is asked in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from crowdsky.errors import CrowdSkyError, SettingsError
from crowdsky.pages_server.places import site_folder
from crowdsky.supervise.demo_account import DemoAccount
from crowdsky.supervise.hub_file import HubFile

__all__ = ["ensure_hub_account"]


def ensure_hub_account(facts: HubFile, account: DemoAccount) -> None:
    """See to it that the account can sign in; the Hub does not run yet.

    Parameters
    ----------
    facts : HubFile
    account : DemoAccount

    Raises
    ------
    SettingsError
        If the Hub's database cannot be used.
    """
    told = {
        "folder": facts.home,
        "name": account.user,
        "password": account.password,
        "database_url": facts.database_url,
    }
    asked = subprocess.run(
        [sys.executable, "-m", "crowdsky.supervise.hub_account"],
        input=json.dumps(told),  # a command line is everybody's to read
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        lines = asked.stderr.strip().splitlines() or ["it gave no reason"]
        raise SettingsError(
            f"the Hub's account of the demo cannot be made: {lines[-1]}", file=Path(facts.home)
        )


def main() -> int:
    """Do it, as stdin says."""
    told = json.load(sys.stdin)
    sys.path.append(str(site_folder("hub_config").parent))
    people = import_module("hub_config.people")
    try:
        people.ensure_user(
            Path(told["folder"]),
            told["name"],
            told["password"],
            database_url=told["database_url"],
        )
    except CrowdSkyError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
