"""Write a file so that it is either wholly there or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["written_aside"]


@contextmanager
def written_aside(path: Path) -> Iterator[IO[bytes]]:
    """Open a hidden neighbour of `path`; on success it takes the name, else it is removed.

    The data are on the disk before the name is, and the name before this returns: a power cut
    leaves the old file, the new file or none, never half of one.

    Parameters
    ----------
    path : Path
        Final name; its directory exists.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # not every system lets a directory be opened
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
