"""The documents tell the truth about commands, targets, files and settings."""

from __future__ import annotations

import argparse
import re
from importlib import import_module
from pathlib import Path

import pytest

from crowdsky import settings
from crowdsky.cli.main import COMMANDS

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]


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
            assert (repo_root / link).exists(), link


def test_every_error_is_in_the_tree() -> None:
    from crowdsky import errors

    tree = errors.__doc__ or ""
    assert [name for name in errors.__all__ if name not in tree] == []
