"""Files in S3, or on a WebDAV server.

Both are read, listed and emptied through obstore (Apache's object_store), which repeats what may be
repeated. S3 makes an object visible when it is complete. WebDAV promises nothing of the kind, so
there a file is sent under another name, read back, and moved (`crowdsky.archive.dav`).
"""

from __future__ import annotations

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import HTTPStore, S3Store

from crowdsky.archive.dav import DavSender, basic_auth
from crowdsky.archive.store import StoredFile
from crowdsky.errors import ObjectMissing, ObjectRotten, StoreError, StoreFull
from crowdsky.settings import ServerSettings
from crowdsky.steps import reached

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

__all__ = ["DavStore", "S3Files", "open_dav", "open_s3"]

PIECE = 1 << 20
PART = 8 << 20  # of a multipart upload; S3 wants 5 MiB at least
_PARTS_AT_ONCE = 2
_READS = 2
_NAME = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_STATUS = re.compile(r"status code: (\d{3})")
_FULL_CODES = ("QuotaExceeded", "XMinioStorageFull", "InsufficientStorage")

_PATIENT: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
# For what may happen while rows are held (see `crowdsky.archive.sweep`).
_BRISK: RetryConfig = {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}


class _RemoteStore(ABC):
    """What S3 and WebDAV have in common.

    Parameters
    ----------
    patient, brisk : S3Store or HTTPStore
        The same place; `brisk` gives up early.
    """

    def __init__(self, patient: Any, brisk: Any) -> None:
        self._store, self._brisk = patient, brisk

    @abstractmethod
    def put(self, path: Path, sha256: str, *, consume: bool = False, checked: bool = False) -> None:
        """Store a file; see `FileStore.put`."""

    @abstractmethod
    def files(self) -> Iterator[StoredFile]:
        """Everything that lies there."""

    @abstractmethod
    def tidy(self, before: datetime) -> int:
        """Remove what writers that died left behind; see `FileStore.tidy`."""

    def read(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes ``[start, end)``; see `FileStore.read`."""
        key = _key(sha256)
        if end is not None and end <= start:
            return iter(())
        options: Any = None
        if end is not None:
            options = {"range": (start, end)}
        elif start > 0:
            options = {"range": {"offset": start}}
            size = self.size(sha256)
            if size is not None and size <= start:
                return iter(())
        with _as_store_error(sha256):
            result = obstore.get(self._store, key, options=options)
        return _pieces(result, sha256, None if end is None else end - start)

    def fetch(self, sha256: str, path: Path) -> None:
        """Copy a whole file to `path`; see `FileStore.fetch`."""
        aside = path.with_name(f".{path.name}.{os.urandom(6).hex()}.part")
        try:
            for last in range(_READS - 1, -1, -1):
                digest = hashlib.sha256()
                pieces = self.read(sha256)
                with aside.open("wb") as out:
                    for piece in pieces:
                        digest.update(piece)
                        out.write(piece)
                if digest.hexdigest() == sha256:
                    break
                if not last:
                    raise ObjectRotten("other bytes than were stored", value=sha256)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def local_path(self, sha256: str) -> Path | None:
        """None: nothing lies on this machine."""
        del sha256
        return None

    def size(self, sha256: str) -> int | None:
        """Bytes of a file, None if it is not there."""
        key = _key(sha256)
        try:
            with _as_store_error(sha256):
                return int(obstore.head(self._brisk, key)["size"])
        except ObjectMissing:
            return None

    def delete(self, sha256: str) -> None:
        """Remove a file; one that is not there is no error."""
        key = _key(sha256)
        try:
            with _as_store_error(sha256):
                obstore.delete(self._brisk, key)
        except ObjectMissing:
            return

    def free_bytes(self) -> int | None:
        """Not known."""
        return None

    def _reads_as(self, sha256: str) -> str:
        digest = hashlib.sha256()
        for piece in self.read(sha256):
            digest.update(piece)
        return digest.hexdigest()


class S3Files(_RemoteStore):
    """Files in a bucket; the server checks each part by its SHA-256."""

    def __repr__(self) -> str:
        return f"S3Files({self._store!r})"

    def put(self, path: Path, sha256: str, *, consume: bool = False, checked: bool = False) -> None:
        """Store a file; see `FileStore.put`."""
        del checked  # what goes over a network is checked on its way
        key = _key(sha256)
        size = path.stat().st_size
        if size <= PART:
            content = path.read_bytes()
            _check(path, hashlib.sha256(content).hexdigest(), sha256)
            reached("store.checked")
            with _as_store_error(sha256):
                obstore.put(self._store, key, content, use_multipart=False)
        else:
            # Read twice: a multipart upload that is not what it is said to be is not begun.
            _check(path, _digest(path), sha256)
            reached("store.checked")
            with path.open("rb") as stream, _as_store_error(sha256):
                obstore.put(
                    self._store,
                    key,
                    stream,
                    use_multipart=True,
                    chunk_size=PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )
        reached("store.named")
        if self.size(sha256) != size:
            raise StoreError("the file store did not take the file as a whole", value=sha256)
        if consume:
            path.unlink(missing_ok=True)

    def files(self) -> Iterator[StoredFile]:
        """Everything that lies there."""
        with _as_store_error(None):
            for batch in obstore.list(self._store, chunk_size=1000):
                yield from _stored(batch)

    def tidy(self, before: datetime) -> int:
        """Nothing to do: unfinished multipart uploads are for a lifecycle rule of the bucket."""
        del before
        return 0


class DavStore(_RemoteStore):
    """Files on a WebDAV server, sent aside and moved to their names."""

    def __init__(self, patient: HTTPStore, brisk: HTTPStore, sender: DavSender) -> None:
        super().__init__(patient, brisk)
        self._sender = sender

    def __repr__(self) -> str:
        return f"DavStore({self._sender.url!r})"

    def put(self, path: Path, sha256: str, *, consume: bool = False, checked: bool = False) -> None:
        """Store a file; see `FileStore.put`."""
        del checked  # what goes over a network is checked on its way
        key = _key(sha256)
        aside = f"aside/{sha256}.{os.urandom(6).hex()}.part"
        _check(path, _digest(path), sha256)
        reached("store.checked")
        try:
            self._sender.put(path, aside)
            with _as_store_error(sha256):
                sent = hashlib.sha256()
                for piece in obstore.get(self._store, aside).stream(min_chunk_size=PIECE):
                    sent.update(piece)
            if sent.hexdigest() != sha256:
                raise StoreError("the file store did not take the file as it is", value=sha256)
            reached("store.written")
            if not self._sender.move(aside, key, overwrite=False):
                # Somebody stored it before; a half of it, if the server broke down over that.
                if self._reads_as(sha256) == sha256:
                    self._discard(aside)
                else:
                    self._sender.move(aside, key, overwrite=True)
        except StoreError:
            self._discard(aside)
            raise
        reached("store.named")
        if consume:
            path.unlink(missing_ok=True)

    def files(self) -> Iterator[StoredFile]:
        """Everything that lies there."""
        # A folder at a time: not every server lists a whole tree at once.
        with _as_store_error(None):
            folders = obstore.list_with_delimiter(self._store)["common_prefixes"]
            # Paths come back with the root's before them.
            for folder in sorted({name.strip("/").rpartition("/")[2] for name in folders}):
                if _FOLDER.fullmatch(folder):
                    yield from _stored(obstore.list_with_delimiter(self._store, folder)["objects"])

    def tidy(self, before: datetime) -> int:
        """Remove what writers that died left behind; see `FileStore.tidy`."""
        removed = 0
        try:
            with _as_store_error(None):
                for meta in obstore.list_with_delimiter(self._store, "aside")["objects"]:
                    if meta["last_modified"] < before:
                        name = meta["path"].rpartition("/")[2]
                        obstore.delete(self._store, f"aside/{name}")
                        removed += 1
        except ObjectMissing:
            pass  # nobody has written yet, or was faster
        return removed

    def _discard(self, aside: str) -> None:
        try:
            with _as_store_error(None):
                obstore.delete(self._brisk, aside)
        except StoreError:
            return  # `tidy` finds it


def open_s3(settings: ServerSettings) -> S3Files:
    """Open the store of an ``s3://bucket/prefix``."""
    parts = urlsplit(settings.store_url)
    options: dict[str, Any] = {
        "region": settings.s3_region,
        "checksum_algorithm": "SHA256",
        "disable_bulk_delete": True,
        "disable_tagging": True,
    }
    if settings.s3_endpoint:
        options |= {"endpoint": settings.s3_endpoint, "virtual_hosted_style_request": False}
    if settings.s3_key:
        options |= {
            "access_key_id": settings.s3_key,
            "secret_access_key": settings.s3_secret,
        }
    plain = settings.s3_endpoint.startswith("http://")

    def opened(retry: RetryConfig, timeout: str) -> S3Store:
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=options,  # type: ignore[arg-type]  # a plain dict is one of its forms
            client_options=_client(timeout, plain),
            retry_config=retry,
        )

    return S3Files(opened(_PATIENT, "300s"), opened(_BRISK, "5s"))


