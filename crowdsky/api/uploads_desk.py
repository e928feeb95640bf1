"""What the routes of uploads share: threads, limits, and who sends what just now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from crowdsky.api.context import Context
from crowdsky.api.intake import Intake, Outcome
from crowdsky.api.unpack import archive_kind
from crowdsky.api.uploads_commits import GroupCommits
from crowdsky.api.uploads_live import LiveUploads
from crowdsky.api.uploads_receive import Receiver
from crowdsky.archive.accounts import used_bytes
from crowdsky.archive.diskspace import enough_space
from crowdsky.archive.models import Observer
from crowdsky.archive.uploads import UploadFacts, open_bytes, scratch_path
from crowdsky.errors import LimitExceeded, StoreFull

__all__ = ["UploadDesk", "desk_of", "desk_open"]

T = TypeVar("T")

THREADS = 6
ROOM_S = 5.0  # for which a count of what an observer has is believed
OUTCOME_S = 15.0  # for which the last request of an upload waits to be told what came of it
_MB = 1_000_000


class UploadDesk:
    """Everything that uploads need while the service runs.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        self.settings = context.settings
        self.archive = context.archive
        self.commits = GroupCommits(context.archive)
        self.live = LiveUploads()
        self.intake = Intake(context, self.commits)
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="uploads")
        self.keep = timedelta(days=context.settings.upload_days)
        self.receiver = Receiver(self.commits, self.threads, self.keep)
        self._rooms: dict[int, tuple[float, int, int]] = {}

    async def close(self) -> None:
        """Stop; nothing that was committed is lost."""
        await self.intake.close()
        self.commits.close()
        self.threads.shutdown(wait=True)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something that blocks."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def read(self, work: Callable[[Session], T]) -> T:
        """Ask the archive."""

        def ask() -> T:
            with self.archive.reading() as session:
                return work(session)

        return await self.in_thread(ask)

    def path(self, upload_id: str) -> Path:
        """Scratch file of an upload."""
        return scratch_path(self.settings, upload_id)

    def expires_utc(self) -> datetime:
        """When an upload that begins now is given up."""
        return datetime.now(UTC) + self.keep

    # --- limits -----------------------------------------------------------------------------------

    @property
    def max_size(self) -> int:
        """Bytes of the largest upload there can be."""
        return max(self.settings.max_archive_mb, self.settings.max_file_mb) * _MB

    def size_limit(self, name: str, concat: str) -> int:
        """Bytes of the largest upload of a name; a part has no name yet."""
        if concat == "partial":
            return self.max_size
        settings = self.settings
        return (settings.max_archive_mb if archive_kind(name) else settings.max_file_mb) * _MB

    def check_size(self, name: str, concat: str, length: int) -> None:
        """Refuse what is too large.

        Raises
        ------
        LimitExceeded
        """
        limit = self.size_limit(name, concat)
        if length > limit:
            what = "an archive" if concat == "partial" or archive_kind(name) else "a frame"
            raise LimitExceeded(
                f"{what} has at most {limit // _MB} MB",
                file=name,
                value=f"{length} bytes",
                limit=limit,
                status=413,
                retry_after_s=None,
            )

    def check_space(self, n_bytes: int) -> None:
        """Have senders pause while the disk is nearly full.

        Raises
        ------
        StoreFull
        """
        if not enough_space(self.settings, n_bytes):
            raise StoreFull(
                "no space for uploads just now; everything sent so far is safe, and can be"
                " continued later",
                retry_after_s=60,
            )

    async def check_quota(self, observer_id: int, n_bytes: int) -> None:
        """Refuse a new upload for which an observer has no room; counted every few seconds.

        The last word has the archive, when the frame is taken.

        Raises
        ------
        LimitExceeded
        """
        until, quota, room = self._rooms.get(observer_id, (0.0, 0, 0))
        if until < time.monotonic():
            until = time.monotonic() + ROOM_S
            quota, room = await self.read(partial(self._room, observer_id))
        if n_bytes > room:
            self._rooms.pop(observer_id, None)
            raise LimitExceeded(
                f"the quota of {quota / 1e9:g} GB has room for {max(room, 0)} bytes more",
                value=f"{n_bytes} bytes",
                limit=quota,
                status=507,
                retry_after_s=None,
            )
        self._rooms[observer_id] = (until, quota, room - n_bytes)

    def _room(self, observer_id: int, session: Session) -> tuple[int, int]:
        own = session.scalar(select(Observer.quota_bytes).where(Observer.id == observer_id))
        quota = int(self.settings.quota_gb * 1e9) if own is None else own
        used = sum(used_bytes(session, observer_id)) + open_bytes(session, observer_id)
        return quota, quota - used

    # --- the end of an upload ---------------------------------------------------------------------

    async def outcome(
        self, upload_id: str, sha256: str | None, fresh: UploadFacts | None = None
    ) -> Outcome:
        """What came of an upload, as far as that is known within `OUTCOME_S` seconds."""
        task = self.intake.submit(upload_id, sha256, fresh)
        self.live.forget(upload_id)
        done, _ = await asyncio.wait({task}, timeout=OUTCOME_S)
        if not done or task.cancelled() or task.exception() is not None:
            return Outcome("received", "still being looked at")
        return task.result()


@asynccontextmanager
async def desk_open(app: Any) -> AsyncIterator[None]:
    """Open the desk with the service, and take up what the last one left."""
    app.state.uploads = desk = UploadDesk(app.state.context)
    desk.intake.start()
    try:
        await desk.intake.resume()
        yield
    finally:
        del app.state.uploads
        await desk.close()


def desk_of(request: Request) -> UploadDesk:
    """The desk of the service that got a request (a FastAPI dependency)."""
    desk: UploadDesk = request.app.state.uploads
    return desk
