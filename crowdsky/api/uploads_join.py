"""Parts that were sent side by side become one upload."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy.orm import Session

from crowdsky.api.intake import Outcome
from crowdsky.api.uploads_desk import UploadDesk
from crowdsky.api.uploads_scratch import ScratchFile
from crowdsky.archive.uploads import UploadFacts, find_upload, shorten_life
from crowdsky.errors import CrowdSkyError, UploadError
from crowdsky.steps import reached

__all__ = ["join"]

CHUNK_BYTES = 1 << 20
# The answer may be lost and the request repeated, so the parts are not removed at once.
KEEP_PARTS = timedelta(hours=1)


async def join(
    desk: UploadDesk,
    observer_id: int,
    upload_id: str,
    name: str,
    parts: Sequence[str],
    row: Callable[..., UploadFacts],
) -> Outcome:
    """Join parts into a new upload, and look at it.

    Parameters
    ----------
    desk : UploadDesk
    observer_id : int
    upload_id : str
        Of the upload that results.
    name : str
    parts : sequence of str
        Uploads, in order; a part may be used more than once.
    row : callable
        Writes the row, given a session and what is not known before.

    Raises
    ------
    UploadError
        An upload that is no part, or is not complete.
    NotFound
    LimitExceeded, StoreFull
    """
    found = await desk.read(partial(_find_all, observer_id, parts))
    for part in found:
        if part.concat != "partial" or part.length is None or part.offset != part.length:
            raise UploadError("only complete parts are joined", value=part.id, status=409)
    length = sum(part.offset for part in found)
    desk.check_size(name, "final", length)
    desk.check_space(length)
    await desk.check_quota(observer_id, length)
    path = desk.path(upload_id)
    files = [(desk.path(part.id), part.offset) for part in found]
    try:
        sha256 = await desk.in_thread(partial(_copy, files, path))
        reached("join.copied")
        await desk.commits.write(partial(_enter, row, found, length, desk.expires_utc()))
    except CrowdSkyError:
        await desk.in_thread(partial(path.unlink, missing_ok=True))
        raise
    reached("join.committed")
    return await desk.outcome(upload_id, sha256)


def _find_all(observer_id: int, parts: Sequence[str], session: Session) -> list[UploadFacts]:
    return [find_upload(session, observer_id, part) for part in parts]


def _enter(
    row: Callable[..., UploadFacts],
    parts: Sequence[UploadFacts],
    length: int,
    expires_utc: datetime,
    session: Session,
) -> None:
    row(session, length=length, offset=length, expires_utc=expires_utc, state="received")
    shorten_life(session, [part.id for part in parts], datetime.now(UTC) + KEEP_PARTS)


def _copy(files: Sequence[tuple[Path, int]], path: Path) -> str:
    """Write the first bytes of each file one behind the other; their SHA-256."""
    digest = hashlib.sha256()
    with closing(ScratchFile(path, 0, [digest])) as out:
        for source, n_bytes in files:
            try:
                left = n_bytes
                with source.open("rb") as stream:
                    while left and (chunk := stream.read(min(CHUNK_BYTES, left))):
                        out.append([chunk])
                        left -= len(chunk)
            except FileNotFoundError:
                left = n_bytes
            if left:
                raise UploadError("bytes of a part are gone; send it again", status=410)
        out.sync()
    return digest.hexdigest()
