"""The worker of a machine: ``python -m flows.worker``.

It leases jobs in fair order, fetches the raws of the next ones while the present ones are computed,
feeds them to warm processes, and gives every lease back when it stops. It may be killed at any
moment: then its leases expire, and it or another worker takes the jobs again. Any number of workers
on any number of machines may share an archive.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import func, select, update

from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import expire_leases
from crowdsky.archive.models import Batch, Job
from crowdsky.archive.queue import LeasedJob, lease_jobs
from crowdsky.archive.store import FileStore
from crowdsky.settings import ServerSettings, load_server_settings
from crowdsky.work.execute import Prepared, Workshop, end_attempt, finish, prepare
from crowdsky.work.fetch import Fetcher
from crowdsky.work.lease_keeper import LeaseKeeper
from crowdsky.work.outcome import JobOutcome
from crowdsky.work.pool import Stacker, StackingPool
from crowdsky.work.scratch import sweep_attempts
from crowdsky.work.ticket import Ticket
from flows.names import worker_name
from flows.process import run_until_signalled
from flows.server import api_url_of, ui_url_of, use_server

__all__ = ["Worker", "main"]

POLL_S = 0.05  # how long a job may wait that nobody has been told of
PAUSE_S = 15.0  # rest when there is no room for raws or stacks
STOP_GRACE_S = 5.0  # for running jobs to end by themselves
SCRATCH_EVERY_S = 600.0
JOB_TIMEOUT_S = 4 * 3600.0

log = logging.getLogger("crowdsky.worker")
T = TypeVar("T")


@dataclass(slots=True)
class _Running:
    lease: LeasedJob
    ticket: Ticket


class Worker:
    """Leases jobs and does them.

    Parameters
    ----------
    settings : ServerSettings
        `jobs` blocks at once, `fetches` raws under way at once.
    archive, store, stacker
    name : str
    runs : BatchRuns or None
        Where jobs are shown; None does them without Prefect.
    until_empty : bool
        Stop when nothing is queued or under way.
    on_outcome : callable, optional
        Called with each job and how it ended.
    """

    def __init__(
        self,
        settings: ServerSettings,
        archive: Archive,
        store: FileStore,
        stacker: Stacker,
        *,
        name: str,
        prefect: bool = True,
        until_empty: bool = False,
        on_outcome: Callable[[LeasedJob, JobOutcome], None] | None = None,
    ) -> None:
        self.settings, self.archive, self.name = settings, archive, name
        self.until_empty, self.on_outcome = until_empty, on_outcome
        self.shop = Workshop(
            archive,
            store,
            stacker,
            Fetcher(store, settings.fetches),
            settings.scratch_dir / "jobs",
            retry_after_s=settings.retry_after_s,
            max_attempts=settings.max_attempts,
        )
        # Enough that a slot which becomes free finds raws at hand, not so many that jobs lie here
        # which another machine could be doing.
        self.capacity = settings.jobs + max(2, settings.jobs // 2)
        self.keeper = LeaseKeeper(archive, lease_s=settings.lease_s)
        self.threads = ThreadPoolExecutor(2 * self.capacity + 4, thread_name_prefix="job")
        self.runs = None
        if prefect:
            from flows.blocks import BatchRuns

            self.runs = BatchRuns(
                self._finish,
                self._link,
                worker=name,
                ui_url=ui_url_of(api_url_of(settings)),
                public_url=settings.public_url,
            )
        self._running: dict[int, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._titles: dict[int, tuple[str, int]] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._paused_until = 0.0

    async def run(self) -> None:
        """Work until `stop` is called (or, with `until_empty`, until nothing is left)."""
        self.keeper.start()
        upkeep = asyncio.create_task(self._upkeep())
        try:
            while not self._stopping:
                leased = await self._lease()
                if self.until_empty and not leased and not self._tasks and await self._is_empty():
                    break
                if not leased:
                    await self._rest()
        finally:
            upkeep.cancel()
            await self._end()

    def stop(self) -> None:
        """Lease nothing more, let what is nearly done end, give the rest back."""
        log.info("%s: stopping", self.name)
        self._stopping = True
        self._wake.set()

    # -- leasing ----------------------------------------------------------------------------------

    async def _lease(self) -> bool:
        free = self.capacity - len(self._tasks)
        if free < 1 or monotonic() < self._paused_until:
            return False
        leases = await self._thread(self._lease_some, free)
        for lease in leases or ():
            task = asyncio.create_task(self._job(lease))
            self._tasks.add(task)
            task.add_done_callback(self._job_ended)
        return bool(leases)

    def _lease_some(self, n: int) -> list[LeasedJob]:
        # A look costs nothing; leasing takes SQLite's write lock, which others are waiting for.
        if not self._waiting():
            return []
        return lease_jobs(self.archive, self.name, n, lease_s=self.settings.lease_s)

    def _waiting(self) -> bool:
        with self.archive.reading() as session:
            now = database_now(session)
            waiting = select(Job.id).where(Job.state == "queued", Job.not_before_utc <= now)
            return session.scalar(waiting.limit(1)) is not None

    async def _is_empty(self) -> bool:
        def unfinished() -> bool:
            with self.archive.reading() as session:
                live = select(Job.id).where(Job.state.in_(("queued", "running"))).limit(1)
                return session.scalar(live) is not None

        return await self._thread(unfinished) is False

    async def _rest(self) -> None:
        self._wake.clear()
        if self._stopping:
            return
        waiting = asyncio.create_task(self._wake.wait())
        await asyncio.wait({waiting}, timeout=POLL_S)
        waiting.cancel()

    # -- a job ------------------------------------------------------------------------------------

    async def _job(self, lease: LeasedJob) -> None:
        ticket = Ticket()
        self._running[lease.job_id] = _Running(lease, ticket)
        self.keeper.add(lease, ticket)
        try:
            if self.runs is not None:
                title, _ = await self._batch(lease.batch_id)
                total = functools.partial(self._total, lease.batch_id)
                self.runs.open(lease.batch_id, title, total)
            prepared = await self._attempt(lease, ticket, prepare, self.shop, lease, ticket)
            if isinstance(prepared, JobOutcome):
                outcome = prepared
            elif self.runs is not None:
                outcome = await self.runs.run(prepared)
            else:
                outcome = await self._finish(prepared, None)
        finally:
            self.keeper.remove(lease)
            self._running.pop(lease.job_id, None)
        if outcome.state == "paused":
            log.warning("resting for %g s: %s", PAUSE_S, outcome.reason)
            self._paused_until = monotonic() + PAUSE_S
        level = logging.INFO if outcome.state in ("done", "released") else logging.WARNING
        log.log(level, "job %d: %s %s", lease.job_id, outcome.state, outcome.reason)
        if self.on_outcome is not None:
            self.on_outcome(lease, outcome)

    async def _finish(self, prepared: Prepared, run_url: str | None) -> JobOutcome:
        call = functools.partial(finish, run_url=run_url)
        outcome = await self._attempt(prepared.lease, prepared.ticket, call, self.shop, prepared)
        assert isinstance(outcome, JobOutcome)
        return outcome

    async def _link(self, prepared: Prepared, run_url: str) -> None:
        await self._thread(self._write_link, prepared.lease, run_url)

    def _write_link(self, lease: LeasedJob, run_url: str) -> None:
        """Tell a job of its run where that began after it; it may have ended, and be linked yet."""
        with self.archive.writing() as session:
            session.execute(
                update(Job)
                .where(Job.id == lease.job_id, Job.worker == self.name, Job.run_url == "")
                .values(run_url=run_url, changed_utc=database_now(session))
            )

    async def _attempt(
        self, lease: LeasedJob, ticket: Ticket, call: Callable[..., T], *args: Any
    ) -> T | JobOutcome:
        """Call in a thread; whatever it raises, foreseen or not, is the end of the attempt only."""
        future = asyncio.get_running_loop().run_in_executor(self.threads, call, *args)
        await asyncio.wait({future})
        error = future.exception()
        if error is None:
            return future.result()
        log.debug("job %d", lease.job_id, exc_info=error)
        ended = await self._thread(end_attempt, self.shop, lease, ticket, error)
        return ended or JobOutcome("lost", f"{type(error).__name__}: {error}")

    def _job_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a job broke; its lease will expire", exc_info=error)

    # -- the rest ---------------------------------------------------------------------------------

    async def _batch(self, batch_id: int) -> tuple[str, int]:
        if batch_id not in self._titles:
            found = await self._thread(self._read_batch, batch_id)
            self._titles[batch_id] = found or ("", 0)
        return self._titles[batch_id]

    def _read_batch(self, batch_id: int) -> tuple[str, int]:
        with self.archive.reading() as session:
            title = session.scalar(select(Batch.title).where(Batch.id == batch_id)) or ""
            total = session.scalar(select(func.count()).where(Job.batch_id == batch_id)) or 0
        return title, total

    def _total(self, batch_id: int) -> int:
        return self._titles.get(batch_id, ("", 0))[1]

    async def _upkeep(self) -> None:
        """Take the jobs of workers that fell silent, also of one that had this worker's place."""
        swept = -SCRATCH_EVERY_S
        while True:
            await self._thread(
                expire_leases,
                self.archive,
                retry_after_s=self.settings.retry_after_s,
                max_attempts=self.settings.max_attempts,
            )
            if monotonic() - swept > SCRATCH_EVERY_S:
                swept = monotonic()
                await self._thread(sweep_attempts, self.archive, self.shop.scratch)
            await asyncio.sleep(min(30.0, self.settings.lease_s / 2))

    async def _thread(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T | None:
        """Call in a thread; None where it failed, which is logged and tried again by the caller."""
        bound = functools.partial(call, *args, **kwargs)
        future = asyncio.get_running_loop().run_in_executor(self.threads, bound)
        await asyncio.wait({future})
        error = future.exception()
        if error is None:
            return future.result()
        log.warning("%s", error)
        await asyncio.sleep(1.0)
        return None

    async def _end(self) -> None:
        for running in list(self._running.values()):
            if running.ticket.done_frames == 0:
                running.ticket.cancel("released")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=STOP_GRACE_S)
        for running in list(self._running.values()):
            running.ticket.cancel("released")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=STOP_GRACE_S)
        if self.runs is not None:
            await self.runs.close(timeout_s=STOP_GRACE_S)
        self.keeper.close()
        self.shop.fetcher.close()
        self.threads.shutdown(wait=False, cancel_futures=True)


