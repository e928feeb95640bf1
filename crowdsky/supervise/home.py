"""The folder of everything the platform keeps on this machine, and who holds it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crowdsky.errors import Conflict, SettingsError

__all__ = ["held_home", "make_home"]

_LOCK = "up.lock"
# A group whose supervisor was killed takes a moment to end; see `crowdsky.supervise.guard`.
_LEFTOVERS_S = 30.0


def make_home(home: Path) -> None:
    """Make the folder, open to its owner only.

    Raises
    ------
    SettingsError
        If it cannot be made or belongs to somebody else.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_mode & 0o077:
            home.chmod(0o700)
    except OSError as error:
        raise SettingsError(
            f"CROWDSKY_HOME cannot be made a folder of your own ({error.strerror})",
            file=home,
            name="CROWDSKY_HOME",
        ) from None


@contextmanager
def held_home(home: Path, *, patience_s: float = _LEFTOVERS_S) -> Iterator[int]:
    """Hold the folder for one group of processes.

    Parameters
    ----------
    home : Path
        As `make_home` left it.
    patience_s : float
        How long to wait for the children of a supervisor that was killed.

    Yields
    ------
    int
        The file that carries the lock: a process that inherits it holds the folder too.

    Raises
    ------
    Conflict
        If another supervisor holds it; carries its ``pid``.
    """
    handle = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(handle, home, time.monotonic() + patience_s)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, home: Path, deadline: float) -> None:
    import fcntl

    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _holder(handle)
            if _lives(pid) or time.monotonic() > deadline:
                raise Conflict(
                    f"`crowdsky up` already runs on this folder, as process {pid}; "
                    "stop it, or give another folder with --home or CROWDSKY_HOME",
                    file=home,
                    pid=pid,
                ) from None
            time.sleep(0.1)
        else:
            return


def _holder(handle: int) -> int:
    text = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else 0


def _lives(pid: int) -> bool:
    if pid <= 0:
        return True  # it has the lock and has not said its number yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
