"""What the Status page shows: jobs, books, and whether they are of now.

A `Board` takes what the service tells and gives what the front end does not have yet. It knows no
widget and no network. Several threads may use one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from crowdsky.client.facts import Books, Frame, Job

__all__ = ["BLOCK", "Board", "frame_line", "job_line"]

#: How long a block is.
BLOCK = timedelta(minutes=15)

Line = dict[str, Any]


class Board:
    """The jobs and the books of one visitor.

    Attributes
    ----------
    total : int
        Jobs that there are, as far as is known; more than `n_jobs` while the list is being read.
    """

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._lines: dict[int, Line] = {}
        self._deleted: set[int] = set()
        self._books: Books | None = None
        self._leaving = 0  # frames whose end the books may not know yet
        self._head: Line = {"loaded": False, "total": 0, "counts": {}, "delayed": ""}
        self._changed: dict[int, None] = {}
        self._gone: set[int] = set()
        self._news: Line = {}

    @property
    def n_jobs(self) -> int:
        """Jobs that are known."""
        return len(self._jobs)

    @property
    def running(self) -> frozenset[int]:
        """Jobs that were running when they were last heard of."""
        with self._lock:
            return frozenset(n for n, job in self._jobs.items() if job.state == "running")

    @property
    def loose_frames(self) -> int:
        """Frames that wait and that no job has: they are not finalised.

        An estimate on the safe side: frames of failed jobs are held to wait for another try.
        """
        with self._lock:
            return self._loose()

    def take_jobs(self, jobs: Iterable[Job]) -> None:
        """Jobs as they are now."""
        with self._lock:
            for job in jobs:
                self._take(job)

    def take_counts(self, counts: Mapping[str, int], now_ms: int | None = None) -> None:
        """How many jobs there are in each state, at a time (ms since 1970) of the service."""
        with self._lock:
            self.total = sum(counts.values())
            self._tell_head(total=self.total, counts=dict(counts))
            if now_ms is not None:
                self._news["now_ms"] = now_ms

    def take_whole(self, job_ids: Iterable[int]) -> None:
        """The list was read to its end, and these were in it: all others are gone."""
        with self._lock:
            there = set(job_ids)
            for job_id in [number for number in self._jobs if number not in there]:
                self._drop(job_id)
            self.total = len(self._jobs)
            self._tell_head(loaded=True, total=self.total)

    def take_running(self, jobs: Iterable[Job], before: Iterable[int]) -> list[int]:
        """The jobs that run now, all of them; those that ran before and do not are returned."""
        listed = list(jobs)
        self.take_jobs(listed)
        there = {job.id for job in listed}
        return [number for number in before if number not in there]

    def take_event(self, kind: str, data: Mapping[str, Any]) -> None:
        """An event of the service; kinds that are not known are passed over."""
        if kind == "books":
            self.take_books(Books.of(data))
        elif kind == "job" and data.get("state") == "deleted":
            self.drop([int(data["id"])])
        elif kind == "job":
            self.take_jobs([Job.of(data)])

    def take_books(self, books: Books) -> None:
        """The four counts."""
        with self._lock:
            self._leaving = 0
            if books != self._books:
                self._books = books
                self._news["books"] = _plain_books(books)

    def drop(self, job_ids: Iterable[int]) -> None:
        """Jobs were deleted. Numbers are never given twice, so nothing brings one back."""
        with self._lock:
            for job_id in job_ids:
                self._deleted.add(job_id)
                self._drop(job_id)

    def delayed(self, why: str) -> None:
        """The service does not answer; empty when it does."""
        with self._lock:
            self._tell_head(delayed=why)

    def changes(self) -> Line | None:
        """What is new since the last time, as a message; None if nothing is."""
        with self._lock:
            told: Line = {}
            if self._changed:
                told["rows"] = [self._lines[number] for number in self._changed]
            if self._gone:
                told["gone"] = sorted(self._gone)
            if self._books is not None and (self._changed or self._gone or "books" in self._news):
                self._tell_head(loose=self._loose())
            told |= self._news
            self._changed, self._gone, self._news = {}, set(), {}
            return {"type": "changes", **told} if told else None

    def everything(self) -> Line:
        """All of it as a message, for a front end that has nothing."""
        with self._lock:
            self._changed, self._gone, self._news = {}, set(), {}
            told: Line = {"type": "changes", "anew": True, "rows": list(self._lines.values())}
            if self._books is not None:
                self._head["loose"] = self._loose()
                told["books"] = _plain_books(self._books)
            return told | {"head": dict(self._head)}

    def _take(self, job: Job) -> None:
        if job.id in self._deleted:
            return
        line = job_line(job)
        before = self._jobs.get(job.id)
        if before is not None:
            self._leaving += max(0, _waiting(before) - _waiting(job))
        self._gone.discard(job.id)
        if self._lines.get(job.id) != line:
            self._changed[job.id] = None
        self._jobs[job.id], self._lines[job.id] = job, line

    def _drop(self, job_id: int) -> None:
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self._leaving += _waiting(job)
            del self._lines[job_id]
            self._changed.pop(job_id, None)
            self._gone.add(job_id)
            self.total = max(self.total - 1, len(self._jobs))

    def _tell_head(self, **changed: Any) -> None:
        if any(self._head.get(name) != value for name, value in changed.items()):
            self._head |= changed
            self._news["head"] = dict(self._head)

    def _loose(self) -> int:
        if self._books is None or len(self._jobs) < self.total:
            return 0
        held = sum(map(_waiting, self._jobs.values()))
        return max(0, self._books.pending - held - self._leaving)


def _waiting(job: Job) -> int:
    """Frames that wait for this job, as it seems."""
    if job.state == "failed":
        return max(0, job.n_frames - (job.n_rejected or 0))
    return 0 if job.ended else job.n_frames


def job_line(job: Job) -> Line:
    """A job as the front end has it; what is empty is left out.

    Examples
    --------
    >>> job_line(Job(id=7, state="queued", target="M 94", n_frames=60))
    {'id': 7, 'state': 'queued', 'target': 'M 94', 'n': 60}
    """
    line = {
        "id": job.id,
        "state": job.state,
        "target": job.target,
        "label": job.label,
        "from": _text(job.block_start_utc),
        "to": _text(job.block_start_utc and job.block_start_utc + BLOCK),
        "filter": job.filter,
        "exposure_s": job.exposure_s,
        "n": job.n_frames,
        "done": job.done_frames,
        "used": job.n_used,
        "rejected": job.n_rejected,
        "step": job.step,
        "reason": job.reason,
        "attempts": job.attempts,
        "started": _text(job.started_utc),
        "finished": _text(job.finished_utc),
        "worker": job.worker,
        "run_url": job.run_url,
        "stack": job.stack_id if job.state == "done" else None,
        "orphaned": job.orphaned,
    }
    kept = ("used", "rejected")  # where nought says something
    return {
        name: value for name, value in line.items() if value or (name in kept and value is not None)
    }


def frame_line(frame: Frame) -> Line:
    """A line of the ledger as the front end has it.

    Examples
    --------
    >>> frame_line(Frame(3, "Light_3.fit", "rejected", "too few stars"))
    {'name': 'Light_3.fit', 'state': 'rejected', 'reason': 'too few stars'}
    """
    line = {
        "name": frame.name,
        "state": frame.state,
        "reason": frame.reason.removeprefix(f"{frame.name}: "),
        "note": frame.note,
        "start": _text(frame.start_utc),
    }
    return {name: value for name, value in line.items() if value}


def _plain_books(books: Books) -> dict[str, int]:
    return {
        "accepted": books.accepted,
        "stacked": books.stacked,
        "rejected": books.rejected,
        "pending": books.pending,
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
