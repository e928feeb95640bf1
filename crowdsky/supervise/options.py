"""The platform's settings, with those that were given on the command line on top."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crowdsky.errors import SettingsError
from crowdsky.settings import ServerSettings, load_server_settings
from crowdsky.supervise.launch import LAUNCHER, launch_request

__all__ = ["settings_with"]

_PATHS = ("home", "cache_dir", "scratch_dir")


def settings_with(overrides: Mapping[str, str]) -> ServerSettings:
    """What a child sees that is started with these variables.

    Parameters
    ----------
    overrides : mapping of str to str
        Variables (``CROWDSKY_...``) that beat the environment. A home that is named here has its
        own configuration file, so the settings are read anew, by a process that has them.

    Raises
    ------
    SettingsError
        As `load_server_settings` does.
    """
    if not overrides:
        return load_server_settings()
    asked = subprocess.run(
        LAUNCHER,
        input=launch_request([sys.executable, "-m", "crowdsky.supervise.options"], overrides),
        stdout=subprocess.PIPE,
        check=True,
    )
    answer: dict[str, Any] = json.loads(asked.stdout)
    if "error" in answer:
        raise SettingsError(answer["error"])
    for name in _PATHS:
        answer[name] = Path(answer[name])
    return ServerSettings(**(answer | {"operators": tuple(answer["operators"])}))


def _tell() -> None:
    try:
        answer = asdict(load_server_settings())
    except SettingsError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer, default=str))


if __name__ == "__main__":
    _tell()
