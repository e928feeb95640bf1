"""Processes that stand ready to stack, one job at a time each.

A process takes seconds to start: imports, compiled kernels, the index of the blind solver. So they
are started once, warmed up by stacking three small frames, and kept.

Each slot is a pebble pool of one process. One pool of many processes would do with fewer threads,
but its processes share a queue, and one that is killed in the wrong moment (waiting for a job, or
with the queue's lock in its hand) takes the others with it. Here a process that dies, of whatever
cause, fails the job that it had and is started anew.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import queue
import signal
import threading
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from crowdsky.errors import CrowdSkyError, StackError
from crowdsky.work.order import Order, Stacked
from crowdsky.work.ticket import Ticket

__all__ = ["Stacker", "StackingPool"]

POLL_S = 0.1
PID, SERIAL, DONE, BUSY = 0, 1, 2, 3

log = logging.getLogger(__name__)


class Stacker(Protocol):
    """Whatever stacks a block."""

    def stack(self, order: Order, ticket: Ticket) -> Stacked:
        """Stack a block; returns when it is done.

        Raises
        ------
        concurrent.futures.CancelledError
            If the ticket was cancelled.
        StackError
            If it cannot be done, for a reason that lies not in the frames.
        """


class StackingPool:
    """A warm process for each block that is stacked at once.

    Parameters
    ----------
    jobs : int
        Processes.
    timeout_s : float, optional
        Longest time for one block.
    memory_bytes : int, optional
        Address space of each process.
    """

    def __init__(
        self, jobs: int, *, timeout_s: float | None = None, memory_bytes: int | None = None
    ) -> None:
        self.jobs, self.timeout_s = jobs, timeout_s
        self._slots = [_Slot(memory_bytes) for _ in range(jobs)]
        # The slot that was freed last is the warmest.
        self._free: queue.LifoQueue[_Slot] = queue.LifoQueue()
        self._serials = itertools.count(1)

    def start(self) -> None:
        """Start every process, and return when all are warm.

        Raises
        ------
        StackError
            If a process cannot be started.
        """
        # Where nothing is compiled or built yet, the first does it and the others find it done.
        for group in (self._slots[:1], self._slots[1:]):
            for slot, future in [(slot, slot.warm_up()) for slot in group]:
                _result(future, "could not be started")
                self._free.put(slot)

    def stack(self, order: Order, ticket: Ticket) -> Stacked:
        """Stack a block in the next process that is free; see `Stacker`."""
        slot = self._take(ticket)
        try:
            return slot.stack(order, ticket, next(self._serials), self.timeout_s)
        finally:
            self._free.put(slot)

    def pids(self) -> list[int]:
        """Process ids, as far as the processes have started."""
        return [slot.shared[PID] for slot in self._slots if slot.shared[PID]]

    def close(self) -> None:
        """Stop every process, whatever it does."""
        threads = [threading.Thread(target=slot.close) for slot in self._slots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _take(self, ticket: Ticket) -> _Slot:
        while True:
            ticket.check()
            try:
                return self._free.get(timeout=POLL_S)
            except queue.Empty:
                continue


class _Slot:
    """One process, and the next one when it dies."""

    def __init__(self, memory_bytes: int | None) -> None:
        self.memory_bytes = memory_bytes
        # Workers start afresh ("spawn"): a forked child of a process with threads may hang.
        self.context = multiprocessing.get_context("spawn")
        #: Process id, number of its last order, frames done of it, whether it is on it now.
        self.shared: Any = self.context.RawArray("q", 4)
        self.pool: ProcessPool | None = None

    def warm_up(self) -> ProcessFuture[None]:
        """Have a process ready; the future is done when it is."""
        future: ProcessFuture[None] = self._active().schedule(_ready)
        return future

    def stack(self, order: Order, ticket: Ticket, serial: int, timeout_s: float | None) -> Stacked:
        ticket.count_with(lambda: self.shared[DONE] if self.shared[SERIAL] == serial else 0)
        while True:
            future = self._active().schedule(_work, args=(order, serial), timeout=timeout_s)
            while not wait([future], timeout=POLL_S).done:
                if ticket.is_cancelled:
                    self._stop(future, serial)
                    break
            if ticket.is_cancelled or not self._never_began(future, serial):
                break
            self._renew()
        done = self.shared[DONE] if self.shared[SERIAL] == serial else 0
        ticket.count_with(lambda: done)
        ticket.check()
        stacked: Stacked = _result(future, "failed")
        return stacked

    def close(self) -> None:
        if self.pool is not None:
            self.pool.stop()
            self.pool.join()
            self.pool = None

    def _active(self) -> ProcessPool:
        if self.pool is not None and not self.pool.active:
            log.warning("a stacking process died while it had nothing to do; starting another")
            self.close()
        if self.pool is None:
            self.pool = ProcessPool(
                max_workers=1,
                initializer=_start,
                initargs=(self.shared, self.memory_bytes),
                context=self.context,
            )
        return self.pool

    def _never_began(self, future: ProcessFuture[Stacked], serial: int) -> bool:
        """Whether the process was dead when it was given the job, which is not the job's fault."""
        died = isinstance(future.exception(), ProcessExpired | BrokenProcessPool)
        return died and self.shared[SERIAL] != serial

    def _renew(self) -> None:
        """Start a process in the place of a dead one; one that cannot start ends the job."""
        self.close()
        _result(self.warm_up(), "could not be started")

    def _stop(self, future: ProcessFuture[Stacked], serial: int) -> None:
        """Stop computing at once; the process may hold nothing that outlives it."""
        future.cancel()
        its_turn = self.shared[SERIAL] == serial and self.shared[BUSY]
        if its_turn and hasattr(signal, "SIGKILL"):
            try:
                os.kill(self.shared[PID], signal.SIGKILL)
            except ProcessLookupError:
                return


