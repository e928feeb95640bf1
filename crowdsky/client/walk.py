"""Which files there are to send."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from crowdsky.frames.find import Skipped, find_frames

__all__ = ["ARCHIVES", "LocalFile", "files_to_send"]

ARCHIVES = (".zip", ".tar", ".tgz", ".gz")
"""Ends of names that the service unpacks; ``.tar.gz`` and ``.fit.gz`` are among them."""
_PACKED = ("compressed file, unpack it first", "not a FITS image")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file as it was when it was found.

    Attributes
    ----------
    path : Path
    n_bytes, changed_ns : int
        Size and time of change, by which a file is known again.
    """

    path: Path
    n_bytes: int
    changed_ns: int

    @property
    def is_archive(self) -> bool:
        """Whether it holds files rather than being one."""
        return self.path.name.lower().endswith(ARCHIVES)

    @property
    def has_changed(self) -> bool:
        """Whether it is another file by now, or gone."""
        try:
            status = self.path.stat()
        except OSError:
            return True
        return (status.st_size, status.st_mtime_ns) != (self.n_bytes, self.changed_ns)


def files_to_send(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> tuple[list[LocalFile], list[Skipped]]:
    """Frames and archives among files and, recursively, in folders.

    Parameters
    ----------
    paths : path-like or iterable of path-like

    Returns
    -------
    files : list of LocalFile
        Sorted, each once; frames by the rules of `crowdsky.frames.find_frames`.
    skipped : list of Skipped
        Everything else, with reasons.
    """
    found = find_frames(paths)
    packed = {
        item.file
        for item in found.skipped
        if item.reason in _PACKED and item.file.name.lower().endswith(ARCHIVES)
    }
    skipped = [item for item in found.skipped if item.file not in packed]
    files = []
    for path in sorted({*found.frames, *packed}):
        try:
            status = path.stat()
        except OSError as error:
            skipped.append(Skipped(path, f"cannot be read ({error.strerror})"))
        else:
            files.append(LocalFile(path, status.st_size, status.st_mtime_ns))
    return files, skipped
