"""Logs of the children, each bounded in size."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["LOG_BYTES", "last_line", "open_log", "turn_log"]

LOG_BYTES = 10_000_000


def open_log(path: Path) -> int:
    """Open a log to append to; returns the file's number, which the caller closes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def turn_log(path: Path, limit_bytes: int = LOG_BYTES) -> bool:
    """Copy a log that has grown too long to ``NAME.1`` and empty it.

    The child goes on writing: its file is open for appending, so it begins again at the start. A
    line that it writes in the very moment between copy and emptying is lost.

    Returns
    -------
    bool
        Whether it was turned.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)
    except FileNotFoundError:
        return False
    except OSError:
        # A full disk must not end the supervision; without a copy the log itself is given up.
        os.truncate(path, 0)
    return True


def last_line(path: Path, n_bytes: int = 4096) -> str:
    """The last line with anything on it; empty where there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - n_bytes))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
