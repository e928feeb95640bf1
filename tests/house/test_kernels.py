"""Compiled kernels: one way to make them, and a cache that follows the sources."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from crowdsky import kernels

SOURCE = "from crowdsky.kernels import njit\n\n@njit()\ndef f(x):\n    return x + {0}\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one module with kernels and one without, which the key is made of."""
    folder = tmp_path / "package"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "kernel.py").write_text(SOURCE.format(1))
    (folder / "plain.py").write_text("X = 1\n")
    monkeypatch.setattr(kernels, "__file__", str(folder / "kernels.py"))
    monkeypatch.setenv("CROWDSKY_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def cache_dir() -> Path:
    return kernels.kernel_cache_dir.__wrapped__()


def test_the_folder_lies_in_the_cache(package: Path, tmp_path: Path) -> None:
    assert cache_dir().parent == tmp_path / "cache"
    assert cache_dir() == cache_dir()


def test_it_changes_with_any_kernel(package: Path) -> None:
    before = cache_dir()
    (package / "inner" / "kernel.py").write_text(SOURCE.format(2))
    changed = cache_dir()
    (package / "another.py").write_text(SOURCE.format(3))
    added = cache_dir()
    assert len({before, changed, added}) == 3
    (package / "another.py").unlink()
    (package / "inner" / "kernel.py").write_text(SOURCE.format(1))
    assert cache_dir() == before


def test_it_does_not_change_with_the_rest(package: Path) -> None:
    before = cache_dir()
    (package / "plain.py").write_text("X = 2\n")
    (package / "notes.txt").write_text("njit")
    assert cache_dir() == before


def test_it_changes_with_numba(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache_dir()
    monkeypatch.setattr(numba, "__version__", "0.0.0")
    assert cache_dir() != before


def test_kernels_are_kept_there_and_found_again(tmp_path: Path, repo_root: Path) -> None:
    (tmp_path / "mine.py").write_text(SOURCE.format(41))
    script = (
        "from mine import f\nfrom crowdsky.kernels import kernel_cache_dir\nimport numba\n"
        "before = numba.config.CACHE_DIR\nassert f(1) == 42\n"
        "assert not str(before).startswith(str(kernel_cache_dir()))\n"
        "print(sum(f.stats.cache_hits.values()), kernel_cache_dir())\n"
    )
    path = os.pathsep.join([str(tmp_path), str(repo_root)])
    environ = {**os.environ, "CROWDSKY_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": path}
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    runs = [
        subprocess.run(
            [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert [hits for hits, _ in runs] == ["0", "1"]
    assert list(Path(runs[0][1]).rglob("*.nbc"))
    assert not list(tmp_path.glob("__pycache__/*.nbc"))


def test_options_reach_numba_and_the_lock_is_let_go() -> None:
    @kernels.njit(error_model="numpy")
    def quotient(a, b):  # type: ignore[no-untyped-def]
        return a / b

    assert quotient.targetoptions["nogil"]
    assert quotient.targetoptions["error_model"] == "numpy"


def test_only_one_module_imports_numba(repo_root: Path) -> None:
    guilty = []
    for path in sorted((repo_root / "crowdsky").rglob("*.py")):
        if path == repo_root / "crowdsky" / "kernels.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] == "numba" for name in names):
                guilty.append(f"{path.relative_to(repo_root)}:{node.lineno}")
    assert guilty == []
