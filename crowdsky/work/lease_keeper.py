"""The thread that says a worker lives, tells how far its jobs are, and learns which it has lost."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import renew_leases, report_progress
from crowdsky.archive.queue import LeasedJob
from crowdsky.errors import ArchiveUnavailable, LeaseLost
from crowdsky.work.ticket import Ticket

__all__ = ["LeaseKeeper"]

LONGEST_BEAT_S = 5.0
BEATS_PER_LEASE = 4

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    lease: LeasedJob
    ticket: Ticket
    told: int = 0


class LeaseKeeper:
    """Renews the leases of all jobs of a worker in one go.

    A job whose lease cannot be renewed was deleted, or is another worker's by now: its ticket is
    cancelled, and the work on it stops. While the database cannot be reached nothing is cancelled:
    nobody can take a job away then, and the commit asks for the lease again anyway.

    Parameters
    ----------
    archive : Archive
    lease_s : float
    beat_s : float, optional
        Seconds between renewals: a quarter of the lease, at most five seconds.
    """

    def __init__(self, archive: Archive, *, lease_s: float, beat_s: float | None = None) -> None:
        self.archive, self.lease_s = archive, lease_s
        self.beat_s = beat_s or min(LONGEST_BEAT_S, lease_s / BEATS_PER_LEASE)
        self._held: dict[int, _Held] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def add(self, lease: LeasedJob, ticket: Ticket) -> None:
        """Keep this lease from now on."""
        with self._lock:
            self._held[lease.job_id] = _Held(lease, ticket)

    def remove(self, lease: LeasedJob) -> None:
        """Keep it no longer."""
        with self._lock:
            held = self._held.get(lease.job_id)
            if held is not None and held.lease.token == lease.token:
                del self._held[lease.job_id]

    def close(self) -> None:
        """Stop; leases that are still held expire by themselves."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def beat(self) -> None:
        """Renew all leases once and tell of the frames that are done."""
        with self._lock:
            held = list(self._held.values())
        if not held:
            return
        kept = renew_leases(self.archive, [entry.lease for entry in held], lease_s=self.lease_s)
        for entry in held:
            if entry.lease.job_id not in kept:
                self._lose(entry)
                continue
            done = entry.ticket.done_frames
            if done != entry.told:
                try:
                    report_progress(self.archive, entry.lease, done_frames=done)
                    entry.told = done
                except LeaseLost:
                    self._lose(entry)

    def _lose(self, entry: _Held) -> None:
        with self._lock:
            # Between the look at the table and now the job may have been finished by ourselves.
            if self._held.get(entry.lease.job_id) is not entry:
                return
            del self._held[entry.lease.job_id]
        log.info("job %d is not ours any more; stopping it", entry.lease.job_id)
        entry.ticket.cancel("lost")

    def _run(self) -> None:
        while not self._stop.wait(self.beat_s):
            try:
                self.beat()
            except ArchiveUnavailable as error:
                log.warning("leases could not be renewed: %s", error)