async def _work(settings: ServerSettings, args: argparse.Namespace, stopped: asyncio.Event) -> None:
    from crowdsky.archive.open_store import open_store

    archive = Archive(settings.database_url)
    pool = StackingPool(settings.jobs, timeout_s=JOB_TIMEOUT_S)
    name = worker_name(args.host)
    log.info("%s: warming up %d processes", name, settings.jobs)
    loop = asyncio.get_running_loop()
    starting: asyncio.Future[Any] = loop.run_in_executor(None, pool.start)
    stop: asyncio.Future[Any] = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return
        starting.result()
        worker = Worker(
            settings,
            archive,
            open_store(settings),
            pool,
            name=name,
            prefect=not args.no_prefect,
            until_empty=args.until_empty,
        )
        log.info("%s: ready", name)
        working: asyncio.Future[Any] = asyncio.create_task(worker.run())
        await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await working
    finally:
        stop.cancel()
        await loop.run_in_executor(None, pool.close)
        archive.close()
        log.info("%s: stopped", name)


def main(argv: list[str] | None = None) -> int:
    """Run the worker of this machine until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m flows.worker", description=__doc__)
    parser.add_argument("--host", default="", help="name of this machine (default: its own)")
    parser.add_argument("--jobs", type=int, help="blocks stacked at once (default: the setting)")
    parser.add_argument("--until-empty", action="store_true", help="stop when nothing is queued")
    parser.add_argument("--no-prefect", action="store_true", help="show nothing in Prefect")
    args = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request otherwise
    settings = load_server_settings()
    if args.jobs:
        settings = replace(settings, jobs=args.jobs)
    if not args.no_prefect:
        use_server(api_url_of(settings))
    return run_until_signalled(functools.partial(_work, settings, args))


if __name__ == "__main__":
    sys.exit(main())
