"""What tests and scripts read to learn that the platform answers, and where."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from crowdsky.aside import written_aside
from crowdsky.supervise.demo_account import DemoAccount

__all__ = ["write_ready_file"]


def write_ready_file(
    path: Path,
    *,
    addresses: Mapping[str, str],
    demo: DemoAccount | None,
    pids: Mapping[str, int],
) -> None:
    """Write the file whole or not at all, readable by its owner only: it may hold a key.

    Parameters
    ----------
    path : Path
        Its folder exists.
    addresses : mapping of str to str
        Of the site as ``address``, of its ``api``, and of the parts.
    demo : DemoAccount, optional
    pids : mapping of str to int
        Process numbers at this moment; what dies is started again under another one.
    """
    facts = {
        **addresses,
        "demo": None
        if demo is None
        else {"user": demo.user, "password": demo.password, "api_key": demo.api_key},
        "pids": {"supervisor": os.getpid(), **pids},
    }
    with written_aside(path) as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(json.dumps(facts, indent=2).encode("utf-8") + b"\n")
