"""The platform's folder, its secrets, its ports and its settings."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from crowdsky.errors import Conflict, SettingsError
from crowdsky.supervise.demo_account import DemoAccount, demo_account
from crowdsky.supervise.home import held_home, make_home
from crowdsky.supervise.options import settings_with
from crowdsky.supervise.ports import free_port, refuse_taken_port
from crowdsky.supervise.prefect_database import prefect_database
from crowdsky.supervise.ready_file import write_ready_file
from crowdsky.supervise.secret_file import load_secrets
from crowdsky.supervise.specs import platform_specs

pytestmark = [pytest.mark.enable_socket]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_home_is_its_owners_only(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    for home in (old, tmp_path / "a" / "new"):
        make_home(home)
        assert mode(home) == 0o700


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"cannot be made a folder of your own \(File exists\)"):
        make_home(tmp_path / "file")


HOLD = """
import sys, time
from pathlib import Path
from crowdsky.supervise.home import held_home
with held_home(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_group_on_one_folder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(Conflict) as error, held_home(tmp_path):
            pass
        assert error.value.numbers["pid"] == first.pid
        assert f"already runs on this folder, as process {first.pid};" in str(error.value)
        first.kill()
    # A lock dies with its process, so nobody has to clean up after a crash.
    with held_home(tmp_path):
        assert (tmp_path / "up.lock").read_text(encoding="ascii") == f"{os.getpid()}\n"


def test_children_of_a_killed_supervisor_are_waited_for(tmp_path: Path) -> None:
    # The guard inherits the lock: the process that it names is dead, and the folder still held.
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    with held_home(tmp_path) as lock:
        waits = [sys.executable, "-c", "input()"]
        guard = subprocess.Popen(waits, stdin=subprocess.PIPE, pass_fds=[lock])
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{dead.pid}\n".encode("ascii"), 0)
    with guard:
        with pytest.raises(Conflict), held_home(tmp_path, patience_s=0.2):
            pass
        guard.kill()
    with held_home(tmp_path, patience_s=5.0):
        pass


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    first = load_secrets(tmp_path)
    assert len(first.demo_password) >= 16
    assert load_secrets(tmp_path) == first
    assert mode(tmp_path / "secrets.json") == 0o600
    for name, text in asdict(first).items():
        assert name == "demo_api_key" or len(text) >= 16, name
        assert not text or text not in repr(first), name
    for name in ("cookie_secret", "crypt_key"):
        assert len(bytes.fromhex(getattr(first, name))) == 32  # as JupyterHub wants them
    (tmp_path / "b").mkdir()
    assert load_secrets(tmp_path / "b").demo_password != first.demo_password


def test_secrets_of_an_older_version_are_kept_and_completed(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text('{"demo_password": "as it was", "demo_api_key": "csk"}', encoding="utf-8")
    found = load_secrets(tmp_path)
    assert (found.demo_password, found.demo_api_key) == ("as it was", "csk")
    assert found.ticket_secret
    assert load_secrets(tmp_path) == found


def test_secrets_that_others_could_read_are_closed(tmp_path: Path) -> None:
    load_secrets(tmp_path)
    (tmp_path / "secrets.json").chmod(0o644)
    load_secrets(tmp_path)
    assert mode(tmp_path / "secrets.json") == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"demo_password": 3}'])
def test_damaged_secrets_are_told_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="the secrets"):
        load_secrets(tmp_path)
    assert path.read_text(encoding="utf-8") == text


def test_a_taken_port_is_told_with_its_setting() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(SettingsError) as error:
            refuse_taken_port(port, variable="CROWDSKY_API_PORT", option="--api-port")
        assert str(error.value) == (
            f"port {port} of 127.0.0.1 is taken by another program; "
            "choose another with --api-port or CROWDSKY_API_PORT"
        )
    refuse_taken_port(free_port(), variable="CROWDSKY_API_PORT", option="--api-port")


