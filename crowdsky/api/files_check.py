"""No byte of a damaged file leaves the service unnoticed.

A file on this machine is hashed when it is first asked for, and again when it has changed since; at
2 GB/s that costs less than sending it, and the next thousand requests nothing. A file in a remote
store is hashed while it is sent, and its last piece is held back until the hash is known: what is
damaged never arrives as a whole. A part of a remote file is checked for its length alone.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator

from crowdsky.archive.store import FileStore
from crowdsky.errors import ObjectMissing, ObjectRotten, StoreError

__all__ = ["CheckedFiles"]

_REMEMBERED = 200_000
_State = tuple[int, int, int]  # inode, time of change, size


class CheckedFiles:
    """The files of a store, checked before they are sent; safe in several threads.

    Parameters
    ----------
    store : FileStore
    """

    def __init__(self, store: FileStore) -> None:
        self.store = store
        self._right: OrderedDict[str, _State] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, sha256: str, n_bytes: int) -> bool:
        """Make sure of a file as far as can be done without fetching it.

        Parameters
        ----------
        sha256 : str
        n_bytes : int
            What it should have.

        Returns
        -------
        bool
            Whether its content is known to be right; False for remote files, of which only the
            length is.

        Raises
        ------
        ObjectMissing, ObjectRotten, StoreError
        """
        path = self.store.local_path(sha256)
        if path is None:
            self._check_size(sha256, self.store.size(sha256), n_bytes)
            return False
        try:
            with path.open("rb") as stream:
                facts = path.stat()
                self._check_size(sha256, facts.st_size, n_bytes)
                state = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
                with self._lock:
                    if self._right.get(sha256) == state:
                        self._right.move_to_end(sha256)
                        return True
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            raise ObjectMissing("the file is not in the store", value=sha256) from None
        except OSError as error:
            raise StoreError(f"the file cannot be read ({error.strerror})", value=sha256) from error
        if found != sha256:
            raise ObjectRotten("the file's content has changed in the store", value=sha256)
        with self._lock:
            self._right[sha256] = state
            while len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)
        return True

    def pieces(
        self, sha256: str, n_bytes: int, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Bytes ``[start, end)`` of a file, checked first.

        Parameters
        ----------
        sha256 : str
        n_bytes : int
            Of the whole file.
        start : int
        end : int, optional
            The end of the file when omitted.

        Yields
        ------
        bytes

        Raises
        ------
        ObjectMissing, ObjectRotten, StoreError
            Also on the way: then what was yielded is not all.
        """
        stop = n_bytes if end is None else end
        known = self.check(sha256, n_bytes)
        hashed = None if known or start > 0 or stop < n_bytes else hashlib.sha256()
        left, held = stop - start, b""
        for piece in self.store.read(sha256, start, stop):
            left -= len(piece)
            if left < 0:
                raise ObjectRotten("the store sent more than was asked for", value=sha256)
            if hashed is None:
                yield piece
                continue
            hashed.update(piece)
            if held:
                yield held
            held = piece
        if left:
            raise ObjectRotten("the store sent less than was asked for", value=sha256)
        if hashed is not None and hashed.hexdigest() != sha256:
            raise ObjectRotten("the file's content has changed in the store", value=sha256)
        if held:
            yield held

    @staticmethod
    def _check_size(sha256: str, found: int | None, n_bytes: int) -> None:
        if found is None:
            raise ObjectMissing("the file is not in the store", value=sha256)
        if found != n_bytes:
            raise ObjectRotten(
                f"the file has {found} bytes in the store, not {n_bytes}", value=sha256
            )
