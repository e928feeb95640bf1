"""The documents tell the truth about commands, targets, files and settings."""

from __future__ import annotations

import argparse
import re
from importlib import import_module
from pathlib import Path

import pytest

from crowdsky import settings
from crowdsky.cli.main import COMMANDS
from crowdsky.settings import load_server_settings

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/operating.md"]


def read(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


def long_options(parser: argparse.ArgumentParser) -> set[str]:
    found = set()
    for action in parser._actions:
        found |= {option for option in action.option_strings if option.startswith("--")}
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found |= long_options(child)
    return found


def options_of(command: str) -> set[str]:
    parser = argparse.ArgumentParser(prog=command)
    import_module(f"crowdsky.cli.{command}").configure(parser)
    return long_options(parser)


def test_make_targets_in_documents_exist(repo_root: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", read(repo_root, "Makefile"), re.MULTILINE))
    for name in DOCUMENTS:
        told = set(re.findall(r"(?:`|^    |^)make ([a-z]+)", read(repo_root, name), re.MULTILINE))
        assert told <= targets, name


def test_readme_opens_with_the_two_commands(repo_root: Path) -> None:
    opening = read(repo_root, "README.md").split("\n## ", 1)[0]
    assert "make run" in opening
    assert "make test" in opening
    assert "](docs/images/" in opening


def test_phony_targets_exist(repo_root: Path) -> None:
    text = read(repo_root, "Makefile")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    assert phony == set(re.findall(r"^([a-z]+):", text, re.MULTILINE))


def test_ci_runs_make_test(repo_root: Path) -> None:
    script = repo_root / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert "make test" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_in_the_readme(command: str, repo_root: Path) -> None:
    assert f"crowdsky {command}" in read(repo_root, "README.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_and_options_in_documents_exist(document: str, repo_root: Path) -> None:
    for name, rest in re.findall(r"crowdsky ([a-z]+)\b([^`\n|#]*)", read(repo_root, document)):
        if name not in COMMANDS:
            continue
        told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest))
        assert told <= options_of(name), f"{document}: crowdsky {name}{rest}"


def test_every_setting_is_documented(repo_root: Path) -> None:
    source = Path(settings.__file__).read_text(encoding="utf-8")
    variables = set(re.findall(r'"(CROWDSKY_[A-Z0-9_]+)"', source))
    assert variables
    readme = read(repo_root, "README.md")
    assert [name for name in sorted(variables) if name not in readme] == []
    assert [name for name in sorted(variables) if f"``{name}``" not in settings.__doc__] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_to_files_lead_somewhere(document: str, repo_root: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", read(repo_root, document)):
        if "://" not in link:
            assert ((repo_root / document).parent / link).exists(), link


def test_the_example_of_a_configuration_file_is_one(tmp_path: Path, repo_root: Path) -> None:
    example = repo_root / "docs/examples/crowdsky.toml"
    found = load_server_settings(
        {"CROWDSKY_HOME": str(tmp_path), "CROWDSKY_CONFIG": str(example)}
    )  # refuses what is no setting
    assert found.public_url == found.subdomain_host == "https://sky.example.org"
    assert found.sign_up == "approval"
    # What can be set in operating.md's text is a setting too.
    named = re.findall(r"`([a-z_]+_(?:port|url|host|dir|days|s))`", read(repo_root, DOCUMENTS[-1]))
    assert {"hub_port", "public_url", "mail_host"} <= set(named)
    assert [name for name in named if not hasattr(found, name)] == []


def test_the_example_of_a_unit_starts_what_is_there(repo_root: Path) -> None:
    unit = read(repo_root, "docs/examples/crowdsky.service")
    variables = set(re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE))
    assert variables
    assert [name for name in variables if f"``{name}``" not in settings.__doc__] == []
    (command,) = re.findall(r"^ExecStart=\S+/crowdsky ([a-z]+)(.*)$", unit, re.MULTILINE)
    assert command[0] in COMMANDS
    assert set(command[1].split()) <= options_of(command[0])
    # The parts are stopped one wave after the other, so the whole takes longer than one of them.
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(seconds) >= 90


def test_the_example_of_a_site_passes_on_what_pages_need(repo_root: Path) -> None:
    site = read(repo_root, "docs/examples/nginx.conf")
    assert site.count("{") == site.count("}")
    for line in (
        "client_max_body_size 0;",
        "proxy_request_buffering off;",
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection $connection_upgrade;",
        "proxy_set_header Host $http_host;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        f"proxy_pass http://127.0.0.1:{load_server_settings({}).hub_port};",
    ):
        assert line in re.sub(r" +", " ", site), line


def test_every_error_is_in_the_tree() -> None:
    from crowdsky import errors

    tree = errors.__doc__ or ""
    assert [name for name in errors.__all__ if name not in tree] == []
