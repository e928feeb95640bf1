"""A flow run a batch, a task run a block.

A flow run costs a tenth of a second and more, a task run a few milliseconds, so a batch of hundreds
of blocks is one flow run, which each of its blocks joins when its raws are at hand. It stays open
while more of them come.

A job never waits for Prefect: while its batch's flow run is still being opened, or if no task run
has begun it within `OPEN_S`, it is begun without, and its task run, once there, shows what is under
way already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.states import Cancelled, Completed, Failed

from crowdsky.work.execute import Prepared
from crowdsky.work.outcome import JobOutcome
from flows.artifacts import BatchProgress, show_block
from flows.names import batch_run_name, block_run_name

__all__ = ["BatchRuns", "stack_a_batch", "stack_a_block"]

OPEN_S = 5.0  # a job waits no longer than this for its run to begin
AWAY_S = 15.0  # so long a server that did not answer is left alone
LINGER_S = 4.0  # a batch without jobs is closed after this

Work = Callable[[Prepared, str | None], Awaitable[JobOutcome]]
Link = Callable[[Prepared, str], Awaitable[None]]

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Item:
    """A job on its way into a task run."""

    runs: BatchRuns
    prepared: Prepared
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    work: asyncio.Task[JobOutcome] | None = None
    url: str | None = None

    def begin(self, url: str | None) -> asyncio.Task[JobOutcome]:
        """Begin the work, unless it is under way."""
        if self.work is None:
            self.work = asyncio.create_task(_awaited(self.runs.work(self.prepared, url)))
            self.url = url
            self.begun.set()
        return self.work


@dataclass(eq=False, slots=True)
class _Feed:
    """The jobs of a batch, for its flow run."""

    runs: BatchRuns
    batch_id: int
    title: str
    total: Callable[[], int]
    queue: asyncio.Queue[_Item] = field(default_factory=asyncio.Queue)
    under_way: int = 0
    finished: dict[str, int] = field(default_factory=dict)
    run: asyncio.Task[Any] | None = None
    opened: bool = False
    closed: bool = False

    async def next(self) -> _Item | None:
        """The next job; None if none has come for a while, and none will through this feed."""
        idle_since = monotonic()
        while True:
            if not self.queue.empty():
                return self.queue.get_nowait()
            idle_since = monotonic() if self.under_way else idle_since
            if self.runs.closing or monotonic() - idle_since > self.runs.linger_s:
                self.closed = True
                return None
            try:
                return await asyncio.wait_for(self.queue.get(), timeout=0.25)
            except TimeoutError:
                continue

    def summary(self) -> str:
        """How many ended how."""
        return ", ".join(f"{n} {state}" for state, n in sorted(self.finished.items())) or "nothing"


class BatchRuns:
    """The open flow runs of a worker.

    Parameters
    ----------
    work : callable
        Does a job: ``await work(prepared, address of its run)``; it does not raise.
    link : callable
        Tells a job that is under way of its run: ``await link(prepared, address)``.
    worker : str
    ui_url, public_url : str
        Addresses of Prefect's pages and of the service.
    """

    def __init__(
        self,
        work: Work,
        link: Link,
        *,
        worker: str,
        ui_url: str,
        public_url: str,
        linger_s: float = LINGER_S,
        open_s: float = OPEN_S,
    ) -> None:
        self.work, self.link, self.worker = work, link, worker
        self.ui_url, self.public_url = ui_url, public_url
        self.linger_s, self.open_s = linger_s, open_s
        self.closing = False
        self._feeds: dict[int, _Feed] = {}
        self._runs: set[asyncio.Task[Any]] = set()
        self._away_until = 0.0

    def open(self, batch_id: int, title: str, total: Callable[[], int]) -> None:
        """Have a batch's flow run open, or on its way; jobs may be fetched meanwhile."""
        feed = self._feeds.get(batch_id)
        alive = feed is not None and not feed.closed and feed.run and not feed.run.done()
        if alive or self.closing or monotonic() < self._away_until:
            return
        feed = _Feed(self, batch_id, title, total)
        self._feeds[batch_id] = feed
        named = stack_a_batch.with_options(
            flow_run_name=_plain(batch_run_name(title, batch_id, self.worker))
        )
        _feeds[id(feed)] = feed
        feed.run = asyncio.create_task(_awaited(named(batch_id, id(feed))))
        self._runs.add(feed.run)
        feed.run.add_done_callback(self._run_ended)

    async def run(self, prepared: Prepared) -> JobOutcome:
        """Do a job, inside its batch's flow run if that is to be had."""
        feed = self._feeds.get(prepared.lease.batch_id)
        if feed is None or feed.closed or feed.run is None or feed.run.done():
            return await self.work(prepared, None)
        item = _Item(self, prepared)
        feed.under_way += 1
        feed.queue.put_nowait(item)
        try:
            if feed.opened:
                begun = asyncio.create_task(item.begun.wait())
                await asyncio.wait(
                    {begun, feed.run}, timeout=self.open_s, return_when=asyncio.FIRST_COMPLETED
                )
                begun.cancel()
            outcome = await item.begin(None)
            feed.finished[outcome.state] = feed.finished.get(outcome.state, 0) + 1
            return outcome
        finally:
            feed.under_way -= 1

    async def close(self, timeout_s: float = 10.0) -> None:
        """End every open run, once its jobs are done."""
        self.closing = True
        if self._runs:
            _, late = await asyncio.wait(set(self._runs), timeout=timeout_s)
            for run in late:
                run.cancel()
            if late:
                await asyncio.wait(late, timeout=timeout_s)

    def _run_ended(self, run: asyncio.Task[Any]) -> None:
        self._runs.discard(run)
        for key, feed in list(_feeds.items()):
            if feed.run is run:
                feed.closed = True
                del _feeds[key]
                if self._feeds.get(feed.batch_id) is feed:
                    del self._feeds[feed.batch_id]
        if not run.cancelled() and (error := run.exception()) is not None:
            log.warning("a batch is not shown in Prefect: %s", _first_line(error))
            self._away_until = monotonic() + AWAY_S


