"""The seam behind which files lie: a local folder, S3 or WebDAV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

__all__ = ["FileStore", "StoredFile"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that lies in a store."""

    sha256: str
    n_bytes: int
    modified_utc: datetime


class FileStore(Protocol):
    """Files named by the SHA-256 of their content, in lower-case hexadecimal.

    Every method may raise `StoreError`; `ObjectMissing` and `ObjectRotten` where a file is not
    there or not what it was. All may be called from several threads at once.
    """

    def put(self, path: Path, sha256: str, *, consume: bool = False, checked: bool = False) -> None:
        """Store a file; wholly or not at all, and done on return, also after a power cut.

        Its content is checked against `sha256` on the way. With `consume` the file at `path` may be
        moved instead of copied, and is gone afterwards. Storing what is there already does nothing.

        With `checked` the caller vouches for the content and need not be asked again: this process
        itself wrote every byte of `path`, hashed each as it wrote it, synced the file, and nobody
        else could write to it since. A second hash would then read the same pages from the
        memory of the system. What a disk does to them later is found by the scrub. A store may
        check all the same.

        Raises
        ------
        StoreFull
            No space or no inodes; nothing was changed.
        ObjectRotten
            The content at `path` is not that of `sha256`.
        """

    def read(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes ``[start, end)`` in pieces of at most 1 MiB, unchecked: they may be a part.

        Raises
        ------
        ObjectMissing
            At the call, not at the first piece, so that nothing was answered yet.
        ObjectRotten
            If the file is shorter than asked for.
        """

    def fetch(self, sha256: str, path: Path) -> None:
        """Copy a whole file to `path` and check it; `path` is there only if it is right."""

    def local_path(self, sha256: str) -> Path | None:
        """Where the file lies on this machine, to be read only; None if it does not."""

    def size(self, sha256: str) -> int | None:
        """Bytes of a file, None if it is not there."""

    def delete(self, sha256: str) -> None:
        """Remove a file; one that is not there is no error."""

    def files(self) -> Iterator[StoredFile]:
        """Everything that lies there, in any order."""

    def tidy(self, before: datetime) -> int:
        """Remove what writers that died left behind, if it is older than `before`; how many."""

    def free_bytes(self) -> int | None:
        """Space left, None if unknown."""