def _result(future: ProcessFuture[Any], what: str) -> Any:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, CrowdSkyError):
        raise error
    if isinstance(error, ProcessExpired | BrokenProcessPool):
        code = getattr(error, "exitcode", None)
        reason = "died (killed, or out of memory)"
        raise StackError(f"the stacking process {reason}", exitcode=code) from error
    if isinstance(error, MemoryError):
        raise StackError("the block needs more memory than a stacking process may use") from error
    if isinstance(error, TimeoutError):
        raise StackError("the stacking process took longer than a block may take") from error
    text = f"{type(error).__name__}: {error}"
    raise StackError(f"the stacking process {what} ({text})") from error


# -- in the processes -----------------------------------------------------------------------------

_process: dict[str, Any] = {}


def _start(shared: Any, memory_bytes: int | None) -> None:
    import cv2
    from threadpoolctl import threadpool_limits

    from crowdsky.astrometry import ScaleMemory
    from crowdsky.pipeline.workers import leave_with_parent
    from crowdsky.work.warm import warm_up

    threading.Thread(target=leave_with_parent, daemon=True).start()
    # One block, one core: parallel loops inside a process would fight those of its neighbours.
    cv2.setNumThreads(1)
    _process.update(shared=shared, scales=ScaleMemory(), limits=threadpool_limits(1))
    warm_up()
    if memory_bytes is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    shared[PID] = os.getpid()


def _ready() -> None:
    """Answered when the process has started."""


def _work(order: Order, serial: int) -> Stacked:
    from crowdsky.work.order import carry_out

    shared = _process["shared"]
    shared[DONE] = 0
    shared[PID], shared[SERIAL], shared[BUSY] = os.getpid(), serial, 1

    def on_frame() -> None:
        shared[DONE] += 1

    try:
        return carry_out(order, scales=_process["scales"], on_frame=on_frame)
    finally:
        shared[BUSY] = 0
