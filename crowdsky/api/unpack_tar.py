"""Tar, plain or in gzip: read from front to back, so that nothing is believed in advance."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path
from typing import IO

from crowdsky.api.unpack_sorting import DAMAGE, Sorting
from crowdsky.errors import RefusedArchive

__all__ = ["sort_tar"]


def sort_tar(path: Path, sorting: Sorting, *, packed: bool) -> None:
    """Unpack and judge what a tar holds.

    Raises
    ------
    RefusedArchive
        No tar, or beyond a limit.
    """
    with path.open("rb") as raw:
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        counted = _Counted(stream, sorting)
        try:
            with tarfile.open(fileobj=counted, mode="r|") as archive:  # type: ignore[call-overload]
                for member in archive:
                    sorting.count()
                    _sort_member(archive, member, sorting)
                    # The library remembers every member; of a stream none is asked for again.
                    archive.members = []
        except DAMAGE as error:
            if not sorting.n_listed:
                raise RefusedArchive(f"not a tar archive that can be read ({error})") from None
            raise RefusedArchive(f"damaged from here on ({error})") from None


def _sort_member(archive: tarfile.TarFile, member: tarfile.TarInfo, sorting: Sorting) -> None:
    if not member.issparse():  # whose size is that of the holes, too
        sorting.foresee(member.size)
    if member.isdir():
        return
    if not member.isreg() or member.issparse():
        sorting.refuse(member.name, "a link, device or sparse file, not a plain file")
        return
    if not sorting.wants(member.name):
        return
    if member.size > sorting.limits.max_file_bytes:
        sorting.refuse(member.name, f"a frame has at most {sorting.limits.max_file_bytes} bytes")
        return
    stream = archive.extractfile(member)
    assert stream is not None
    sorting.take(member.name, stream, counted=True)


class _Counted:
    """A stream whose every byte counts, also of what is passed over."""

    def __init__(self, stream: IO[bytes], sorting: Sorting) -> None:
        self._stream, self._sorting = stream, sorting
        self._at_end = False

    def read(self, n_bytes: int = -1) -> bytes:
        """Read up to `n_bytes`."""
        data = self._stream.read(n_bytes)
        if not data and n_bytes:
            # The library passes over an entry by reading, and asks on where there is no more.
            if self._at_end:
                raise EOFError("it ends before an entry does")
            self._at_end = True
        self._sorting.passed(len(data))
        return data
