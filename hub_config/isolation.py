"""Whether each user's server can be a user of this machine of its own, and whose number it has.

Separate numbers keep the Hub's secrets from notebooks, and people's files from each other. They
need a Hub that may become anybody (root), a Python that anybody can run, and folders that those
numbers can reach. Where one is missing, everybody's notebooks run as whoever runs the Hub: then all
who have an account must be trusted with everything, and both operator and users are told so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FIRST_UID", "Isolation", "end_processes_of", "find_isolation", "uid_of"]

FIRST_UID = 20_000
_LAST_UID = 2_000_000_000
_CHECK_S = 60.0
_LAUNCHER = Path(__file__).resolve().parent / "launch.py"
_NOTICE = (
    "Notebooks of this site all run as one user of its machine: whoever can run one could read the "
    "files of the others, and the site's own. It is meant for people who trust each other."
)


@dataclass(frozen=True, slots=True)
class Isolation:
    """How people's servers are kept apart.

    Attributes
    ----------
    apart : bool
        Whether each has a user number of its own.
    folder : Path
        Where their folders are.
    reason : str
        Why not, for the log; empty if they are apart.
    """

    apart: bool
    folder: Path
    reason: str = ""

    @property
    def notice(self) -> str:
        """What users should know; empty if they are apart."""
        return "" if self.apart else _NOTICE


def find_isolation(home: Path, python: str = sys.executable) -> Isolation:
    """Find out how people can be kept apart on this machine.

    Parameters
    ----------
    home : Path
        The platform's folder, which is open to its owner only. Folders of users that have numbers
        of their own are therefore beside it, in ``<home>-users``.
    python : str
        What runs their servers.
    """
    together = home / "users"
    if sys.platform != "linux":
        return Isolation(False, together, "it is not Linux")
    if os.geteuid() != 0:
        return Isolation(False, together, "the Hub does not run as root")
    folder = home.with_name(f"{home.name}-users")
    try:
        folder.mkdir(mode=0o711, exist_ok=True)
        folder.chmod(0o711)
    except OSError as error:
        return Isolation(False, together, f"{folder} cannot be made ({error.strerror})")
    for part in (folder, *folder.parents):
        if not part.stat().st_mode & 0o001:
            return Isolation(False, together, f"others cannot pass through {part}")
    check = f"import os; os.chdir({str(folder)!r})"
    try:
        ran = subprocess.run(
            [python, str(_LAUNCHER), "{}", python, "-c", check],
            **_as(FIRST_UID),
            cwd="/",
            env={"PATH": os.defpath},
            capture_output=True,
            timeout=_CHECK_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Isolation(False, together, f"others cannot run {python} ({error})")
    if ran.returncode != 0:
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [
            "no reason given"
        ]
        return Isolation(False, together, f"others cannot run {python} ({said[0]})")
    return Isolation(True, folder)


def uid_of(user_id: int) -> int:
    """Number of a user on this machine.

    Raises
    ------
    ValueError
        If it is none that may be given to people.

    Examples
    --------
    >>> uid_of(7)
    20007
    """
    uid = FIRST_UID + user_id
    if not FIRST_UID < uid <= _LAST_UID:
        raise ValueError(f"{user_id} is no number of a user of the Hub")
    return uid


def end_processes_of(uid: int, python: str) -> None:
    """Kill whatever runs as a user, at once, so that it cannot multiply while that is done."""
    if uid <= FIRST_UID:
        raise ValueError(f"{uid} is no number of a user's server")
    subprocess.run(
        [python, "-I", "-S", "-c", "import os, signal; os.kill(-1, signal.SIGKILL)"],
        **_as(uid),
        cwd="/",
        env={},
        stdin=subprocess.DEVNULL,
        timeout=_CHECK_S,
        check=False,
    )


def _as(uid: int) -> dict[str, Any]:
    return {"user": uid, "group": uid, "extra_groups": []}
