"""Bring a file home: continued where it broke off, and looked at before it gets its name."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from crowdsky.client.patience import Patience
from crowdsky.client.transport import Transport
from crowdsky.errors import ObjectRotten, ServiceUnreachable

__all__ = ["fetch_file", "has_sha256", "part_of", "safe_name"]

_TIMES = 5.0


def part_of(path: Path) -> Path:
    """Where the bytes of a file lie until it is whole; the next run continues it."""
    return path.with_name(f".{path.name}.part")


def safe_name(text: str, fallback: str) -> str:
    """A file's name that cannot lead out of its folder.

    Examples
    --------
    >>> safe_name("../../a b.fits", "x"), safe_name("..", "stack_3.fits")
    ('a b.fits', 'stack_3.fits')
    """
    name = text.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if c.isprintable() and c not in '<>:"|?*').strip(" .")
    while len(name.encode("utf-8", "replace")) > 200:
        name = name[:-1]
    return name or fallback


def has_sha256(path: Path, sha256: str) -> bool:
    """Whether a file is there with these bytes."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False


def fetch_file(
    transport: Transport,
    url: str,
    path: Path,
    *,
    sha256: str = "",
    n_bytes: int | None = None,
    on_bytes: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Download one file.

    Parameters
    ----------
    transport : Transport
    url : str
    path : Path
        Gets the name when all bytes are there and right; its folder exists.
    sha256 : str
        What the bytes must hash to; not looked at when empty.
    n_bytes : int, optional
        How many there must be.
    on_bytes : callable, optional
        Given bytes as they come; a negative number where some have to come again.
    stop : threading.Event, optional

    Raises
    ------
    ObjectRotten
        If what came are not the announced bytes, twice.
    ServiceUnreachable, NotFound, and whatever else the service tells
    """
    patience = transport.patience(stop, _TIMES)
    told = on_bytes or (lambda _: None)
    part = part_of(path)
    for again in (True, False):
        _fetch_part(transport, url, part, sha256, n_bytes, told, patience)
        if not sha256 or has_sha256(part, sha256):
            break
        size = part.stat().st_size
        part.unlink()
        if not again:
            raise ObjectRotten("the bytes that came are not those of the stack", file=path)
        told(-size)
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(path)


def _fetch_part(
    transport: Transport,
    url: str,
    part: Path,
    sha256: str,
    n_bytes: int | None,
    told: Callable[[int], None],
    patience: Patience,
) -> None:
    etag = f'"{sha256}"' if sha256 else ""
    have = part.stat().st_size if part.exists() else 0
    if n_bytes is not None and have > n_bytes:
        part.unlink()
        have = 0
    told(have)
    while n_bytes is None or have < n_bytes or not part.exists():
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and etag:
            headers["If-Range"] = etag
        try:
            with transport.stream(url, headers) as response:
                if response.status_code == 416 and have:
                    # Longer than the file: these are bytes of something else.
                    part.unlink()
                    told(-have)
                    have = 0
                    continue
                if not response.is_success:
                    transport.refused(response, patience)
                    continue
                etag = etag or response.headers.get("ETag", "")
                if response.status_code != 206 and have:
                    told(-have)
                    have = 0
                elif have and not _begins_at(response.headers.get("Content-Range", ""), have):
                    raise ServiceUnreachable("the service sent another part than was asked for")
                with part.open("ab" if have else "wb") as stream:
                    # As they come: bytes that wait in a buffer are lost with the connection.
                    for chunk in response.iter_raw():
                        stream.write(chunk)
                        have += len(chunk)
                        told(len(chunk))
                        patience.progress()
            if n_bytes is None or have >= n_bytes:
                return
            raise ServiceUnreachable("the answer ended too early")
        except ServiceUnreachable as error:
            patience.spend(error)


def _begins_at(content_range: str, offset: int) -> bool:
    return content_range.removeprefix("bytes ").startswith(f"{offset}-")
