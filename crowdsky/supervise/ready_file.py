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
    address: str,
    prefect: str,
    demo: DemoAccount | None,
    pids: Mapping[str, int],
) -> None:
    """Write the file whole or not at all, readable by its owner only: it may hold a key.

    Parameters
    ----------
    path : Path
        Its folder exists.
    address, prefect : str
        Of the service and of Prefect's pages.
    demo : DemoAccount, optional
    pids : mapping of str to int
        Process numbers at this moment; what dies is started again under another one.
    """
    facts = {
        "address": address,
        "api": f"{address}/api/v1",
        "prefect": prefect,
        "demo": None
        if demo is None
        else {"user": demo.user, "password": demo.password, "api_key": demo.api_key},
        "pids": {"supervisor": os.getpid(), **pids},
    }
    with written_aside(path) as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(json.dumps(facts, indent=2).encode("utf-8") + b"\n")
