"""Whose job is next, and a second chance for one that failed.

A job is ``queued`` until a worker leases it, ``running`` while the lease lives, then ``done`` or
``failed``. The lease is the only truth about who works on it: what changes a running job shows its
token in the same transaction (`crowdsky.archive.leases`, `crowdsky.archive.commit`).
"""

from __future__ import annotations

import heapq
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, Job, Lease, ObjectRow, Observer, StackRow
from crowdsky.archive.turn import take_turn
from crowdsky.errors import Conflict, NotFound
from crowdsky.steps import reached

__all__ = ["LeasedJob", "lease_jobs", "retry_job"]

_LONG_AGO_S = float("-inf")


@dataclass(frozen=True, slots=True)
class LeasedJob:
    """A job that is this worker's for now.

    Attributes
    ----------
    token : str
        Random and new with every lease: what the worker shows to change the job.
    attempt : int
        Which try this is, from 1.
    expires_utc : datetime
        By the database's clock; later once renewed.
    """

    job_id: int
    block_id: int
    batch_id: int
    observer_id: int
    token: str
    worker: str
    attempt: int
    expires_utc: datetime


def lease_jobs(
    archive: Archive, worker: str, n: int, *, lease_s: float, now: datetime | None = None
) -> list[LeasedJob]:
    """Take up to `n` jobs that wait.

    The turn is the observer's with the fewest running jobs, then of whoever was served longest ago,
    then of the oldest job; an observer's own jobs go in the order they were made. So 200 blocks of
    one person cost another's single block one free slot, not 200. Jobs of accounts that are being
    erased or were deactivated wait.

    Several workers may ask at once: in PostgreSQL they skip what another is just taking and wait
    for nobody, in SQLite they go one after another.

    Parameters
    ----------
    archive : Archive
    worker : str
        Name of the worker, for people to read.
    n : int
    lease_s : float
        Seconds after which the lease expires if it is not renewed.
    now : datetime, optional
        The database's clock when omitted.

    Returns
    -------
    list of LeasedJob
        In the order of their turns; empty if nothing waits.

    Raises
    ------
    ArchiveUnavailable
    """
    if n < 1:
        return []
    with archive.writing() as session:
        moment = now or database_now(session)
        ids = _next_jobs(session, n, moment)
        if not ids:
            return []
        reached("lease.chosen")
        leases = _take(session, ids, worker, moment, moment + timedelta(seconds=lease_s))
        reached("lease.written")
    reached("lease.done")
    return leases


def _next_jobs(session: Session, n: int, now: datetime) -> list[int]:
    """Ids of the next jobs, locked, in the order of their turns."""
    turns = _turns(session, now)
    firsts = {observer: first for _running, _served, first, observer in turns}
    chosen: list[int] = []
    while turns and len(chosen) < n:
        # Deal the free slots out as if everybody had enough jobs, then see who has. Who had fewer
        # than were dealt is out, and the slots left over are dealt again.
        dealt: dict[int, int] = {}
        order: list[int] = []
        for _ in range(n - len(chosen)):
            running, _served, first, observer = heapq.heappop(turns)
            dealt[observer] = dealt.get(observer, 0) + 1
            order.append(observer)
            heapq.heappush(turns, (running + 1, now.timestamp(), first, observer))
        found = _locked_jobs(session, dealt, firsts, now, chosen)
        empty = {observer for observer, count in dealt.items() if len(found[observer]) < count}
        chosen.extend(found[observer].pop(0) for observer in order if found[observer])
        turns = [turn for turn in turns if turn[3] not in empty]
        heapq.heapify(turns)
    return chosen


def _turns(session: Session, now: datetime) -> list[tuple[int, float, int, int]]:
    """``(running, served, oldest job, observer)`` of everyone who waits, as a heap."""
    running = (
        select(Job.observer_id, func.count().label("n"))
        .where(Job.state == "running")
        .group_by(Job.observer_id)
        .subquery()
    )
    waiting = (
        select(Job.observer_id, func.min(Job.id).label("first"))
        .where(Job.state == "queued", Job.not_before_utc <= now)
        .group_by(Job.observer_id)
        .subquery()
    )
    rows = session.execute(
        select(
            func.coalesce(running.c.n, 0),
            Observer.served_utc,
            waiting.c.first,
            waiting.c.observer_id,
        )
        .join_from(waiting, Observer, Observer.id == waiting.c.observer_id)
        .join(running, running.c.observer_id == waiting.c.observer_id, isouter=True)
        .where(Observer.state == "active")
    )
    turns = [
        (n, _LONG_AGO_S if served is None else served.timestamp(), first, observer)
        for n, served, first, observer in rows
    ]
    heapq.heapify(turns)
    return turns


def _locked_jobs(
    session: Session, dealt: dict[int, int], firsts: dict[int, int], now: datetime, taken: list[int]
) -> dict[int, list[int]]:
    """As many of each observer's oldest jobs as were dealt, or as there are; by observer."""
    # With many observers each gets one, which is known already: one question for all of them.
    single = [firsts[observer] for observer, n in dealt.items() if n == 1]
    statement = (
        select(Job.observer_id, Job.id)
        .where(Job.id.in_(single), Job.id.not_in(taken), Job.state == "queued")
        .with_for_update(skip_locked=True)
    )
    found = {row.observer_id: [row.id] for row in session.execute(statement)} if single else {}
    for observer, n in dealt.items():
        if observer not in found:
            found[observer] = _oldest_jobs(session, observer, n, now, taken)
    return found


