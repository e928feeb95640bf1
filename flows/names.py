"""What runs and artifacts are called."""

from __future__ import annotations

import os
import secrets
import socket

__all__ = ["artifact_key", "batch_run_name", "block_run_name", "worker_name"]

LONGEST = 120
LONGEST_HOST = 60


def worker_name(host: str = "") -> str:
    """``host:pid:random``, so that a worker that was started anew is another one."""
    host = (host or socket.gethostname())[:LONGEST_HOST]
    return f"{host}:{os.getpid()}:{secrets.token_hex(3)}"


def batch_run_name(title: str, batch_id: int, worker: str) -> str:
    """A batch's title, its number and the machine that works on it.

    Examples
    --------
    >>> batch_run_name("M 52, NGC 7380", 12, "attic:4711:9f03aa")
    'M 52, NGC 7380 · batch 12 · attic'
    """
    return f"{_short(title)} · batch {batch_id} · {worker.partition(':')[0]}"


def block_run_name(target: str, label: str) -> str:
    """A block's target and label.

    Examples
    --------
    >>> block_run_name("M 52", "20250326.84_351.2_+61.6_S50-1d3f_IRCUT_10s_g80")
    'M 52 · 20250326.84_351.2_+61.6_S50-1d3f_IRCUT_10s_g80'
    """
    return f"{_short(target) or 'no target'} · {label}"


def artifact_key(kind: str, number: int) -> str:
    """A key as Prefect wants it: lower-case letters, digits and dashes."""
    return f"{kind}-{number}"


def _short(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
