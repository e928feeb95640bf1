"""What the package needs is declared, justified, pinned, and nothing more."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

# Named by another library, or by a command, and never imported here.
SILENT = {"bqplot", "httptools", "ipykernel", "ipywidgets", "jupyterlab", "psycopg", "uvloop"}

# distribution -> the name it is imported by, where they differ
IMPORT_NAMES = {
    "astropy-healpix": "astropy_healpix",
    "ipython": "IPython",
    "jupyter-server": "jupyter_server",
    "jupyterhub-nativeauthenticator": "nativeauthenticator",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyerfa": "erfa",
}


@pytest.fixture(scope="module")
def project(repo_root: Path) -> dict[str, Any]:
    return tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))


def bare_name(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0].lower()


def core(project: dict[str, Any]) -> list[str]:
    return [bare_name(item) for item in project["project"]["dependencies"]]


def extras(project: dict[str, Any]) -> list[str]:
    groups = project["project"]["optional-dependencies"].values()
    names = {bare_name(item) for group in groups for item in group}
    return sorted(names - {project["project"]["name"]})


def imported_packages(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"crowdsky", "flows", "hub_config"}


def test_what_is_imported_is_declared_and_the_other_way_round(
    project: dict[str, Any], repo_root: Path
) -> None:
    declared = {IMPORT_NAMES.get(name, name) for name in core(project) + extras(project)}
    folders = (repo_root / name for name in ("crowdsky", "flows", "hub_config"))
    imported = set[str]().union(*map(imported_packages, folders))
    assert imported | SILENT == declared


def justified(repo_root: Path, *, npm: bool) -> list[str]:
    text = (repo_root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("\n## Dependencies")[2].partition("\n## ")[0]
    tables = [part for part in section.split("\n\n") if part.lstrip().startswith("|")]
    rows = "\n".join(part for part in tables if part.lstrip().startswith("| npm |") == npm)
    return sorted(re.findall(r"^\| `([a-z0-9@/-]+)` \| \S.*\|$", rows, re.MULTILINE))


def test_every_npm_package_is_justified(repo_root: Path) -> None:
    package = json.loads((repo_root / "package.json").read_text(encoding="utf-8"))
    named = [*package["dependencies"], *package["devDependencies"]]
    assert justified(repo_root, npm=True) == sorted(named)
    locked = json.loads((repo_root / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name in named if f"node_modules/{name}" not in locked["packages"]] == []


def test_every_dependency_is_justified(project: dict[str, Any], repo_root: Path) -> None:
    development = [bare_name(item) for item in project["dependency-groups"]["dev"]]
    assert justified(repo_root, npm=False) == sorted(core(project) + extras(project) + development)


def lock_lines(repo_root: Path) -> list[str]:
    lines = (repo_root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_lock_pins_everything_and_names_no_host(repo_root: Path) -> None:
    for line in lock_lines(repo_root):
        assert re.fullmatch(r"[a-z0-9.-]+==[0-9][\w.+!]*( ; [^/@]+)?", line), line


def test_the_lock_holds_what_is_declared(project: dict[str, Any], repo_root: Path) -> None:
    locked = {bare_name(line) for line in lock_lines(repo_root)}
    wanted = (
        core(project)
        + extras(project)
        + [bare_name(item) for item in project["dependency-groups"]["dev"]]
    )
    assert [name for name in wanted if name not in locked] == []


def test_the_project_file_names_no_registry(repo_root: Path) -> None:
    for name in ("pyproject.toml", "Makefile", "requirements.lock", ".ci/run"):
        text = (repo_root / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|index-url\s*=|find-links\s*=", text), name
