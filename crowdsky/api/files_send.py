"""Long answers: read ahead in threads, ended when nobody listens or the key is revoked.

The event loop writes to sockets while a few threads read what comes next. Every download has one
batch of bytes on its way and one being read, whatever its size, and waits its turn for a thread:
memory is flat, and no download can hold the threads for itself.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crowdsky.api.files_check import CheckedFiles
from crowdsky.api.ranges import RangeUnsatisfiable, matches_etag, requested_range
from crowdsky.api.who import doorkeeper
from crowdsky.errors import ArchiveError, ArchiveUnavailable

__all__ = ["StreamedAnswer", "answer_bytes", "checked_files", "digest_header"]

BATCH_BYTES = 1 << 20
READERS = 8
ASK_AGAIN_S = 2.0

_log = logging.getLogger(__name__)
_lock = threading.Lock()


def checked_files(request: Request) -> CheckedFiles:
    """The checked files of the service that got a request (a FastAPI dependency)."""
    state = request.app.state
    with _lock:
        if not hasattr(state, "checked_files"):
            state.checked_files = CheckedFiles(state.context.store)
    found: CheckedFiles = state.checked_files
    return found


def digest_header(sha256: str) -> dict[str, str]:
    """Repr-Digest (RFC 9530): the SHA-256 of the whole file, whichever part is sent."""
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"}


def answer_bytes(
    request: Request,
    n_bytes: int,
    etag: str,
    pieces: Callable[[int, int], Iterator[bytes]],
    headers: dict[str, str],
    *,
    signed_in: bool = True,
) -> Response:
    """Answer GET or HEAD of a file: whole, a part of it, or that it has not changed.

    Parameters
    ----------
    request : Request
    n_bytes : int
        Length of the whole file.
    etag : str
        Strong, with its quotes.
    pieces : callable
        ``pieces(start, end)`` iterates over bytes ``[start, end)``; run in threads.
    headers : dict
        Content-Type and the like.
    signed_in : bool
        Whether the file is sent because of who asks; then it stops when a key is revoked.

    Returns
    -------
    Response
    """
    asked = request.headers
    common = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        # Others may not keep it, and whoever does asks whether it may still be seen.
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
    }
    if matches_etag(asked.get("if-none-match"), etag):
        return Response(status_code=304, headers=common)
    wanted = asked.get("if-match")
    if wanted is not None and wanted.strip() != "*" and not _strongly_matches(wanted, etag):
        return JSONResponse(
            {"error": "PreconditionFailed", "message": "the file is not the one in If-Match"}, 412
        )
    try:
        part = requested_range(
            # Ranges are defined for GET alone (RFC 9110, 14.2).
            asked.get("range") if request.method == "GET" else None,
            n_bytes,
            if_range=asked.get("if-range"),
            etag=etag,
        )
    except RangeUnsatisfiable as error:
        return JSONResponse(
            {"error": "RangeNotSatisfiable", "message": str(error), "n_bytes": n_bytes},
            416,
            {"Content-Range": f"bytes */{n_bytes}", "Accept-Ranges": "bytes", "ETag": etag},
        )
    start, end = (0, n_bytes) if part is None else (part.start, part.end)
    common |= headers
    common["Content-Length"] = str(end - start)
    if part is not None:
        common["Content-Range"] = part.content_range(n_bytes)

    async def still_good() -> bool:
        try:
            return not signed_in or await doorkeeper(request).still_good(request)
        except ArchiveUnavailable:
            return True  # nobody can tell just now

    return StreamedAnswer(
        200 if part is None else 206, common, lambda: pieces(start, end), still_good
    )


class StreamedAnswer(Response):
    """An answer whose bytes come from a blocking iterator.

    If the iterator fails on the way, or the asker may no longer have the rest, the connection is
    closed before the announced length is reached: a broken answer never looks like a whole one.

    Parameters
    ----------
    status : int
    headers : dict
        Among them Content-Length.
    pieces : callable
        Makes the iterator; not called for HEAD.
    still_good : callable
        Asked every `ASK_AGAIN_S`.
    """

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        pieces: Callable[[], Iterator[bytes]],
        still_good: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(None, status, headers)
        self._pieces, self._still_good = pieces, still_good

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            async with _watched(receive) as gone:
                if not await self._send_body(send, gone):
                    return  # the server closes a connection whose answer is not complete
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_body(self, send: Send, gone: asyncio.Event) -> bool:
        """Send all pieces; False if it came to an early end."""
        ahead = _Ahead(self._pieces())
        asked = time.monotonic()
        try:
            async for batch in ahead:
                for piece in batch:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                if gone.is_set():
                    return False
                if time.monotonic() - asked > ASK_AGAIN_S:
                    asked = time.monotonic()
                    if not await self._still_good():
                        _log.info("a download was ended: its key is no longer good")
                        return False
        except ArchiveError as error:
            _log.warning("a download was ended: %s", error)
            return False
        finally:
            ahead.close()
        return True


class _Ahead:
    """Batches of an iterator's pieces, the next one being read while one is used."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._next: Future[list[bytes]] | None = _readers().submit(_batch, pieces)

    async def __aiter__(self) -> AsyncIterator[list[bytes]]:
        while self._next is not None:
            batch = await asyncio.wrap_future(self._next)
            if not batch:
                return
            self._next = _readers().submit(_batch, self._pieces)
            yield batch

    def close(self) -> None:
        """Close the iterator, as soon as no thread is in it."""
        if self._next is not None:
            self._next.add_done_callback(self._closed)
            self._next = None

    def _closed(self, _done: Future[list[bytes]]) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


def _batch(pieces: Iterator[bytes]) -> list[bytes]:
    found: list[bytes] = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size >= BATCH_BYTES:
            break
    return found


@cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(READERS, thread_name_prefix="read-ahead")


@asynccontextmanager
async def _watched(receive: Receive) -> AsyncIterator[asyncio.Event]:
    """An event that tells when the asker has gone; sending does not."""
    gone = asyncio.Event()

    async def watch() -> None:
        message: Any = {}
        while message.get("type") != "http.disconnect":
            message = await receive()
        gone.set()

    watcher = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


def _strongly_matches(wanted: str, etag: str) -> bool:
    return etag in (tag.strip() for tag in wanted.split(","))
