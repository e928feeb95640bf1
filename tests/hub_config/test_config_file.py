"""The file that JupyterHub reads: found wherever it lies, clear about what it lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from crowdsky.supervise.hub_file import hub_file_path, write_hub_file
from tests.hub_config.hubs import CONFIG, made_facts

pytestmark = [pytest.mark.slow]


def test_the_configuration_is_found_wherever_it_lies(tmp_path: Path) -> None:
    """As a wheel lays it: below <prefix>/share/crowdsky, with nothing of the checkout beside it."""
    place = tmp_path / "share" / "crowdsky" / "hub_config"
    shutil.copytree(CONFIG.parent, place, ignore=shutil.ignore_patterns("__pycache__"))
    write_hub_file(hub_file_path(tmp_path), made_facts(tmp_path, admins=("oper",)))
    config = str(place / "jupyterhub_config.py")
    # Without CROWDSKY_HUB_FILE it reads what `crowdsky up` wrote last.
    ran = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "-f", config, "--show-config"],
        env={"PATH": os.defpath, "CROWDSKY_HOME": str(tmp_path)},
        cwd=tempfile.gettempdir(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "landing" in ran.stdout
    assert str(place / "templates") in ran.stdout


def test_a_hub_without_its_file_says_what_to_do(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "jupyterhub", "-f", str(CONFIG)],
        env={"PATH": os.defpath, "CROWDSKY_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode != 0
    assert "`crowdsky up` writes it" in ran.stderr
