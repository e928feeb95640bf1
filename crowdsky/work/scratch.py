"""Folders that killed attempts left behind."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from sqlalchemy import select

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Lease

__all__ = ["sweep_attempts"]

GRACE_S = 60.0  # between a lease and its folder, and between the two looks taken here


def sweep_attempts(archive: Archive, scratch: Path, *, grace_s: float = GRACE_S) -> int:
    """Remove the folders of attempts whose lease is gone.

    Parameters
    ----------
    archive : Archive
    scratch : Path
        Holds a folder ``<job>-<token>`` for each attempt of this machine's workers.
    grace_s : float
        Younger folders are left alone.

    Returns
    -------
    int
        Folders removed.
    """
    if not scratch.is_dir():
        return 0
    young = time.time() - grace_s
    folders = [path for path in scratch.iterdir() if path.is_dir()]
    with archive.reading() as session:
        held = set(session.scalars(select(Lease.token)))
    removed = 0
    for folder in folders:
        token = folder.name.partition("-")[2]
        try:
            if token and token not in held and folder.stat().st_mtime <= young:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        except FileNotFoundError:
            continue  # its worker was faster
    return removed
