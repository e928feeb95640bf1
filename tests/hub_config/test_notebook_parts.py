"""How servers of notebooks are started, without a Hub."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from traitlets.config import Config

from crowdsky.errors import SettingsError
from hub_config import containers, isolation, launch, spawner
from tests.hub_config.hubs import made_facts

# --- notebooks ------------------------------------------------------------------------------------


def test_notebooks_are_signed_in_at_the_service(tmp_path: Path) -> None:
    c, facts = Config(), made_facts(tmp_path)
    spawner.configure(c, facts)
    assert c.Spawner.environment == {"CROWDSKY_SERVER": f"{facts.bind_url}/services/crowdsky"}
    assert not [name for name in c.LocalSpawner.env_keep if "CROWDSKY" in name or "TOKEN" in name]
    assert c.LocalSpawner.limits["CORE"] == 0


def test_tutorials_are_found_beside_or_below_the_notebooks(tmp_path: Path) -> None:
    facts = made_facts(tmp_path)
    c = Config()
    spawner.configure(c, facts)
    assert c.LocalSpawner.tutorials == ""
    for place in (tmp_path / "tutorials", tmp_path / "notebooks" / "tutorials"):
        place.mkdir(parents=True)
        c = Config()
        spawner.configure(c, facts)
        assert c.LocalSpawner.tutorials == str(place)


def test_an_unknown_spawner(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be local, docker or kube"):
        spawner.configure(Config(), made_facts(tmp_path, spawner="slurm"))


@pytest.mark.parametrize("name", ["docker", "kube"])
def test_containers_need_hosts_of_their_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="needs CROWDSKY_SUBDOMAIN_HOST"):
        spawner.configure(Config(), made_facts(tmp_path, spawner=name))


@pytest.mark.parametrize(
    ("name", "package"), [("docker", "dockerspawner"), ("kube", "kubespawner")]
)
def test_containers_need_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setattr(containers, "find_spec", lambda name: None)
    facts = made_facts(tmp_path, spawner=name, subdomain_host="https://sky.example")
    with pytest.raises(SettingsError, match=f"needs the package {package}"):
        spawner.configure(Config(), facts)


@pytest.mark.parametrize(
    ("name", "package"), [("docker", "dockerspawner"), ("kube", "kubespawner")]
)
def test_containers_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    """The configuration only: the package is a stand-in here, no container is started."""
    stand_in = ModuleType(package)
    monkeypatch.setitem(sys.modules, package, stand_in)
    monkeypatch.setattr(containers, "find_spec", lambda name: stand_in if name == package else None)
    c = Config()
    facts = made_facts(tmp_path, spawner=name, subdomain_host="https://sky.example")
    facts = replace(facts, public_url="https://sky.example")
    assert spawner.configure(c, facts) == ""
    assert c.JupyterHub.spawner_class.startswith(f"{package}.")
    assert (c.Spawner.mem_limit, c.Spawner.cpu_limit) == ("4G", 2.0)
    assert c.Spawner.environment["CROWDSKY_SERVER"] == "https://sky.example/services/crowdsky"
    if name == "docker":
        assert c.DockerSpawner.extra_host_config["security_opt"] == ["no-new-privileges"]
        assert c.DockerSpawner.extra_host_config["cap_drop"] == ["ALL"]
    else:
        assert c.KubeSpawner.allow_privilege_escalation is False
        assert c.KubeSpawner.automount_service_account_token is False


# --- keeping people apart -------------------------------------------------------------------------


def test_without_root_all_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation.os, "geteuid", lambda: 1000)
    found = isolation.find_isolation(tmp_path)
    assert not found.apart
    assert found.reason == "the Hub does not run as root"
    assert "people who trust each other" in found.notice
    assert found.folder == tmp_path / "users"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_way_that_others_cannot_go(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    found = isolation.find_isolation(shut / "home")
    assert not found.apart
    assert found.reason.startswith("others cannot pass through ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_folder_that_cannot_be_made(open_folder: Path) -> None:
    (open_folder / "site-users").write_text("a file")
    found = isolation.find_isolation(open_folder / "site")
    assert not found.apart
    assert found.reason == f"{open_folder / 'site-users'} cannot be made (File exists)"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_python_that_others_cannot_run(open_folder: Path) -> None:
    shut = open_folder / "shut"
    shut.mkdir(mode=0o700)
    (shut / "python").symlink_to(sys.executable)
    found = isolation.find_isolation(open_folder / "home", str(shut / "python"))
    assert not found.apart
    assert found.reason.startswith(f"others cannot run {shut / 'python'}")


@pytest.mark.parametrize("number", [0, -1, -20_000, 3_000_000_000])
def test_numbers_that_nobody_gets(number: int) -> None:
    with pytest.raises(ValueError, match="is no number of a user of the Hub"):
        isolation.uid_of(number)
    with pytest.raises(ValueError, match="is no number of a user's server"):
        isolation.end_processes_of(min(isolation.FIRST_UID, number), sys.executable)


# --- the last step before a server ----------------------------------------------------------------


def run_launcher(folder: Path, orders: dict[str, Any], program: str) -> Any:
    return subprocess.run(
        [sys.executable, launch.__file__, json.dumps(orders), sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_limits_hold_in_the_server(tmp_path: Path) -> None:
    program = (
        "import resource as r; print(r.getrlimit(r.RLIMIT_AS), r.getrlimit(r.RLIMIT_CORE),"
        "[line for line in open('/proc/self/status') if line.startswith('NoNewPrivs')])"
    )
    ran = run_launcher(tmp_path, {"limits": {"AS": 4 << 30, "CORE": 0}, "nice": 1}, program)
    assert ran.stdout.strip() == "(4294967296, 4294967296) (0, 0) ['NoNewPrivs:\\t1\\n']", (
        ran.stderr
    )


def test_too_much_memory_is_refused_not_taken(tmp_path: Path) -> None:
    ran = run_launcher(tmp_path, {"limits": {"AS": 1 << 30}}, "bytearray(100 << 30)")
    assert ran.returncode == 1
    assert "MemoryError" in ran.stderr


def test_what_the_server_says_is_its_users(tmp_path: Path) -> None:
    ran = run_launcher(tmp_path, {"log": str(tmp_path / "log")}, "print('hello')")
    assert (ran.stdout, ran.stderr) == ("", "")
    assert (tmp_path / "log").read_text() == "hello\n"
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_tutorials_are_fresh_and_ones_own_changes_stay(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "data").mkdir(parents=True)
    (source / "one.ipynb").write_text("1")
    (source / "data" / "two.csv").write_text("2")
    (source / ".hidden").write_text("no")
    launch.copy_fresh(source, target)
    names = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert names == {"one.ipynb", "data/two.csv", ".delivered.json"}
    # A new version replaces what its user never touched; what they changed stays beside it.
    (source / "one.ipynb").write_text("1b")
    (source / "data" / "two.csv").write_text("2b")
    (target / "one.ipynb").write_text("mine")
    launch.copy_fresh(source, target)
    launch.copy_fresh(source, target)
    assert (target / "one.ipynb").read_text() == "1b"
    assert (target / "one-yours-1.ipynb").read_text() == "mine"
    assert (target / "data" / "two.csv").read_text() == "2b"
    assert not list(target.rglob("two-yours*"))
    assert not (target / "one-yours-2.ipynb").exists()
