"""The guard: a small process that ends the group when its supervisor is gone.

A supervisor that is killed with SIGKILL cannot stop its children. The guard reads from a pipe that
the supervisor holds; when the system closes it, the guard stops every process group it was told of.
It works on every POSIX system, reaches the children of children, and does not mind which thread of
the supervisor started them, which the death signal of Linux (PR_SET_PDEATHSIG) does.

Lines on stdin: ``+PGID`` to look after a process group, ``-PGID`` when it has ended.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

__all__ = ["GRACE_S", "end_groups"]

# What a service and a worker get to close their files and give back their leases.
GRACE_S = 15.0


def end_groups(groups: set[int], grace_s: float) -> None:
    """Stop process groups: SIGTERM, and SIGKILL for what is left after `grace_s` seconds."""
    for group in groups:
        _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while groups and time.monotonic() < deadline:
        time.sleep(0.05)
        groups = {group for group in groups if _signal(group, 0)}
    for group in groups:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Whether there was anybody to get it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _guard(grace_s: float) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        with suppress(ValueError):
            (groups.add if line[:1] == "+" else groups.discard)(int(line[1:]))
    end_groups(groups, grace_s)


if __name__ == "__main__":
    _guard(float(sys.argv[1]) if len(sys.argv) > 1 else GRACE_S)