def open_dav(settings: ServerSettings) -> DavStore:
    """Open the store of a ``dav://host/path`` or ``davs://host/path``."""
    parts = urlsplit(settings.store_url)
    scheme = "http" if parts.scheme == "dav" else "https"
    url = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    headers = {}
    if settings.dav_user:
        headers["Authorization"] = basic_auth(settings.dav_user, settings.dav_password)

    def opened(retry: RetryConfig, timeout: str) -> HTTPStore:
        client = _client(timeout, scheme == "http")
        client["default_headers"] = headers
        return HTTPStore(url, client_options=client, retry_config=retry)

    return DavStore(opened(_PATIENT, "300s"), opened(_BRISK, "5s"), DavSender(url, headers))


def _client(timeout: str, plain: bool) -> ClientConfig:
    return {"allow_http": plain, "connect_timeout": "5s", "timeout": timeout}


def _key(sha256: str) -> str:
    if not _NAME.fullmatch(sha256):
        raise StoreError("a file's name is its SHA-256 in hexadecimal", value=sha256)
    return f"{sha256[:2]}/{sha256}"


@contextmanager
def _as_store_error(sha256: str | None) -> Iterator[None]:
    """Say in words of this project what the library said."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing("is not in the store", value=sha256) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreError("the file store refuses access", value=sha256) from error
    except (BaseError, OSError) as error:
        text = str(error)
        found = _STATUS.search(text)
        status = found[1] if found else ""
        if status in ("401", "403"):
            raise StoreError("the file store refuses access", value=sha256) from error
        if status == "507" or any(word in text for word in _FULL_CODES):
            raise StoreFull(
                "there is no space left in the file store; what was accepted is safe", value=sha256
            ) from error
        raise StoreError("the file store failed or cannot be reached", value=sha256) from error


def _check(path: Path, found: str, sha256: str) -> None:
    if found != sha256:
        raise ObjectRotten("is not the content it is said to be", file=path, value=found)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _pieces(result: Any, sha256: str, n_bytes: int | None) -> Iterator[bytes]:
    left = n_bytes
    with _as_store_error(sha256):
        for chunk in result.stream(min_chunk_size=PIECE):
            view = memoryview(chunk)
            for start in range(0, len(view), PIECE):
                piece = bytes(view[start : start + PIECE])
                if left is not None:
                    left -= len(piece)
                yield piece
    if left:
        raise ObjectRotten("is shorter than it was", value=sha256)


def _stored(metas: Iterable[Any]) -> Iterator[StoredFile]:
    for meta in metas:
        name = meta["path"].rpartition("/")[2]
        if _NAME.fullmatch(name):
            yield StoredFile(name, int(meta["size"]), meta["last_modified"])
