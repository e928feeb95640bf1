"""Dispatch, help, wrong usage, and errors as one line."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from crowdsky import __version__
from crowdsky.cli import catalogue
from crowdsky.cli.main import COMMANDS, main
from crowdsky.errors import CatalogueError, SettingsError


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert f"  {name}" in out
        assert summary in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"crowdsky {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_that_says_what_it_does(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: crowdsky {command}")
    first_line = (import_module(f"crowdsky.cli.{command}").__doc__ or "").splitlines()[0]
    assert first_line in out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "usage: crowdsky"),
        (["sovle"], "no command 'sovle'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["solve"], "the following arguments are required: FILE"),
        (["solve", "a.fit", "--size", "1080x1920"], "--size goes with --stars"),
        (["solve", "a.fit", "--ra", "1"], "--ra goes with --stars"),
        (["solve", "--stars", "a.csv"], "--stars needs --size WIDTHxHEIGHT"),
        (["solve", "--stars", "--size", "big", "a.csv"], "'big' is not a size"),
        (["solve", "--stars", "--size", "0x5", "a.csv"], "'0x5' is not a size"),
        (["solve", "--stars", "--size", "9x9", "--ra", "1", "a"], "--ra and --dec go together"),
        (
            ["solve", "--stars", "--size", "9x9", "--ra", "1", "--dec", "91", "a"],
            "--dec 91.0: must be from -90 to 90",
        ),
        (
            ["solve", "--stars", "--size", "9x9", "--ra", "nan", "--dec", "9", "a"],
            "--ra nan: must be degrees",
        ),
        (["solve", "--stars", "--size", "9x9", "--scale", "-2", "a"], "--scale -2.0: must be"),
        (
            ["solve", "--stars", "--size", "9x9", "--blind", "--ra", "1", "--dec", "9", "a"],
            "contradict each other",
        ),
        (["stack", "frames"], "the following arguments are required: -o/--output"),
        (["stack", "frames", "-o", "x", "--jobs", "0"], "--jobs 0: must be 1 or more"),
        (["simulate", "-o", "x", "--frames", "0"], "--frames 0: must be 1 or more"),
        (["simulate", "-o", "x", "--dec", "90.1"], "--dec 90.1: must be from -90 to 90"),
        (["simulate", "-o", "x", "--start", "noon"], "'noon' is not an ISO 8601 time"),
        (["catalogue"], "the following arguments are required: info|index|fetch"),
        (["catalogue", "fetch", "--ra", "1"], "the following arguments are required: --dec"),
        (["demo", "--data", "no/such/folder"], "--data no/such/folder: no such folder"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint in captured.err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CatalogueError("is absent", file="stars.npy"), 1, "stars.npy: is absent"),
        (SettingsError("JOBS must be a number", value="x"), 2, "x: JOBS must be a number"),
        (
            OSError(28, "No space left on device", "out.fits"),
            1,
            "out.fits: No space left on device",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(args: object) -> int:
        raise error

    monkeypatch.setattr(catalogue, "run", fail)
    assert main(["catalogue", "info"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"crowdsky: error: {line}\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(args: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(catalogue, "run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["catalogue", "info"])


def test_a_reader_that_goes_away_is_no_accident() -> None:
    code = (
        "import sys\n"
        "from crowdsky.cli import catalogue\n"
        "from crowdsky.cli.main import main\n"
        "def run(args):\n"
        "    for i in range(100000): print('a line of output', i)\n"
        "    return 0\n"
        "catalogue.run = run\n"
        "sys.exit(main(['catalogue', 'info']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 1