#: Feeds and jobs by number: what flows and tasks are called with is shown, so it is kept plain.
_feeds: dict[int, _Feed] = {}
_items: dict[int, _Item] = {}


@flow(name="stack a batch", validate_parameters=False, persist_result=False)
async def stack_a_batch(batch_id: int, feed_number: int) -> State[Any]:
    """Stack the blocks of a batch as they come.

    Parameters
    ----------
    batch_id : int
        In the archive.
    feed_number : int
        Where this process keeps the batch's jobs.
    """
    feed = _feeds[feed_number]
    feed.opened = True
    bar = asyncio.create_task(_move_bar(feed, BatchProgress(batch_id, feed.title)))
    runs: set[asyncio.Task[Any]] = set()
    while (item := await feed.next()) is not None:
        run = asyncio.create_task(_run_block(item))
        runs.add(run)
        run.add_done_callback(runs.discard)
    if runs:
        await asyncio.wait(runs)
    bar.cancel()
    await _quietly(_show_end(feed, bar))
    return Completed(message=feed.summary())


@task(name="stack a block", task_run_name="{name}", persist_result=False, cache_policy=NO_CACHE)
async def stack_a_block(name: str, job_id: int) -> State[Any]:
    """Stack, verify, store and commit one block.

    Parameters
    ----------
    name : str
        Target and label.
    job_id : int
        In the archive.
    """
    item = _items[job_id]
    context = TaskRunContext.get()
    url = f"{item.runs.ui_url}/runs/task-run/{context.task_run.id}" if context else None
    work = item.begin(url)
    if url is not None and item.url is None:
        await item.runs.link(item.prepared, url)
    await asyncio.wait({work})
    outcome = work.result()
    await _quietly(show_block(item.prepared.lease, name, outcome, item.runs.public_url))
    return _state(outcome)


async def _run_block(item: _Item) -> None:
    job_id = item.prepared.lease.job_id
    name = _plain(block_run_name(item.prepared.target, item.prepared.label))
    _items[job_id] = item
    try:
        await _awaited(stack_a_block(name, job_id, return_state=True))
    finally:
        if _items.get(job_id) is item:
            del _items[job_id]


def _state(outcome: JobOutcome) -> State[Any]:
    if outcome.state == "done":
        return Completed(message=f"{outcome.n_used} of {outcome.n_frames} frames stacked")
    if outcome.state == "nothing":
        return Completed(name="No stack", message=outcome.reason)
    if outcome.state in ("lost", "released"):
        return Cancelled(message=outcome.reason)
    name = "Failed" if outcome.state == "failed" else "Will be tried again"
    return Failed(name=name, message=outcome.reason)


async def _move_bar(feed: _Feed, bar: BatchProgress) -> BatchProgress:
    try:
        while True:
            await _quietly(bar.show(sum(feed.finished.values()), feed.total()))
            await asyncio.sleep(bar.REST_S)
    except asyncio.CancelledError:
        return bar


async def _show_end(feed: _Feed, bar: asyncio.Task[BatchProgress]) -> None:
    await (await bar).show(sum(feed.finished.values()), feed.total())


async def _quietly(show: Coroutine[Any, Any, None], timeout_s: float = 20.0) -> None:
    """Show something; whether that works is of no consequence for the work."""
    showing = asyncio.create_task(show)
    done, late = await asyncio.wait({showing}, timeout=timeout_s)
    for one in late:
        one.cancel()
    for one in done:
        if not one.cancelled() and (error := one.exception()) is not None:
            log.info("not shown in Prefect: %s", _first_line(error))


async def _awaited(run: Any) -> Any:
    return await run


def _plain(name: str) -> str:
    """Without braces, which Prefect takes for places to fill in."""
    return name.replace("{", "(").replace("}", ")")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
