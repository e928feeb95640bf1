"""The backup of docs/operating.md: taken while the platform works, it lacks nothing."""

from __future__ import annotations

import hashlib
import runpy
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

from sqlalchemy import func, select

from crowdsky.api.context import Context
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import ObjectRow, StackRow
from crowdsky.archive.open_store import open_store
from crowdsky.settings import ServerSettings
from tests.api.conftest import opened, settings_in, sqlite_settings
from tests.api.product_rows import make_stack

__all__ = ["sqlite_settings"]


def back_up(repo_root: Path, home: Path, target: Path) -> None:
    done = subprocess.run(
        [sys.executable, repo_root / "docs/examples/backup.py", home, target],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def stacks_of(copy: Path) -> int:
    """How many stacks a copy has, each with its file as it should be."""
    settings = settings_in(copy, f"sqlite:///{copy / 'crowdsky.db'}")
    archive, store = Archive(settings.database_url), open_store(settings)
    try:
        with archive.reading() as session:
            assert session.scalar(select(func.count()).select_from(ObjectRow)) is not None
            names = list(session.scalars(select(StackRow.sha256)))
        for name in names:
            assert hashlib.sha256(b"".join(store.read(name))).hexdigest() == name
    finally:
        archive.close()
    return len(names)


def test_a_copy_made_while_stacks_arrive_has_every_file_that_its_rows_name(
    sqlite_settings: ServerSettings, tmp_path: Path, repo_root: Path
) -> None:
    copy, stop = tmp_path / "copy", threading.Event()
    for name in ("secrets.json", "crowdsky.toml"):
        (tmp_path / name).write_text(f"the {name}", encoding="utf-8")
    (tmp_path / "hub").mkdir()
    with sqlite3.connect(tmp_path / "hub" / "jupyterhub.sqlite") as hub:
        hub.execute("CREATE TABLE users_info (username TEXT, password BLOB)")
        hub.execute("INSERT INTO users_info VALUES ('ann', x'01')")
    hub.close()
    # What somebody is only writing has no place in a copy.
    (tmp_path / "store" / ".aside").mkdir(parents=True)
    (tmp_path / "store" / ".aside" / "half").touch()

    def work(here: Context) -> None:
        while not stop.is_set():
            make_stack(here, "ann")

    with opened(sqlite_settings) as here:
        make_stack(here, "ann")
        worker = threading.Thread(target=work, args=(here,))
        worker.start()
        try:
            found = []
            for _ in range(3):
                back_up(repo_root, tmp_path, copy)
                found.append(stacks_of(copy))
        finally:
            stop.set()
            worker.join()
    assert found == sorted(found)
    assert 1 <= found[0] < found[-1]
    for name in ("secrets.json", "crowdsky.toml"):
        assert (copy / name).read_text(encoding="utf-8") == f"the {name}"
        assert (copy / name).stat().st_mode & 0o077 == (tmp_path / name).stat().st_mode & 0o077
    assert copy.stat().st_mode & 0o077 == 0
    with sqlite3.connect(copy / "hub" / "jupyterhub.sqlite") as hub:
        assert hub.execute("SELECT * FROM users_info").fetchall() == [("ann", b"\1")]
    hub.close()
    assert not (copy / "store" / ".aside" / "half").exists()


def test_what_is_swept_meanwhile_is_no_error(tmp_path: Path, repo_root: Path) -> None:
    copy_store = runpy.run_path(str(repo_root / "docs/examples/backup.py"))["copy_store"]
    (tmp_path / "store" / "ab").mkdir(parents=True)
    # As a file that is gone when it is copied: its name leads nowhere.
    (tmp_path / "store" / "ab" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "store" / "ab" / "here").write_text("x", encoding="utf-8")
    assert copy_store(tmp_path / "store", tmp_path / "copy") == 1
    assert [path.name for path in (tmp_path / "copy" / "ab").iterdir()] == ["here"]