def _oldest_jobs(
    session: Session, observer_id: int, n: int, now: datetime, taken: list[int]
) -> list[int]:
    statement = (
        select(Job.id)
        .where(
            Job.observer_id == observer_id,
            Job.state == "queued",
            Job.not_before_utc <= now,
            Job.id.not_in(taken),
        )
        .order_by(Job.id)
        .limit(n)
        .with_for_update(skip_locked=True)
    )
    return list(session.scalars(statement))


def _take(
    session: Session, ids: list[int], worker: str, now: datetime, expires: datetime
) -> list[LeasedJob]:
    rows = session.execute(
        update(Job)
        .where(Job.id.in_(ids))
        .values(
            state="running",
            attempts=Job.attempts + 1,
            started_utc=now,
            finished_utc=None,
            changed_utc=now,
            worker=worker,
            step="",
            done_frames=0,
            reason="",
        )
        .returning(Job.id, Job.block_id, Job.batch_id, Job.observer_id, Job.attempts)
    ).all()
    by_id = {row.id: row for row in rows}
    leases = [
        LeasedJob(
            job_id=number,
            block_id=by_id[number].block_id,
            batch_id=by_id[number].batch_id,
            observer_id=by_id[number].observer_id,
            token=secrets.token_hex(16),
            worker=worker,
            attempt=by_id[number].attempts,
            expires_utc=expires,
        )
        for number in ids
    ]
    session.execute(
        insert(Lease),
        [
            {
                "job_id": lease.job_id,
                "token": lease.token,
                "worker": worker,
                "taken_utc": now,
                "expires_utc": expires,
            }
            for lease in leases
        ],
    )
    # Whoever holds an observer's row just now is not waited for: the turn is a courtesy.
    served = select(Observer.id).where(Observer.id.in_({lease.observer_id for lease in leases}))
    free = list(session.scalars(served.with_for_update(skip_locked=True, key_share=True)))
    session.execute(update(Observer).where(Observer.id.in_(free)).values(served_utc=now))
    return leases


def retry_job(
    archive: Archive, observer_id: int, job_id: int, *, now: datetime | None = None
) -> None:
    """Queue a failed job again, with all its tries.

    Frames that it rejected, and that no stack holds, are pending again as far as their raws are
    still there.

    Parameters
    ----------
    archive : Archive
    observer_id : int
        Who asks.
    job_id : int
    now : datetime, optional

    Raises
    ------
    NotFound
        If the observer has no such job.
    Conflict
        If it has not failed, if its block has another live job, or if none of its raws is left.
    """
    with archive.writing() as session:
        take_turn(session, observer_id)
        moment = now or database_now(session)
        job = session.execute(
            select(Job)
            .where(Job.id == job_id, Job.observer_id == observer_id)
            .with_for_update(of=Job)
        ).scalar_one_or_none()
        if job is None:
            raise NotFound("there is no such job", value=job_id)
        if job.state != "failed":
            raise Conflict(
                f"only a failed job can be tried again; this one is {job.state}", value=job_id
            )
        live = session.scalar(
            select(Job.id).where(Job.block_id == job.block_id, Job.state.in_(("queued", "running")))
        )
        if live is not None:
            raise Conflict(f"job {live} is stacking the same block already", value=job_id)
        n_frames = _pending_again(session, job.block_id)
        if n_frames == 0:
            raise Conflict("none of its raw frames is kept any more: send them again", value=job_id)
        session.execute(delete(Lease).where(Lease.job_id == job_id))
        job.state = "queued"
        job.attempts = 0
        job.not_before_utc = moment
        job.reason = ""
        job.step = ""
        job.done_frames = 0
        job.n_frames = n_frames
        job.started_utc = None
        job.finished_utc = None
        job.changed_utc = moment
        job.worker = ""
        job.run_url = ""


def _pending_again(session: Session, block_id: int) -> int:
    """Set what can be stacked again to pending; returns how many raws the block has."""
    # The sweeper condemns a raw under this lock, so what is stored here stays stored: a pending
    # frame needs it.
    stored = set(
        session.scalars(
            select(ObjectRow.sha256)
            .join(FrameRow, FrameRow.sha256 == ObjectRow.sha256)
            .where(
                FrameRow.block_id == block_id,
                FrameRow.raw_gone.is_(False),
                ObjectRow.state == "stored",
            )
            .order_by(ObjectRow.sha256)
            .with_for_update(of=ObjectRow)
        )
    )
    frames = [
        frame
        for frame in session.scalars(
            select(FrameRow).where(FrameRow.block_id == block_id, FrameRow.raw_gone.is_(False))
        )
        if frame.sha256 in stored
    ]
    stacked = session.scalar(select(StackRow.id).where(StackRow.block_id == block_id))
    if stacked is None:
        for frame in frames:
            frame.state = "pending"
            frame.reason = ""
    return len(frames)
