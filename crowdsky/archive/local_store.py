"""Files in a folder of this machine."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from crowdsky.archive.store import StoredFile
from crowdsky.errors import ObjectMissing, ObjectRotten, StoreError, StoreFull
from crowdsky.steps import reached

__all__ = ["LocalStore", "no_space"]

PIECE = 1 << 20
_NAME = re.compile(r"[0-9a-f]{64}")
_READ_ONLY = 0o444
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


class LocalStore:
    """Files in ``root/ab/abcd...``, by the first two digits of their names.

    A file is written in ``root/.aside``, synced and renamed, so that it is wholly there or not at
    all; stored files are read-only.

    Parameters
    ----------
    root : Path
        Absolute; it is made if it is not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._aside = root / ".aside"
        with _as_store_error(root):
            self._aside.mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    def put(self, path: Path, sha256: str, *, consume: bool = False, checked: bool = False) -> None:
        """Store a file; see `FileStore.put`."""
        target = self._path(sha256)
        with _as_store_error(target):
            if _is_right(target, sha256):
                if consume:
                    path.unlink(missing_ok=True)
                return
            self._make_folder(target.parent)
            if not (consume and self._moved(path, sha256, target, checked=checked)):
                self._copied(path, sha256, target)
                if consume:
                    path.unlink(missing_ok=True)

    def read(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes ``[start, end)``; see `FileStore.read`; a missing one is told at once."""
        with _as_store_error(self._path(sha256), sha256):
            stream = self._path(sha256).open("rb")
        return _pieces(stream, sha256, start, end)

    def fetch(self, sha256: str, path: Path) -> None:
        """Copy a whole file to `path`; see `FileStore.fetch`."""
        source = self._path(sha256)
        aside = path.with_name(f".{path.name}.{os.urandom(6).hex()}.part")
        with _as_store_error(source, sha256), source.open("rb") as stream:
            try:
                with aside.open("wb") as out:
                    digest = _copy(stream, out)
                if digest != sha256:
                    raise ObjectRotten("other bytes than were stored", value=sha256)
                aside.replace(path)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise

    def local_path(self, sha256: str) -> Path | None:
        """Where a file lies; None if it does not."""
        path = self._path(sha256)
        return path if path.is_file() else None

    def size(self, sha256: str) -> int | None:
        """Bytes of a file, None if it is not there."""
        with _as_store_error(self._path(sha256)):
            try:
                return self._path(sha256).stat().st_size
            except FileNotFoundError:
                return None

    def delete(self, sha256: str) -> None:
        """Remove a file; one that is not there is no error."""
        with _as_store_error(self._path(sha256)):
            self._path(sha256).unlink(missing_ok=True)

    def files(self) -> Iterator[StoredFile]:
        """Everything that lies there."""
        with _as_store_error(self.root):
            for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if _NAME.fullmatch(entry.name):
                            yield from _stored(entry)

    def tidy(self, before: datetime) -> int:
        """Remove what writers that died left behind; see `FileStore.tidy`."""
        removed = 0
        with _as_store_error(self._aside):
            for path in self._aside.iterdir():
                try:
                    if path.stat().st_mtime < before.timestamp():
                        path.unlink()
                        removed += 1
                except FileNotFoundError:
                    continue  # its writer lives, and has just finished
        return removed

    def free_bytes(self) -> int | None:
        """Space left for this user; none where there are no inodes left."""
        with _as_store_error(self.root):
            facts = os.statvfs(self.root)
        if facts.f_files and not facts.f_favail:
            return 0
        return facts.f_bavail * facts.f_frsize

    def _path(self, sha256: str) -> Path:
        if not _NAME.fullmatch(sha256):
            raise StoreError("a file's name is its SHA-256 in hexadecimal", value=sha256)
        return self.root / sha256[:2] / sha256

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(folder.parent)

    def _moved(self, path: Path, sha256: str, target: Path, *, checked: bool) -> bool:
        """Take the file itself, if it lies on the same file system."""
        if path.stat().st_dev != target.parent.stat().st_dev:
            return False
        if not checked:  # else it is synced as well, see `FileStore.put`
            with path.open("rb") as stream:
                digest = _copy(stream, None)
                if digest != sha256:
                    raise ObjectRotten(
                        "is not the content it is said to be", file=path, value=digest
                    )
                os.fsync(stream.fileno())
        reached("store.checked")
        path.chmod(_READ_ONLY)
        path.replace(target)
        reached("store.named")
        _sync_folder(target.parent)
        return True

    def _copied(self, path: Path, sha256: str, target: Path) -> None:
        aside = self._aside / f"{sha256}.{os.getpid()}.{os.urandom(6).hex()}.part"
        try:
            with path.open("rb") as stream, aside.open("wb") as out:
                digest = _copy(stream, out)
                if digest != sha256:
                    raise ObjectRotten(
                        "is not the content it is said to be", file=path, value=digest
                    )
                out.flush()
                reached("store.written")
                os.fsync(out.fileno())
            aside.chmod(_READ_ONLY)
            aside.replace(target)
            reached("store.named")
        except Exception:
            aside.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)


def no_space(error: OSError) -> bool:
    """Whether a disk, a quota or the inodes of a file system are used up."""
    return error.errno in _FULL


@contextmanager
def _as_store_error(path: Path, sha256: str | None = None) -> Iterator[None]:
    """Say in words of this project what the system said; `sha256`: a missing file is an error."""
    try:
        yield
    except FileNotFoundError as error:
        if sha256 is not None and error.filename == str(path):
            raise ObjectMissing("is not in the store", value=sha256) from error
        raise StoreError(
            f"the file store failed ({error.strerror})", file=error.filename
        ) from error
    except OSError as error:
        if no_space(error):
            raise StoreFull(
                "there is no space left in the file store; what was accepted is safe", file=path
            ) from error
        raise StoreError(f"the file store failed ({error.strerror})", file=path) from error


def _is_right(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as stream:
            return _copy(stream, None) == sha256
    except FileNotFoundError:
        return False


def _copy(stream: IO[bytes], out: IO[bytes] | None) -> str:
    """Copy all that follows, or only read it; returns its SHA-256."""
    digest = hashlib.sha256()
    while piece := stream.read(PIECE):
        digest.update(piece)
        if out is not None:
            out.write(piece)
    return digest.hexdigest()


def _pieces(stream: IO[bytes], sha256: str, start: int, end: int | None) -> Iterator[bytes]:
    with stream, _as_store_error(Path(stream.name)):
        stream.seek(start)
        left = None if end is None else max(0, end - start)
        while left is None or left > 0:
            piece = stream.read(PIECE if left is None else min(PIECE, left))
            if not piece:
                if left is not None:
                    raise ObjectRotten("is shorter than it was", value=sha256)
                return
            if left is not None:
                left -= len(piece)
            yield piece


def _stored(entry: os.DirEntry[str]) -> Iterator[StoredFile]:
    try:
        facts = entry.stat()
    except FileNotFoundError:
        return  # removed while the folder was being read
    yield StoredFile(entry.name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
