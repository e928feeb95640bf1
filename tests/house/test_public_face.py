"""The public face: few names, all there, documented, light to import, and offline."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import pytest_socket

import crowdsky

# Modules that cost time to import and that most users of the face do not need at once.
HEAVY = ["astropy", "cv2", "numba", "numpy", "scipy", "sep", "PIL", "tqdm", "crowdsky.frames"]

BLOCKER = """
import socket
def refuse(*args, **kwargs):
    raise RuntimeError("a socket was opened")
socket.socket = type("Refused", (socket.socket,), {"__init__": refuse})
socket.create_connection = refuse
socket.getaddrinfo = refuse
"""


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_about_ten_names() -> None:
    assert 8 <= len([name for name in crowdsky.__all__ if not name.startswith("_")]) <= 12


@pytest.mark.parametrize("name", sorted(set(crowdsky.__all__) - {"__version__"}))
def test_a_public_name_is_there_and_documented(name: str) -> None:
    assert (getattr(crowdsky, name).__doc__ or "").strip()
    assert name in dir(crowdsky)
    assert f"`{name}`" in (crowdsky.__doc__ or "") or name in {"PlateSolution", "StarList"}


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'crowdsky' has no attribute 'nonsense'"):
        crowdsky.nonsense  # noqa: B018


def test_importing_the_face_loads_nothing_heavy() -> None:
    loaded = json.loads(
        run_python("import crowdsky, json, sys; print(json.dumps(sorted(sys.modules)))")
    )
    assert not [name for name in HEAVY if name in loaded]


def test_help_loads_nothing_heavy() -> None:
    loaded = json.loads(
        run_python(
            "import io, json, sys, contextlib\n"
            "from crowdsky.cli.main import COMMANDS, main\n"
            "with contextlib.redirect_stdout(io.StringIO()):\n"
            "    assert main(['--help']) == 0\n"
            "    assert all(main([name, '--help']) == 0 for name in COMMANDS)\n"
            "print(json.dumps(sorted(sys.modules)))"
        )
    )
    assert not [name for name in HEAVY if name in loaded]


def test_importing_every_module_opens_no_socket(repo_root: Path) -> None:
    modules = [
        ".".join(path.relative_to(repo_root).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((repo_root / "crowdsky").rglob("*.py"))
    ]
    imports = "\n".join(f"import {module}" for module in modules)
    run_python(f"{BLOCKER}\n{imports}\n")


def test_the_blocker_blocks() -> None:
    with pytest.raises(AssertionError, match="a socket was opened"):
        run_python(f"{BLOCKER}\nimport urllib.request\nurllib.request.urlopen('http://localhost')")


def test_the_test_suite_runs_with_sockets_blocked() -> None:
    import socket

    warned = pytest.warns(UserWarning, match="tried to use socket")
    with warned, pytest.raises(pytest_socket.SocketBlockedError):
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def test_the_version_is_told_once() -> None:
    assert import_module("crowdsky").__version__ == crowdsky.__version__
    assert crowdsky.__version__.count(".") == 2