def test_options_beat_the_environment_and_a_home_brings_its_file(tmp_path: Path) -> None:
    (tmp_path / "crowdsky.toml").write_text('quota_gb = 3\noperators = ["ada"]\n', encoding="utf-8")
    found = settings_with({"CROWDSKY_HOME": str(tmp_path), "CROWDSKY_API_PORT": "8765"})
    assert found.home == tmp_path
    assert found.database_url == f"sqlite:///{tmp_path / 'crowdsky.db'}"
    assert (found.api_port, found.public_url) == (8765, "http://127.0.0.1:8765")
    assert (found.quota_gb, found.operators) == (3.0, ("ada",))
    assert found.scratch_dir == tmp_path / "scratch"


def test_options_that_break_a_rule_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CROWDSKY_JOBS must be a whole number from 1 to 1024"):
        settings_with({"CROWDSKY_HOME": str(tmp_path), "CROWDSKY_JOBS": "0"})


def test_the_groups_parts_and_what_they_are_told(tmp_path: Path) -> None:
    overrides = {"CROWDSKY_HOME": str(tmp_path), "CROWDSKY_PREFECT_PORT": "4300"}
    settings = settings_with(overrides)
    (prefect, service), (worker, maintenance) = platform_specs(settings, overrides)
    names = [spec.name for spec in (prefect, service, worker, maintenance)]
    assert names == ["prefect", "service", "worker", "maintenance"]
    assert prefect.ready_url == "http://127.0.0.1:4300/api/health"
    assert service.ready_url == "http://127.0.0.1:8642/api/v1/health"
    assert worker.variables["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    assert prefect.variables["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert prefect.variables["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert service.variables == overrides


def test_no_prefect_server_is_started_where_there_is_one(tmp_path: Path) -> None:
    overrides = {
        "CROWDSKY_HOME": str(tmp_path),
        "CROWDSKY_PREFECT_API_URL": "http://flows.example.org:4200/api",
    }
    (service,), (worker, _) = platform_specs(settings_with(overrides), overrides)
    assert service.name == "service"
    assert worker.variables["PREFECT_API_URL"] == "http://flows.example.org:4200/api"


def test_prefect_keeps_a_file_where_the_archive_does(tmp_path: Path) -> None:
    assert prefect_database(f"sqlite:///{tmp_path}/a.db") == ("", "")


def test_prefect_gets_no_database_that_it_could_not_use(postgresql_server: object) -> None:
    # The bundled PostgreSQL has no pg_trgm, without which Prefect's migrations fail.
    url = postgresql_server.render_as_string(hide_password=False)  # type: ignore[attr-defined]
    given, notice = prefect_database(url)
    assert given == ""
    assert notice == (
        "Prefect keeps its runs in a SQLite file: its PostgreSQL tables need the extension "
        "pg_trgm, which this server lacks"
    )


def test_the_demo_account_is_the_same_at_every_start(database_url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    first = demo_account(database_url, home)
    assert first.user == "demo"
    assert first.api_key.startswith("csk_")
    assert first.api_key not in repr(first)
    assert demo_account(database_url, home) == first
    # Where the key's text was lost, the old key is revoked and a new one made.
    (home / "secrets.json").unlink()
    second = demo_account(database_url, home)
    assert second.api_key != first.api_key
    assert demo_account(database_url, home) == second


def test_the_ready_file_is_whole_and_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    demo = DemoAccount("demo", "word", "key")
    addresses = {"address": "http://127.0.0.1:1", "api": "http://127.0.0.1:1/api/v1"}
    write_ready_file(path, addresses=addresses, demo=demo, pids={"a": 5})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "address": "http://127.0.0.1:1",
        "api": "http://127.0.0.1:1/api/v1",
        "demo": {"user": "demo", "password": "word", "api_key": "key"},
        "pids": {"supervisor": os.getpid(), "a": 5},
    }
    assert mode(path) == 0o600
    assert time.time() - path.stat().st_mtime < 60
