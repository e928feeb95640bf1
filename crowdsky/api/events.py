"""Changes of jobs and books as they happen: server-sent events.

One reader asks the archive, however many listen: it asks for the jobs of those who listen that have
changed since the last time, by the index of ``changed_utc``. What a listener has not taken yet is
kept once a job, its latest state, so a slow one costs no more memory than a fast one.

An event's ``id`` is the time of the change. A browser that was cut off sends it back as
``Last-Event-ID``, and gets everything that has changed since.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool

from crowdsky.api.context import Context
from crowdsky.api.limits import Recent
from crowdsky.api.serve_job_view import event_number, job_views, shown
from crowdsky.api.serve_json import plain
from crowdsky.api.who import Caller, doorkeeper, needs
from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, Job
from crowdsky.errors import ArchiveUnavailable, LimitExceeded

__all__ = ["Events", "router", "tell_deleted"]

POLL_S = 1.0
BOOKS_S = 3.0
HEARTBEAT_S = 10.0
# A transaction may be seen later than the time it wrote down.
OVERLAP = timedelta(seconds=10)
MOST_PER_OBSERVER = 20
MOST_LISTENERS = 2000
MOST_WAITING = 1000
MOST_AT_ONCE = 5000  # of one reading
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

View = dict[str, Any]


class Listener:
    """Somebody who listens, and what they have not taken yet."""

    def __init__(self, observer_id: int) -> None:
        self.observer_id = observer_id
        self.books: dict[str, int] = {}
        self._waiting: dict[str, tuple[str, str, str]] = {}
        self._there = asyncio.Event()

    def put(self, key: str, kind: str, number: str, data: Any) -> None:
        """Tell something; what was told under the same key before need not be told any more."""
        self._waiting.pop(key, None)
        if len(self._waiting) >= MOST_WAITING:
            # Too much was missed: whoever listens had better ask for the whole list.
            self._waiting.clear()
            key, kind, data = "reset", "reset", {}
        self._waiting[key] = (kind, number, json.dumps(plain(data)))
        self._there.set()

    async def take(self, within_s: float) -> list[tuple[str, str, str]]:
        """What there is to tell; empty when nothing happens in that time."""
        try:
            async with asyncio.timeout(within_s):
                await self._there.wait()
        except TimeoutError:
            return []
        self._there.clear()
        told = list(self._waiting.values())
        self._waiting.clear()
        return told


class Events:
    """All who listen, and the one who reads; one a service.

    Parameters
    ----------
    archive : Archive
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.poll_s, self.heartbeat_s, self.books_s = POLL_S, HEARTBEAT_S, BOOKS_S
        self.n_reads = 0
        self.closed = False
        self._listeners: dict[int, set[Listener]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._told: Recent[datetime] = Recent(86400.0, most=100_000)
        self._gone: Recent[bool] = Recent(60.0)
        self._since: datetime | None = None
        self._books_due = 0.0

    @property
    def n_listeners(self) -> int:
        """How many listen."""
        return sum(map(len, self._listeners.values()))

    def add(self, observer_id: int) -> Listener:
        """Begin to listen.

        Raises
        ------
        LimitExceeded
        """
        own = self._listeners.get(observer_id, set())
        if len(own) >= MOST_PER_OBSERVER or self.n_listeners >= MOST_LISTENERS:
            raise LimitExceeded(
                f"at most {MOST_PER_OBSERVER} pages of one account can listen at once",
                limit=MOST_PER_OBSERVER,
                retry_after_s=10,
            )
        listener = Listener(observer_id)
        self._listeners.setdefault(observer_id, set()).add(listener)
        self._books_due = 0.0
        if self._reader is None or self._reader.done():
            self._since = None
            self._reader = asyncio.create_task(self._read())
        return listener

    def remove(self, listener: Listener) -> None:
        """Stop listening."""
        own = self._listeners.get(listener.observer_id, set())
        own.discard(listener)
        if not own:
            self._listeners.pop(listener.observer_id, None)

    def close(self) -> None:
        """End every answer that is still open."""
        self.closed = True
        for own in self._listeners.values():
            for listener in own:
                listener._there.set()
        if self._reader is not None:
            self._reader.cancel()

    def deleted(self, observer_id: int, job_id: int) -> None:
        """Tell that a job is gone; what was read before it went is not told any more."""
        self._gone.put(job_id, True)
        for listener in self._listeners.get(observer_id, ()):
            listener.put(f"job:{job_id}", "job", "", {"id": job_id, "state": "deleted"})

    async def catch_up(self, listener: Listener, since: int) -> None:
        """Tell what has changed since an event."""
        begin = _EPOCH + timedelta(microseconds=since)
        views = await run_in_threadpool(self._changed, [listener.observer_id], begin)
        if len(views) > MOST_WAITING:
            listener.put("reset", "reset", str(since), {})
            return
        for view in views:
            _tell(listener, view)

    async def _read(self) -> None:
        while self._listeners and not self.closed:
            observers = list(self._listeners)
            # While the database is away those who listen see nothing new, and then all of it.
            with suppress(ArchiveUnavailable):
                await self._read_once(observers)
            await asyncio.sleep(self.poll_s)

    async def _read_once(self, observers: list[int]) -> None:
        self.n_reads += 1
        if self._since is None:
            self._since = await run_in_threadpool(self._now)
        views = await run_in_threadpool(self._changed, observers, self._since - OVERLAP)
        if len(views) > MOST_AT_ONCE:
            self._since = await run_in_threadpool(self._now) + OVERLAP
            for listener in [one for own in self._listeners.values() for one in own]:
                listener.put("reset", "reset", "", {})
            return
        for view in views:
            if self._told.get(view["id"]) == view["changed"] or self._gone.get(view["id"]):
                continue
            self._told.put(view["id"], view["changed"])
            self._since = max(self._since, view["changed"])
            self._books_due = 0.0
            for listener in self._listeners.get(view["observer_id"], ()):
                _tell(listener, view)
        if time.monotonic() >= self._books_due:
            begun = time.monotonic()
            counted = await run_in_threadpool(self._books, observers)
            # Counting many frames takes its time; it may have a fiftieth of ours.
            took_s = time.monotonic() - begun
            self._books_due = time.monotonic() + max(self.books_s, 50.0 * took_s)
            self._tell_books(counted)

    def _tell_books(self, counted: dict[int, dict[str, int]]) -> None:
        for observer_id, books in counted.items():
            for listener in self._listeners.get(observer_id, ()):
                if listener.books != books:
                    listener.books = books
                    listener.put("books", "books", "", books)

    def _now(self) -> datetime:
        with self.archive.reading() as session:
            return database_now(session)

    def _changed(self, observers: list[int], since: datetime) -> list[View]:
        with self.archive.reading() as session:
            return job_views(
                session,
                Job.observer_id.in_(observers),
                Job.changed_utc > since,
                order=[Job.changed_utc, Job.id],
                limit=MOST_AT_ONCE + 1,
            )

    def _books(self, observers: list[int]) -> dict[int, dict[str, int]]:
        empty = {"accepted": 0, "stacked": 0, "rejected": 0, "pending": 0}
        counted = {observer: dict(empty) for observer in observers}
        with self.archive.reading() as session:
            rows = session.execute(
                select(FrameRow.observer_id, FrameRow.state, func.count())
                .where(FrameRow.observer_id.in_(observers))
                .group_by(FrameRow.observer_id, FrameRow.state)
            )
            for observer, state, number in rows:
                counted[observer][state] = number
                counted[observer]["accepted"] += number
        return counted


def _tell(listener: Listener, view: View) -> None:
    number = str(event_number(view["changed"]))
    listener.put(f"job:{view['id']}", "job", number, shown(view))


def tell_deleted(request: Request, observer_id: int, job_id: int) -> None:
    """Tell who listens that a job is gone; may be called from any thread."""
    events: Events = request.app.state.events
    loop: asyncio.AbstractEventLoop = request.app.state.loop
    loop.call_soon_threadsafe(events.deleted, observer_id, job_id)


@asynccontextmanager
async def _open(app: Any) -> AsyncIterator[None]:
    context: Context = app.state.context
    app.state.loop = asyncio.get_running_loop()
    app.state.events = events = Events(context.archive)
    try:
        yield
    finally:
        events.close()


router = APIRouter(tags=["jobs"], lifespan=_open)


@router.get("/api/v1/events", summary="Changes as they happen (server-sent events)")
async def listen(
    request: Request,
    caller: Annotated[Caller, Depends(needs("read"))],
    since: Annotated[str, Query(max_length=32, description="event_id of the list of jobs")] = "",
    last_event_id: Annotated[str, Header(max_length=64)] = "",
) -> Response:
    """Events of the caller's jobs and frames.

    ``job`` has the job as data (``state`` is ``deleted`` for one that is gone), ``books`` the four
    counts; after ``reset``, so much was missed that the list of jobs is to be asked for anew.
    """
    events: Events = request.app.state.events
    listener = events.add(caller.observer_id)
    try:
        number = last_event_id or since
        if number.isascii() and number.isdigit() and int(number) < event_number(_FAR):
            await events.catch_up(listener, int(number))
    except BaseException:
        events.remove(listener)
        raise
    return StreamingResponse(
        _stream(request, events, listener),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


_FAR = datetime(9000, 1, 1, tzinfo=UTC)


async def _stream(request: Request, events: Events, listener: Listener) -> AsyncIterator[str]:
    keeper = doorkeeper(request)
    try:
        yield "retry: 3000\n\n"
        checked = time.monotonic()
        while not events.closed:
            told = await listener.take(events.heartbeat_s)
            for kind, number, data in told:
                numbered = f"id: {number}\n" if number else ""
                yield f"event: {kind}\n{numbered}data: {data}\n\n"
            if not told:
                yield ": still here\n\n"
            if time.monotonic() - checked >= events.heartbeat_s:
                checked = time.monotonic()
                if not await _still_good(keeper, request):
                    return
    finally:
        events.remove(listener)


async def _still_good(keeper: Any, request: Request) -> bool:
    """Whether the key is good; while that cannot be found out, it is taken to be."""
    try:
        return bool(await keeper.still_good(request))
    except (ArchiveUnavailable, LimitExceeded):
        return True
