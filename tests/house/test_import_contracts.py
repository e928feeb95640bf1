"""Each import contract holds, and each is able to fail: here it is broken on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# contract -> (module that gains a line, the line). A new module is made where there is none.
BREAKERS = {
    "layers": ("frames/telescopes.py", "import crowdsky.pipeline"),
    "core-offline": ("stars/star_list.py", "import socket"),
    "cli-offline": ("cli/stack.py", "import urllib.request"),
    "engine-apart": ("work/__init__.py", "import prefect"),
    "client-apart": ("client/__init__.py", "import sqlalchemy"),
    "pages-apart": ("pages/session.py", "import crowdsky.archive.books"),
    "no-sibling-cycles": ("frames/cards.py", "import crowdsky.frames.header"),
}


def contract_ids(root: Path) -> list[str]:
    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["id"] for contract in config["tool"]["importlinter"]["contracts"]]


@pytest.fixture
def house_copy(repo_root: Path, tmp_path: Path) -> Path:
    """The package's sources and its configuration, to be spoilt at will."""
    for package in ("crowdsky", "flows"):
        shutil.copytree(
            repo_root / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__", "data"),
        )
    shutil.copy(repo_root / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--contract", contract],
        cwd=folder,
        check=False,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_contract_has_a_test_that_breaks_it(repo_root: Path) -> None:
    assert sorted(contract_ids(repo_root)) == sorted(BREAKERS)


@pytest.mark.parametrize("contract", BREAKERS)
def test_a_contract_fails_when_it_is_broken(contract: str, house_copy: Path) -> None:
    sound = lint_imports(house_copy, contract)
    assert sound.returncode == 0, sound.stdout + sound.stderr

    module, line = BREAKERS[contract]
    path = house_copy / "crowdsky" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    broken = lint_imports(house_copy, contract)
    assert broken.returncode == 1, broken.stdout + broken.stderr
    assert "BROKEN" in broken.stdout


def test_a_package_outside_the_layers_is_refused(house_copy: Path) -> None:
    stray = house_copy / "crowdsky" / "attic"
    stray.mkdir()
    (stray / "__init__.py").write_text('"""Nowhere in the layers."""\n', encoding="utf-8")
    refused = lint_imports(house_copy, "layers")
    assert refused.returncode == 1
    assert "attic" in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("pages/session.py", "import crowdsky.pages_server.places"),
        ("pages_server/places.py", "import crowdsky.supervise.ports"),
        ("tickets.py", "import crowdsky.frames.names"),
        ("settings_source.py", "import crowdsky.settings"),
    ],
)
def test_the_layers_of_the_site_hold(module: str, line: str, house_copy: Path) -> None:
    path = house_copy / "crowdsky" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    refused = lint_imports(house_copy, "layers")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "BROKEN" in refused.stdout


def test_an_indirect_import_of_the_network_is_refused(house_copy: Path) -> None:
    helper = house_copy / "crowdsky" / "frames" / "names_service.py"
    helper.write_text("import requests\n", encoding="utf-8")
    user = house_copy / "crowdsky" / "stacking" / "options.py"
    user.write_text(
        f"{user.read_text(encoding='utf-8')}\nimport crowdsky.frames.names_service\n",
        encoding="utf-8",
    )
    refused = lint_imports(house_copy, "core-offline")
    assert refused.returncode == 1
    assert "requests" in refused.stdout
