"""What the repository holds: no path of anybody's machine, no key, no file of undue size."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

TEXT = {".py", ".md", ".toml", ".cff", ".yaml", ".yml", ".lock", ".txt", ".cfg", ".json", ""}
# Folders in which people and build machines keep their things; a path into one is nobody else's.
# (Jupyter's own images have a user jovyan.)
MACHINE_PATH = re.compile(
    r"(?<![\w.~/-])/(?:home|root|Users|mnt|work|opt|tmp|var/folders)/(?!jovyan\b)[\w.]|[A-Z]:\\Users\\"
)
SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{36}|csk_[0-9A-Za-z]{16,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
MAX_FILE_BYTES = 10_000_000
MAX_CATALOGUE_BYTES = 20_000_000


def repository_files(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=False,
        capture_output=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.decode("utf-8").split("\0") if name]
    return [root / name for name in names if (root / name).is_file()]


def offences(root: Path, pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in repository_files(root):
        if path.suffix not in TEXT or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()[:100]}")
    return found


@pytest.mark.parametrize(
    "text", ["see /home/ann/frames", 'open("/tmp/x")', "C:\\Users\\Ann", "/opt/pypi/simple"]
)
def test_the_check_sees_a_machine_path(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["https://example.org/home/a", "the optical/home/flow", "C/Users/a"]
)
def test_the_check_passes_other_text(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_no_file_names_a_machine_path(repo_root: Path) -> None:
    assert offences(repo_root, MACHINE_PATH) == []


def test_no_file_holds_a_key(repo_root: Path) -> None:
    assert offences(repo_root, SECRET) == []


def test_no_file_is_too_large(repo_root: Path) -> None:
    large = {
        str(path.relative_to(repo_root)): path.stat().st_size
        for path in repository_files(repo_root)
        if path.stat().st_size > MAX_FILE_BYTES
    }
    assert large == {}


def test_the_catalogue_stays_small(repo_root: Path) -> None:
    data = repo_root / "crowdsky" / "astrometry" / "data"
    assert 0 < sum(path.stat().st_size for path in data.iterdir()) <= MAX_CATALOGUE_BYTES


def test_no_real_frame_is_kept(repo_root: Path) -> None:
    frames = [p.name for p in repository_files(repo_root) if p.suffix in {".fit", ".fits", ".fts"}]
    assert frames == []


def test_every_module_says_what_it_is_for(repo_root: Path) -> None:
    mute = []
    for package in ("crowdsky", "flows"):
        for path in sorted((repo_root / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if not text.lstrip().startswith(('"""', 'r"""')):
                mute.append(str(path.relative_to(repo_root)))
    assert mute == []
