"""As whom kernels run: each as a user of its own, where this server may choose that.

A server that runs as root gives each kernel a uid that nobody else has, so that kernels can read
neither the server nor each other. That needs a Python that everybody may execute, which one below a
home folder of mode 0700 is not; then, and without root, kernels run as the server's own user, and
what guards the server is `crowdsky.pages_server.own_secrets`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["KernelUsers", "find_kernel_users"]

# Not used by the Hub's servers (20000 and above) nor, by custom, by people (1000 to 9999).
FIRST_UID, LAST_UID = 18000, 18999
_NEEDED = "import crowdsky.pages, ipykernel, ipywidgets"
_PATIENCE_S = 120.0


@dataclass(slots=True)
class KernelUsers:
    """Gives out uids.

    Attributes
    ----------
    apart : bool
        Whether kernels have users of their own.
    reason : str
        Why not; empty if they have.
    """

    apart: bool
    reason: str = ""
    _taken: set[int] = field(default_factory=set)

    def take(self) -> int | None:
        """A uid that no kernel has; None for the server's own."""
        if not self.apart:
            return None
        uid = next(uid for uid in range(FIRST_UID, LAST_UID + 1) if uid not in self._taken)
        self._taken.add(uid)
        return uid

    def give_back(self, uid: int | None) -> None:
        """The kernel of this uid has ended."""
        if uid is not None:
            self._taken.discard(uid)


def popen_options(uid: int | None) -> dict[str, Any]:
    """What `subprocess.Popen` is told, so that a process runs as this user."""
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


def give(path: Path, uid: int | None) -> None:
    """Make a file or folder that of a kernel's user."""
    if uid is not None:
        os.chown(path, uid, uid)


def find_kernel_users(environment: dict[str, str]) -> KernelUsers:
    """Try whether another user can run what a kernel needs.

    Parameters
    ----------
    environment : dict
        As kernels get it.
    """
    if os.name != "posix" or os.geteuid() != 0:
        return KernelUsers(apart=False, reason="the server does not run as root")
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _NEEDED],
            env=environment | {"HOME": "/nonexistent", "IPYTHONDIR": "/nonexistent"},
            cwd="/",
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
            **popen_options(LAST_UID),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return KernelUsers(apart=False, reason=f"other users cannot run {sys.executable} ({error})")
    if tried.returncode:
        last = tried.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        told = last[0] if last else f"status {tried.returncode}"
        return KernelUsers(apart=False, reason=f"other users cannot run {sys.executable} ({told})")
    return KernelUsers(apart=True)
