"""Where the folders beside the package are: notebooks, templates, the Hub's configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import crowdsky
from crowdsky.errors import SettingsError

__all__ = ["site_folder"]


def site_folder(name: str) -> Path:
    """A folder of the site: beside the package in a checkout, else where a wheel has put it.

    Parameters
    ----------
    name : str
        ``notebooks``, ``voila_templates``, ``hub_config`` or ``tutorials``.

    Raises
    ------
    SettingsError
        If it is in neither place.
    """
    package = Path(crowdsky.__file__).resolve().parent
    places = (package.parent / name, Path(sys.prefix) / "share" / "crowdsky" / name)
    for place in places:
        if place.is_dir():
            return place
    raise SettingsError(f"the folder '{name}' is not there; looked for {places[0]}, {places[1]}")
