"""`crowdsky key`, and the commands that become another program."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from crowdsky.archive.engine import Archive
from crowdsky.archive.keys import find_key
from crowdsky.cli.main import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROWDSKY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_key_is_made_listed_and_revoked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "create", "--user", "ada", "--name", "desk", "--days", "30"]) == 0
    text = capsys.readouterr().out.strip()
    archive = Archive(f"sqlite:///{home / 'crowdsky.db'}")
    facts = find_key(archive, text)
    assert facts is not None
    assert (facts.observer_name, facts.name, facts.scopes) == ("ada", "desk", {"read", "write"})

    assert main(["key", "list", "--user", "ada"]) == 0
    listing = capsys.readouterr().out
    assert text not in listing
    assert f"{text[:8]}..." in listing
    assert main(["key", "list", "--user", "ada", "--json"]) == 0
    (key,) = json.loads(capsys.readouterr().out)
    assert (key["key_id"], key["revoked_utc"]) == (facts.key_id, None)

    assert main(["key", "revoke", "--user", "ada", str(facts.key_id)]) == 0
    assert capsys.readouterr().out == f"key {facts.key_id} is revoked\n"
    assert find_key(archive, text) is None
    archive.close()


def test_a_key_of_somebody_else_is_not_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "create", "--user", "ada", "--json"]) == 0
    number = json.loads(capsys.readouterr().out)["id"]
    assert main(["key", "create", "--user", "bob"]) == 0
    assert main(["key", "revoke", "--user", "bob", str(number)]) == 1
    assert main(["key", "list", "--user", "nobody"]) == 1
    assert "nobody: no such observer" in capsys.readouterr().err


def test_keys_of_a_closed_account_open_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", "create", "--user", "ada"]) == 0
    text = capsys.readouterr().out.strip()
    archive = Archive(f"sqlite:///{home / 'crowdsky.db'}")
    assert main(["observer", "close", "ada"]) == 0
    assert capsys.readouterr().out == "the account of ada is closed\n"
    assert find_key(archive, text) is None
    assert main(["observer", "open", "ada"]) == 0
    assert find_key(archive, text) is not None
    archive.close()
    assert main(["observer", "close", "nobody"]) == 1
    assert "nobody: no such observer" in capsys.readouterr().err


def test_scopes_that_are_none_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "create", "--user", "ada", "--scopes", "read,fly"]) == 1
    assert "fly: a key's scopes are of read, write, account" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["serve", "--port", "8700"], ["crowdsky.api.serve", "--port", "8700"]),
        (["serve", "--fd", "3"], ["crowdsky.api.serve", "--fd", "3"]),
        (["worker"], ["flows.worker"]),
        (
            ["worker", "--jobs", "3", "--host", "b", "--until-empty", "--no-prefect"],
            ["flows.worker", "--jobs", "3", "--host", "b", "--until-empty", "--no-prefect"],
        ),
    ],
)
def test_serve_and_worker_become_their_programs(
    words: list[str], program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda *what: became.append(what))
    main(words)
    assert became == [(sys.executable, [sys.executable, "-m", *program])]
