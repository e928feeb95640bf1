"""The platform's settings: defaults, the file, the environment, and what they refuse."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from crowdsky import settings as module
from crowdsky.errors import SettingsError
from crowdsky.settings import ServerSettings, available_cores, load_server_settings


def load(home: Path, **variables: str) -> ServerSettings:
    named = {f"CROWDSKY_{name}": value for name, value in variables.items()}
    return load_server_settings({"CROWDSKY_HOME": str(home)} | named)


def test_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/crowdsky.db"
    assert settings.store_url == str(tmp_path / "store")
    assert settings.scratch_dir == tmp_path / "scratch"
    assert settings.jobs == available_cores()
    assert settings.public_url == "http://127.0.0.1:8642"


def test_the_address_follows_the_port(tmp_path: Path) -> None:
    assert load(tmp_path, API_PORT="9000").public_url == "http://127.0.0.1:9000"


def test_a_file_is_heard_and_the_environment_beats_it(tmp_path: Path) -> None:
    (tmp_path / "crowdsky.toml").write_text(
        'jobs = 16\nquota_gb = 1.5\noperators = ["ada", "grace"]\npublic_url = "https://sky.org/"\n',
        encoding="utf-8",
    )
    settings = load(tmp_path, JOBS="32")
    assert settings.jobs == 32
    assert settings.quota_gb == 1.5
    assert settings.operators == ("ada", "grace")
    assert settings.public_url == "https://sky.org"


def test_a_file_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("lease_s = 5\n", encoding="utf-8")
    assert load(tmp_path, CONFIG=str(file)).lease_s == 5.0


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"other\.toml: the configuration file cannot be read"):
        load(tmp_path, CONFIG=str(tmp_path / "other.toml"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("jbos = 3", "jbos is no setting; see the head of crowdsky/settings.py"),
        ("jobs = 0", "0: CROWDSKY_JOBS must be a whole number from 1 to 1024"),
        ("quota_gb = nan", "nan: CROWDSKY_QUOTA_GB must be a number from 0.001 to 1e+09"),
        ("jobs = true", "True: CROWDSKY_JOBS must be text, a number or a list"),
        ('sign_up = "all"', "all: CROWDSKY_SIGN_UP must be one of open, approval, closed"),
        ('spawner = "vm"', "vm: CROWDSKY_SPAWNER must be one of local, docker, kube"),
        (
            "minimum_password = 4",
            "4: CROWDSKY_MINIMUM_PASSWORD must be a whole number from 8 to 128",
        ),
        (
            'subdomain_host = "sky.org"',
            "sky.org: CROWDSKY_SUBDOMAIN_HOST must begin with http:// or https://",
        ),
        ('mail_host = "mail.org"', "CROWDSKY_MAIL_SENDER must be an e-mail address"),
        ('public_url = "sky"', "sky: CROWDSKY_PUBLIC_URL must begin with http:// or https://"),
    ],
)
def test_a_bad_line_of_the_file(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "crowdsky.toml").write_text(line, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path)
    assert str(caught.value) == message


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "crowdsky.toml").write_text("jobs 3", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"crowdsky\.toml: the configuration file cannot be"):
        load(tmp_path)


def test_no_secret_is_in_a_message(tmp_path: Path) -> None:
    names = ("MAIL_PASSWORD", "TICKET_SECRET", "HUB_DATABASE_URL")
    shown = repr(load(tmp_path, **dict.fromkeys(names, "hush")))
    assert "hush" not in shown


def test_every_field_is_in_the_table() -> None:
    told = set(re.findall(r"``CROWDSKY_([A-Z0-9_]+)``", module.__doc__ or ""))
    assert {field.name.upper() for field in fields(ServerSettings)} <= told
