"""From the body of a request to a committed offset.

The order is what keeps the promise that no byte behind an offset is ever missing or wrong: bytes
are written, then they are synced, and only then does the offset move in the database. A sender that
is cut off keeps what arrived. Where `Upload-Checksum` was sent, nothing counts until it is right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request

from crowdsky.api.tus_headers import CHECKSUMS, Checksum
from crowdsky.api.uploads_body import Body
from crowdsky.api.uploads_commits import GroupCommits
from crowdsky.api.uploads_live import LiveUpload
from crowdsky.api.uploads_scratch import ScratchFile
from crowdsky.archive.uploads import UploadFacts, commit_offset
from crowdsky.errors import ChecksumMismatch, StoreFull, UploadError
from crowdsky.steps import reached

__all__ = ["Received", "Receiver"]

T = TypeVar("T")

COMMIT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Received:
    """Where an upload stands after a request.

    Attributes
    ----------
    offset : int
    expires_utc : datetime
    complete : bool
        Whether these were its last bytes.
    sha256 : str or None
        Of the whole file, if it is complete and was hashed on the way.
    evicted, cut : bool
        Whether a newer request took over; whether the sender is gone.
    """

    offset: int
    expires_utc: datetime
    complete: bool
    sha256: str | None = None
    evicted: bool = False
    cut: bool = False


class Receiver:
    """Takes bodies.

    Parameters
    ----------
    commits : GroupCommits
    threads : Executor
        Where files are written, hashed and synced.
    keep : timedelta
        How long an upload that is not finished is kept after its last byte.
    """

    def __init__(self, commits: GroupCommits, threads: Executor, keep: timedelta) -> None:
        self._commits = commits
        self._threads = threads
        self._keep = keep

    async def receive(
        self,
        request: Request,
        live: LiveUpload,
        facts: UploadFacts,
        path: Path,
        *,
        length: int | None,
        most: int,
        checksum: Checksum | None = None,
    ) -> Received:
        """Take the body of a request; the caller has the upload for itself.

        Parameters
        ----------
        request : Request
        live : LiveUpload
        facts : UploadFacts
            Its row, as just read.
        path : Path
            Its scratch file.
        length : int or None
            Of the whole upload, if it is known now.
        most : int
            Bytes that an upload of unknown length may have.
        checksum : Checksum, optional
            Of this body.

        Raises
        ------
        ChecksumMismatch
            The body is not what was announced; nothing of it was kept.
        UploadError
            It holds more than the upload has room for.
        StoreFull
            No space; what was committed before is safe.
        Conflict
            The upload was ended or continued elsewhere meanwhile.
        """
        digest = live.take_digest(facts.offset)
        summed = CHECKSUMS[checksum.algorithm]() if checksum else None
        hashes = [one for one in (digest, summed) if one is not None]
        file = await self._in_thread(partial(ScratchFile, path, facts.offset, hashes))
        state = _State(facts, file, length, most if length is None else length)
        body = live.body = Body(request)
        try:
            await self._pump(body, state, at_once=checksum is None)
            if checksum is not None and summed is not None:
                _verify(body, checksum, summed)
            complete = file.offset == length
            await self._commit(state, last=True, complete=complete)
        except (UploadError, StoreFull, OSError):
            # Not where a commit failed: nobody knows whether the offset moved before the answer
            # was lost. What is beyond it is cut off before the next byte is written.
            file.roll_back(state.committed)
            raise
        finally:
            live.body = None
            await body.close()
            file.close()
        if digest is not None:
            live.keep_digest(digest, file.offset)
        return Received(
            file.offset,
            state.expires_utc,
            complete,
            digest.hexdigest() if complete and digest is not None else None,
            body.ended == "evicted",
            body.ended == "cut",
        )

    async def _pump(self, body: Body, state: _State, *, at_once: bool) -> None:
        file, length = state.file, state.length
        while True:
            chunks, n_bytes, last = await body.take()
            if file.offset + n_bytes > state.most:
                raise UploadError(
                    f"the upload has at most {state.most} bytes, and more were sent",
                    status=413,
                    limit=state.most,
                )
            if chunks or (last and file.offset != state.committed):
                await self._in_thread(partial(_append, file, chunks, sync=last))
            if last:
                return
            # The last byte is committed only once it is known that nothing follows.
            waiting = file.offset - state.committed
            due = waiting >= COMMIT_BYTES or (waiting and n_bytes == 0)
            if at_once and due and file.offset != length:
                await self._in_thread(file.sync)
                await self._commit(state)

    async def _commit(self, state: _State, *, last: bool = False, complete: bool = False) -> None:
        before, after = state.committed, state.file.offset
        new_length = state.length if state.facts.length is None else None
        if before == after and not complete and new_length is None:
            return
        received = complete and state.facts.concat != "partial"
        state.expires_utc = datetime.now(UTC) + self._keep
        await self._commits.write(
            partial(
                commit_offset,
                upload_id=state.facts.id,
                before=before,
                after=after,
                expires_utc=state.expires_utc,
                length=new_length if last else None,
                received=received,
            )
        )
        state.committed = after
        reached("upload.received" if received else "upload.committed")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _State:
    """How far one request is."""

    def __init__(
        self, facts: UploadFacts, file: ScratchFile, length: int | None, most: int
    ) -> None:
        self.facts, self.file, self.length, self.most = facts, file, length, most
        self.committed = facts.offset
        self.expires_utc = facts.expires_utc


def _append(file: ScratchFile, chunks: list[bytes], *, sync: bool) -> None:
    file.append(chunks)
    if sync:
        file.sync()


def _verify(body: Body, checksum: Checksum, summed: Any) -> None:
    if body.ended != "complete":
        raise UploadError("the body ended early, so its checksum cannot be right", status=400)
    if summed.digest() != checksum.digest:
        raise ChecksumMismatch(
            f"the {checksum.algorithm} of the body is not the announced one", status=460
        )
