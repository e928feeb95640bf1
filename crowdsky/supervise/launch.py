"""Become another program, with variables added to the environment that was inherited.

``python -m crowdsky.supervise.launch`` reads ``{"argv": [...], "environ": {...}}`` from stdin. So
values, passwords among them, are never on a command line, and the supervisor's own environment is
neither read nor changed (`crowdsky.settings` alone reads it).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

__all__ = ["LAUNCHER", "launch_request"]

LAUNCHER = (sys.executable, "-m", "crowdsky.supervise.launch")


def launch_request(argv: Sequence[str], environ: Mapping[str, str]) -> bytes:
    """What the launcher is told.

    Parameters
    ----------
    argv : sequence of str
        The program, by its path, and its arguments.
    environ : mapping of str to str
        Variables on top of those inherited.
    """
    return json.dumps({"argv": list(argv), "environ": dict(environ)}).encode("utf-8")


def _launch() -> None:
    request = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name, value in request["environ"].items():
        os.putenv(name, value)  # for the program that follows, which inherits it
    os.execv(request["argv"][0], request["argv"])


if __name__ == "__main__":
    _launch()
