"""Version, licence and credits say the same wherever they are said."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import yaml

import crowdsky


def test_one_version_everywhere(repo_root: Path) -> None:
    project = tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "crowdsky/__init__.py"

    citation = yaml.safe_load((repo_root / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == crowdsky.__version__

    changes = (repo_root / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert newest is not None
    assert newest[1] == crowdsky.__version__


def test_a_wheel_brings_what_the_site_is_made_of(repo_root: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=repo_root,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    share = f"crowdsky-{crowdsky.__version__}.data/data/share/crowdsky/"
    wanted = ["hub_config/jupyterhub_config.py", "hub_config/people.py"]
    wanted += [f"notebooks/{page}.ipynb" for page in ("splash", "upload", "status", "stacks")]
    wanted += [f"voila_templates/crowdsky/{name}" for name in ("conf.json", "index.html.j2")]
    if (repo_root / "voila_templates/crowdsky/static/assets.j2").exists():
        wanted.append("voila_templates/crowdsky/static/assets.j2")
    assert [name for name in wanted if share + name not in names] == []
    # What widgets draw with lies beside the Python that sends it.
    scripts = [
        path.relative_to(repo_root).as_posix()
        for path in (repo_root / "crowdsky" / "pages").rglob("*.js")
    ]
    assert scripts
    assert [name for name in scripts if name not in names] == []


def test_one_licence_everywhere(repo_root: Path) -> None:
    project = tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))
    citation = yaml.safe_load((repo_root / "CITATION.cff").read_text(encoding="utf-8"))
    text = (repo_root / "LICENSE").read_text(encoding="utf-8")
    assert project["project"]["license"] == citation["license"] == "BSD-3-Clause"
    assert text.startswith("BSD 3-Clause License")
    assert "The CrowdSky developers" in text


def test_the_catalogues_are_credited(repo_root: Path) -> None:
    citation = yaml.safe_load((repo_root / "CITATION.cff").read_text(encoding="utf-8"))
    credited = " ".join(str(reference) for reference in citation["references"])
    readme = (repo_root / "README.md").read_text(encoding="utf-8")
    for name in ("Tycho-2", "Gaia", "Hipparcos"):
        assert name in credited
        assert name in readme
    assert "CC BY-SA 3.0 IGO" in readme
