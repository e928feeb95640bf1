"""Room on the disks of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from crowdsky.settings import ServerSettings

__all__ = ["RESERVE_BYTES", "enough_space", "free_bytes"]

#: What is left free for the database, for logs, and for deleting things.
RESERVE_BYTES = 256 << 20
_RESERVE_SHARE = 0.01


def enough_space(settings: ServerSettings, n_bytes: int) -> bool:
    """Whether `n_bytes` more fit, and a reserve stays free beside them.

    Asked of the scratch folder, where uploads gather, and of the store if it is a folder. The
    reserve is 256 MiB, or a hundredth of a disk that is smaller than 25 GiB.

    Parameters
    ----------
    settings : ServerSettings
    n_bytes : int

    Returns
    -------
    bool
        True where a file system does not say.
    """
    folders = [settings.scratch_dir]
    if settings.store_url.startswith("/"):
        folders.append(Path(settings.store_url))
    return all(_fits(folder, n_bytes) for folder in folders)


def free_bytes(folder: Path) -> int | None:
    """Space left for this user in the file system of a folder, which need not exist yet.

    None if the system does not say; 0 where there are no inodes left.
    """
    facts = _facts(folder)
    if facts is None:
        return None
    return 0 if facts.f_files and not facts.f_favail else facts.f_bavail * facts.f_frsize


def _fits(folder: Path, n_bytes: int) -> bool:
    facts, free = _facts(folder), free_bytes(folder)
    if facts is None or free is None:
        return True
    reserve = min(RESERVE_BYTES, int(_RESERVE_SHARE * facts.f_blocks * facts.f_frsize))
    return free > 0 and free - n_bytes >= reserve


def _facts(folder: Path) -> os.statvfs_result | None:
    for place in (folder, *folder.parents):
        try:
            return os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
