"""Pins that no resolver knows of: pairs that install together and do not run together.

That the pinned Prefect server starts with the pinned FastAPI is seen in `tests/flows`, which starts
it, and that a websocket's subprotocol passes the proxy in `tests/api`, which runs one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.house.test_dependencies import bare_name, lock_lines


def locked_version(repo_root: Path, name: str) -> tuple[int, ...]:
    for line in lock_lines(repo_root):
        if bare_name(line) == name:
            return tuple(map(int, re.findall(r"\d+", line.split("==")[1])[:2]))
    raise AssertionError(f"{name} is not in the lock")


def test_prefect_and_fastapi_stay_a_pair(repo_root: Path) -> None:
    assert locked_version(repo_root, "prefect") == (3, 8)
    assert locked_version(repo_root, "fastapi") < (0, 155)


def test_nothing_draws_in_webgl_behind_the_brush(repo_root: Path) -> None:
    # Installed, it keeps bqplot's BrushSelector from sending what was selected.
    assert "bqplot-gl" not in {bare_name(line) for line in lock_lines(repo_root)}


def test_the_proxy_is_the_one_of_npm(repo_root: Path) -> None:
    # The one of PyPI drops the websocket's subprotocol, and pages never come alive.
    assert "configurable-http-proxy" not in {bare_name(line) for line in lock_lines(repo_root)}
    lock = json.loads((repo_root / "package-lock.json").read_text(encoding="utf-8"))
    version = lock["packages"]["node_modules/configurable-http-proxy"]["version"]
    assert int(version.split(".")[0]) >= 5


def test_the_lock_of_npm_names_no_host(repo_root: Path) -> None:
    lock = json.loads((repo_root / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, facts in lock["packages"].items() if "resolved" in facts] == []
