"""The only reader of the environment.

Everything that may differ from one machine to the next is a field of `Settings`; whoever needs one
is handed it, and nobody else looks at ``os.environ``.

============================= ============================ =========================================
variable                      field                        meaning
============================= ============================ =========================================
``CROWDSKY_CACHE_DIR``        ``cache_dir``                where indexes and fetched catalogues live
``CROWDSKY_JOBS``             ``jobs``                     worker processes of ``crowdsky stack``
============================= ============================ =========================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crowdsky.errors import SettingsError

__all__ = ["Settings", "available_cores", "load_settings"]

_MAX_JOBS = 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment decides.

    Attributes
    ----------
    cache_dir : Path
        Absolute. Holds only what can be made again: the blind triangle index, catalogue cones.
    jobs : int
        Worker processes that a command may start when the caller names no number.
    """

    cache_dir: Path
    jobs: int


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    environ : mapping of str to str, optional
        The environment; that of the process when omitted.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        Naming the variable, its value and the rule it breaks.

    Examples
    --------
    >>> load_settings({"CROWDSKY_JOBS": "3"}).jobs
    3
    """
    if environ is None:
        environ = os.environ
    return Settings(
        cache_dir=_absolute_dir(environ, "CROWDSKY_CACHE_DIR"),
        jobs=_whole_number(environ, "CROWDSKY_JOBS", available_cores(), 1, _MAX_JOBS),
    )


def available_cores() -> int:
    """Cores this process may use, which containers and batch systems make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _absolute_dir(environ: Mapping[str, str], name: str) -> Path:
    text = environ.get(name, "").strip()
    if not text:
        # Imported here: platformdirs reads the environment itself, on behalf of this module only.
        from platformdirs import user_cache_path

        return user_cache_path("crowdsky", appauthor=False)
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise _broken(name, text, "must be an absolute path")
    if path.exists() and not path.is_dir():
        raise _broken(name, text, "must be a directory")
    return path


def _whole_number(
    environ: Mapping[str, str], name: str, default: int, least: int, most: int
) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    rule = f"must be a whole number from {least} to {most}"
    try:
        number = int(text)
    except ValueError:
        raise _broken(name, text, rule) from None
    if not least <= number <= most:
        raise _broken(name, text, rule)
    return number


def _broken(name: str, value: str, rule: str) -> SettingsError:
    return SettingsError(f"{name} {rule}", value=value, name=name)
