"""The bytes of an upload on the disk, before anybody has looked at them."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crowdsky.errors import Conflict, StoreFull
from crowdsky.steps import reached

try:
    import fcntl
except ImportError:  # Windows has no such locks; one service process is the rule there
    fcntl = None  # type: ignore[assignment]

__all__ = ["ScratchFile", "scratch_bytes"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MOST_PARTS = 512  # of one writev; the least that systems allow is 16, Linux allows 1,024


class ScratchFile:
    """An upload's file, open at its committed offset and nobody else's meanwhile.

    Bytes past the offset, left behind by a process that died, are cut off first.

    Parameters
    ----------
    path : Path
    offset : int
        The committed offset.
    hashes : sequence
        Hash objects that are fed what is written.

    Raises
    ------
    Conflict
        Another process writes to it.
    StoreFull
    """

    def __init__(self, path: Path, offset: int, hashes: Sequence[Any] = ()) -> None:
        self.path = path
        self.hashes = tuple(hashes)
        self.offset = offset
        # Held while the file is used: a request that is cancelled must not close it under a thread.
        self._busy = threading.Lock()
        try:
            self._handle = self._open()
        except OSError as error:
            raise _told(error) from error
        reached("upload.opened")
        try:
            self._take(offset)
        except BaseException:
            os.close(self._handle)
            raise
        reached("upload.truncated")

    def _open(self) -> int:
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            return os.open(self.path, flags)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, flags | os.O_CREAT, 0o600)
            _sync_folder(self.path.parent)
            return handle

    def _take(self, offset: int) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Conflict("another process writes to this upload") from None
        size = os.fstat(self._handle).st_size
        if size < offset:
            raise Conflict("bytes of the upload are gone", value=size)
        try:
            if size > offset:
                os.ftruncate(self._handle, offset)
            os.lseek(self._handle, offset, os.SEEK_SET)
        except OSError as error:
            raise _told(error) from error

    def append(self, chunks: Sequence[bytes]) -> None:
        """Write chunks and hash them.

        Raises
        ------
        StoreFull
        """
        with self._busy:
            try:
                for start in range(0, len(chunks), _MOST_PARTS):
                    self._write(chunks[start : start + _MOST_PARTS])
            except OSError as error:
                raise _told(error) from error
            for chunk in chunks:
                for one in self.hashes:
                    one.update(chunk)
        self.offset += sum(map(len, chunks))
        reached("upload.written")

    def _write(self, chunks: Sequence[bytes]) -> None:
        wanted = sum(map(len, chunks))
        if hasattr(os, "writev"):
            done = os.writev(self._handle, chunks)
            if done == wanted:
                return
        else:
            done = 0
        rest = memoryview(b"".join(chunks))[done:]
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def sync(self) -> None:
        """Have what was written on the disk; then the offset may be committed.

        Raises
        ------
        StoreFull
        """
        with self._busy:
            try:
                getattr(os, "fdatasync", os.fsync)(self._handle)
            except OSError as error:
                raise _told(error) from error
        reached("upload.synced")

    def roll_back(self, offset: int) -> None:
        """Cut off what was not committed."""
        with self._busy:
            try:
                os.ftruncate(self._handle, offset)
            except OSError:
                return  # it is cut off before the next byte is written

    def close(self) -> None:
        """Let others write."""
        with self._busy:
            os.close(self._handle)


def scratch_bytes(path: Path) -> int:
    """Size of a scratch file; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _told(error: OSError) -> Exception:
    if error.errno in _FULL:
        return StoreFull(
            "no space for uploads just now; everything sent so far is safe, and can be continued",
            retry_after_s=60,
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO):
        return StoreFull(
            f"uploads cannot be written just now ({error.strerror}); what was sent is safe",
            retry_after_s=60,
        )
    return error


def _sync_folder(folder: Path) -> None:
    """Have a new file's name on the disk as well."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # not every system lets a folder be opened
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
