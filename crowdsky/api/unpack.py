"""Archives of frames, unpacked under limits into a folder of their own.

A name inside an archive never becomes a path: what is kept is written as ``000001``, ``000002``
and so on. What cannot be a frame is refused by its name, with the reason, and the rest goes on;
what breaks a limit of the archive as a whole ends the look at it, and the good files before that
are kept. An archive inside an archive is not unpacked.
"""

from __future__ import annotations

import errno
import gzip
import shutil
from pathlib import Path
from typing import IO, cast

from crowdsky.api.door import Report, reason_of
from crowdsky.api.unpack_sorting import Sorting, UnpackLimits, archive_kind
from crowdsky.api.unpack_tar import sort_tar
from crowdsky.api.unpack_zip import sort_zip
from crowdsky.errors import RefusedArchive, StoreFull

__all__ = ["UnpackLimits", "archive_kind", "look_at_archive"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


def look_at_archive(path: Path, name: str, folder: Path, limits: UnpackLimits) -> Report:
    """Unpack an archive and judge what is in it.

    Parameters
    ----------
    path : Path
    name : str
        As sent; its end says what kind of archive it is.
    folder : Path
        Emptied and used for what is unpacked; the caller removes it.
    limits : UnpackLimits

    Returns
    -------
    Report

    Raises
    ------
    StoreFull
        No space for what is in it; worth another try.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sorting = Sorting(folder, limits, path.stat().st_size)
    kind = archive_kind(name)
    try:
        if kind == "zip":
            sort_zip(path, sorting)
        elif kind == "gz":
            _sort_gzip(path, name, sorting)
        else:
            sort_tar(path, sorting, packed=kind == "tar.gz")
    except RefusedArchive as error:
        sorting.stopped = reason_of(error)
    except MemoryError:
        sorting.stopped = "unpacking it takes more memory than is allowed"
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull("no space to unpack an archive", file=name) from None
        sorting.stopped = f"it cannot be unpacked ({error.strerror or error})"
    return sorting.report()


def _sort_gzip(path: Path, name: str, sorting: Sorting) -> None:
    inner = name.replace("\\", "/").rsplit("/", 1)[-1][: -len(".gz")]
    sorting.count()
    if sorting.wants(inner):
        with gzip.open(path, "rb") as stream:
            sorting.take(inner, cast("IO[bytes]", stream))
