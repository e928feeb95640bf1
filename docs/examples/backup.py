"""Copies a platform of one machine while it runs.

    python3 backup.py HOME TARGET    # CROWDSKY_HOME, and a folder that is made or renewed

Databases first, the store after them: a file is there before the row that names it, so the pair
lacks nothing that was accepted when this began. The store's files never change, so a second run
into the same folder copies what is new. It needs nothing but Python. Databases in PostgreSQL and
stores in S3 or WebDAV are copied by their own means, in the same order.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path

DATABASES = ("hub/jupyterhub.sqlite", "crowdsky.db")
FILES = ("secrets.json", "crowdsky.toml", "hub/extra_config.py")


def copy_database(source: Path, target: Path) -> None:
    """A snapshot of one moment, whatever is being written meanwhile."""
    aside = target.with_name(f".{target.name}.new")
    aside.unlink(missing_ok=True)
    connection = sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=60.0)
    try:
        connection.execute("VACUUM INTO ?", (str(aside),))
    finally:
        connection.close()
    aside.replace(target)


def copy_store(source: Path, target: Path) -> int:
    """Files that the target lacks; how many."""
    n_copied = 0
    for folder in sorted(source.iterdir()):
        if folder.name.startswith("."):  # what is only being written
            continue
        for file in folder.iterdir():
            to = target / folder.name / file.name
            if to.exists():
                continue
            to.parent.mkdir(parents=True, exist_ok=True)
            aside = to.with_name(f".{to.name}.new")
            try:
                shutil.copy2(file, aside)
            except FileNotFoundError:
                continue  # nothing needed it any more, so it was swept
            aside.replace(to)
            n_copied += 1
    return n_copied


def main(home: Path, target: Path) -> None:
    """Copy everything that cannot be made again."""
    os.umask(0o077)
    (target / "hub").mkdir(parents=True, exist_ok=True)
    for name in DATABASES:
        if (home / name).exists():
            copy_database((home / name).resolve(), target / name)
    for name in FILES:
        if (home / name).exists():
            shutil.copy2(home / name, target / name)
    n_copied = copy_store(home / "store", target / "store") if (home / "store").is_dir() else 0
    sys.stdout.write(f"{n_copied} files of the store and the databases are in {target}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
