"""`crowdsky.settings` is the only reader of the environment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

READERS = {"environ", "environb", "getenv", "getenvb"}


def reads_environment(source: str) -> bool:
    """Whether a module mentions os.environ or os.getenv in any way."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in READERS:
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            return any(alias.name in READERS for alias in node.names)
    return False


@pytest.mark.parametrize(
    "source",
    ["import os\nos.environ['A']", "import os as o\no.getenv('A')", "from os import environ as e"],
)
def test_the_check_sees_a_reader(source: str) -> None:
    assert reads_environment(source)


def test_only_settings_reads_the_environment(repo_root: Path) -> None:
    readers = [
        path.relative_to(repo_root).as_posix()
        for package in ("crowdsky", "flows")
        for path in sorted((repo_root / package).rglob("*.py"))
        if reads_environment(path.read_text(encoding="utf-8"))
    ]
    assert readers == ["crowdsky/settings.py"]
