"""Keeping a job, giving it back, losing it.

Whoever changes a running job calls `held_job` first, in the same transaction: it locks the job and
refuses everyone whose lease is gone. A lease that is past its time but that nobody has taken away
yet is still good; what takes it away (`expire_leases`, deletion) takes the same lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Job, Lease
from crowdsky.archive.queue import LeasedJob
from crowdsky.archive.texts import storable
from crowdsky.errors import LeaseLost
from crowdsky.steps import reached

__all__ = [
    "drop_lease",
    "expire_leases",
    "fail_attempt",
    "held_job",
    "release_lease",
    "renew_leases",
    "report_progress",
]

_LOG_LINES = 200
_LOG_CHARACTERS = 20_000
_MAX_BACKOFF_S = 86_400.0


def held_job(session: Session, lease: LeasedJob) -> Job:
    """The job of a lease, locked for this transaction.

    Parameters
    ----------
    session : Session
        In a writing transaction.
    lease : LeasedJob

    Returns
    -------
    Job

    Raises
    ------
    LeaseLost
        If the job was deleted, or is another worker's by now.
    """
    job = session.execute(
        select(Job)
        .join(Lease, Lease.job_id == Job.id)
        .where(Job.id == lease.job_id, Lease.token == lease.token, Job.state == "running")
        .with_for_update()
    ).scalar_one_or_none()
    if job is None:
        raise LeaseLost(
            "the job is not this worker's any more: deleted, or its lease expired",
            value=f"job {lease.job_id}",
            job_id=lease.job_id,
        )
    return job


def drop_lease(session: Session, job_id: int) -> None:
    """Remove the lease of a job whose row this transaction has locked."""
    session.execute(delete(Lease).where(Lease.job_id == job_id))


def renew_leases(
    archive: Archive,
    leases: Iterable[LeasedJob],
    *,
    lease_s: float,
    now: datetime | None = None,
) -> set[int]:
    """Say that the worker lives.

    Parameters
    ----------
    archive : Archive
    leases : iterable of LeasedJob
    lease_s : float
        Seconds from now after which they expire.
    now : datetime, optional

    Returns
    -------
    set of int
        Ids of the jobs that are still held. The rest was deleted or is another's: stop.

    Raises
    ------
    ArchiveUnavailable
    """
    tokens = sorted(lease.token for lease in leases)
    if not tokens:
        return set()
    with archive.writing() as session:
        expires = (now or database_now(session)) + timedelta(seconds=lease_s)
        held = session.scalars(
            update(Lease)
            .where(Lease.token.in_(tokens))
            .values(expires_utc=expires)
            .returning(Lease.job_id)
            .execution_options(synchronize_session=False)
        )
        return set(held)


def report_progress(
    archive: Archive,
    lease: LeasedJob,
    *,
    step: str | None = None,
    done_frames: int | None = None,
    log_line: str | None = None,
    run_url: str | None = None,
    now: datetime | None = None,
) -> None:
    """Write how far a job is, for people to see; what is None stays as it is.

    Parameters
    ----------
    archive : Archive
    lease : LeasedJob
    step : str, optional
        What is being done, a word or two.
    done_frames : int, optional
        Frames looked at so far.
    log_line : str, optional
        Added to the log, of which the last lines are kept.
    run_url : str, optional
        Where the workflow engine shows the run.
    now : datetime, optional

    Raises
    ------
    LeaseLost, ArchiveUnavailable
    """
    with archive.writing() as session:
        job = held_job(session, lease)
        job.changed_utc = now or database_now(session)
        if step is not None:
            job.step = storable(step)[:40]
        if done_frames is not None:
            job.done_frames = min(max(done_frames, 0), job.n_frames)
        if log_line is not None:
            job.log = _appended(job.log, log_line)
        if run_url is not None:
            job.run_url = storable(run_url)


def fail_attempt(
    archive: Archive,
    lease: LeasedJob,
    reason: str,
    *,
    retry_after_s: float,
    max_attempts: int,
    permanent: bool = False,
    now: datetime | None = None,
) -> str:
    """Give a job up: it is queued for a later try, or failed if this was the last.

    The first retry waits for `retry_after_s`, each further one twice as long as the one before.

    Parameters
    ----------
    archive : Archive
    lease : LeasedJob
    reason : str
        In plain words; shown to the owner.
    retry_after_s : float
    max_attempts : int
        Tries in all.
    permanent : bool
        Another try would end the same way.
    now : datetime, optional

    Returns
    -------
    {'queued', 'failed'}

    Raises
    ------
    LeaseLost, ArchiveUnavailable
    """
    with archive.writing() as session:
        job = held_job(session, lease)
        reached("fail.checked")
        moment = now or database_now(session)
        tries = 0 if permanent else max_attempts
        _attempt_ended(session, job, reason, moment, retry_after_s, tries)
        reached("fail.written")
        return job.state


def release_lease(archive: Archive, lease: LeasedJob, *, now: datetime | None = None) -> None:
    """Give a job back untouched (a clean shutdown): queued again, and the try is not counted.

    One that is not held any more needs no giving back.

    Parameters
    ----------
    archive : Archive
    lease : LeasedJob
    now : datetime, optional
    """
    try:
        with archive.writing() as session:
            job = held_job(session, lease)
            moment = now or database_now(session)
            drop_lease(session, job.id)
            job.state = "queued"
            job.attempts = max(0, job.attempts - 1)
            job.not_before_utc = moment
            job.started_utc = None
            job.changed_utc = moment
            job.worker = ""
            job.step = ""
            job.done_frames = 0
    except LeaseLost:
        return


def expire_leases(
    archive: Archive,
    *,
    retry_after_s: float,
    max_attempts: int,
    now: datetime | None = None,
) -> list[int]:
    """Take the jobs of silent workers away: each is queued again, or failed at the last try.

    A running job without any lease is treated alike. A job that is just being committed is left
    alone. Several may call this at once.

    Parameters
    ----------
    archive : Archive
    retry_after_s, max_attempts
        As for `fail_attempt`.
    now : datetime, optional

    Returns
    -------
    list of int
        Ids of the jobs that were taken away.

    Raises
    ------
    ArchiveUnavailable
    """
    with archive.writing() as session:
        moment = now or database_now(session)
        jobs = session.scalars(
            select(Job)
            .where(
                Job.state == "running",
                ~select(Lease.job_id)
                .where(Lease.job_id == Job.id, Lease.expires_utc > moment)
                .exists(),
            )
            .order_by(Job.id)
            .with_for_update(skip_locked=True, of=Job)
        ).all()
        # A renewal does not lock the job, so each lease is looked at again under its own lock.
        leases = session.execute(
            select(Lease.job_id, Lease.expires_utc)
            .where(Lease.job_id.in_([job.id for job in jobs]))
            .order_by(Lease.job_id)
            .with_for_update()
        )
        renewed = {lease.job_id for lease in leases if lease.expires_utc > moment}
        silent = [job for job in jobs if job.id not in renewed]
        for job in silent:
            reason = (
                f"the worker {job.worker or 'that had it'} fell silent while it was on this job"
            )
            _attempt_ended(session, job, reason, moment, retry_after_s, max_attempts)
        reached("expire.written")
        return [job.id for job in silent]


def _attempt_ended(
    session: Session,
    job: Job,
    reason: str,
    now: datetime,
    retry_after_s: float,
    max_attempts: int,
) -> None:
    drop_lease(session, job.id)
    if job.attempts >= max_attempts:
        job.state = "failed"
        job.finished_utc = now
    else:
        job.state = "queued"
        wait_s = min(retry_after_s * 2.0 ** min(job.attempts - 1, 30), _MAX_BACKOFF_S)
        job.not_before_utc = now + timedelta(seconds=wait_s)
        job.started_utc = None
    job.reason = storable(reason) or "no reason was given"
    job.log = _appended(job.log, f"try {job.attempts}: {job.reason}")
    job.step = ""
    job.changed_utc = now


def _appended(log: str, line: str) -> str:
    lines = [*log.splitlines(), *storable(line).splitlines()][-_LOG_LINES:]
    return "\n".join(lines)[-_LOG_CHARACTERS:]
