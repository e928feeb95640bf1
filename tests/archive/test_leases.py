"""Keeping a job, giving it back, losing it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, func, select

from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import (
    expire_leases,
    fail_attempt,
    release_lease,
    renew_leases,
    report_progress,
)
from crowdsky.archive.models import FrameRow, Job, Lease
from crowdsky.archive.queue import LeasedJob, lease_jobs
from crowdsky.errors import LeaseLost
from tests.archive.queue_rows import NOW, at, make_jobs, make_observer

LOST = r"job \d+: the job is not this worker's any more: deleted, or its lease expired"


def leased(archive: Archive, n: int = 1) -> list[LeasedJob]:
    make_jobs(archive, make_observer(archive, "ada"), n)
    return lease_jobs(archive, "host:1", n, lease_s=60, now=NOW)


def job_row(archive: Archive, lease: LeasedJob) -> Job:
    with archive.reading() as session:
        return session.get_one(Job, lease.job_id)


def n_leases(archive: Archive) -> int:
    with archive.reading() as session:
        return session.scalar(select(func.count()).select_from(Lease)) or 0


def test_the_database_s_clock_is_aware_and_goes_on(archive: Archive) -> None:
    with archive.writing() as session:
        first = database_now(session)
        second = database_now(session)
    assert first.tzinfo is UTC
    assert first < second
    assert abs((first - datetime.now(UTC)).total_seconds()) < 60


def test_a_renewed_lease_lives_on(archive: Archive) -> None:
    first, second = leased(archive, 2)
    assert renew_leases(archive, [first], lease_s=60, now=at(50)) == {first.job_id}
    assert expire_leases(archive, retry_after_s=5, max_attempts=3, now=at(60)) == [second.job_id]
    assert renew_leases(archive, [first, second], lease_s=60, now=at(60)) == {first.job_id}
    assert renew_leases(archive, [], lease_s=60) == set()


def test_a_silent_worker_s_job_runs_again_and_the_worker_has_lost_it(archive: Archive) -> None:
    (lease,) = leased(archive)
    assert expire_leases(archive, retry_after_s=5, max_attempts=3, now=at(59.9)) == []
    assert expire_leases(archive, retry_after_s=5, max_attempts=3, now=at(60)) == [lease.job_id]
    job = job_row(archive, lease)
    assert (job.state, job.attempts, job.not_before_utc) == ("queued", 1, at(65))
    assert job.reason == "the worker host:1 fell silent while it was on this job"
    with pytest.raises(LeaseLost, match=LOST):
        report_progress(archive, lease, step="solving")
    (again,) = lease_jobs(archive, "host:2", 1, lease_s=60, now=at(65))
    assert (again.job_id, again.attempt) == (lease.job_id, 2)
    with pytest.raises(LeaseLost, match=LOST):
        fail_attempt(archive, lease, "late", retry_after_s=5, max_attempts=3)
    release_lease(archive, lease)
    assert job_row(archive, lease).state == "running"
    assert renew_leases(archive, [lease, again], lease_s=60, now=at(66)) == {lease.job_id}


def test_the_third_silence_is_called_failed(archive: Archive) -> None:
    (lease,) = leased(archive)
    when = 0.0
    for attempt in (1, 2, 3):
        when += 60
        assert expire_leases(archive, retry_after_s=5, max_attempts=3, now=at(when)) == [
            lease.job_id
        ]
        if attempt < 3:
            when += 5 * 2 ** (attempt - 1)
            assert len(lease_jobs(archive, "host:1", 1, lease_s=60, now=at(when))) == 1
    job = job_row(archive, lease)
    assert (job.state, job.attempts, job.finished_utc) == ("failed", 3, at(when))
    assert job.reason == "the worker host:1 fell silent while it was on this job"
    assert n_leases(archive) == 0
    assert lease_jobs(archive, "host:1", 1, lease_s=60, now=at(1e6)) == []
    with archive.reading() as session:
        # What never became a stack keeps its raws: it is pending still.
        assert set(session.scalars(select(FrameRow.state))) == {"pending"}


def test_a_running_job_without_a_lease_is_taken_up_again(archive: Archive) -> None:
    (lease,) = leased(archive)
    with archive.writing() as session:
        session.execute(delete(Lease))
    assert expire_leases(archive, retry_after_s=5, max_attempts=3, now=at(1)) == [lease.job_id]
    assert job_row(archive, lease).state == "queued"


def test_tries_are_put_off_ever_longer_and_end(archive: Archive) -> None:
    (lease,) = leased(archive)
    waits = []
    now = 0.0
    for _ in range(3):
        state = fail_attempt(
            archive, lease, "store away", retry_after_s=10, max_attempts=4, now=at(now)
        )
        assert state == "queued"
        now = (job_row(archive, lease).not_before_utc - NOW).total_seconds()
        waits.append(now)
        (lease,) = lease_jobs(archive, "host:1", 1, lease_s=60, now=at(now))
    assert waits == [10, 30, 70]
    assert fail_attempt(archive, lease, "gone", retry_after_s=10, max_attempts=4) == "failed"
    job = job_row(archive, lease)
    assert job.reason == "gone"
    assert job.log.splitlines() == [
        "try 1: store away",
        "try 2: store away",
        "try 3: store away",
        "try 4: gone",
    ]


def test_a_permanent_fault_is_not_tried_again(archive: Archive) -> None:
    (lease,) = leased(archive)
    state = fail_attempt(
        archive, lease, "bad\0block", retry_after_s=1, max_attempts=9, permanent=True
    )
    assert state == "failed"
    assert job_row(archive, lease).reason == "bad�block"


def test_a_job_given_back_costs_no_try(archive: Archive) -> None:
    (lease,) = leased(archive)
    report_progress(archive, lease, step="solving", done_frames=2)
    release_lease(archive, lease, now=at(7))
    job = job_row(archive, lease)
    assert (job.state, job.attempts, job.done_frames, job.step) == ("queued", 0, 0, "")
    assert (job.worker, job.not_before_utc) == ("", at(7))
    assert n_leases(archive) == 0
    release_lease(archive, lease)


def test_progress_is_written_and_bounded(archive: Archive) -> None:
    (lease,) = leased(archive)
    report_progress(archive, lease, step="solving", done_frames=2, run_url="http://x/1", now=at(3))
    report_progress(archive, lease, done_frames=99, log_line="one\0\ntwo", now=at(4))
    job = job_row(archive, lease)
    assert (job.step, job.done_frames, job.run_url) == ("solving", 3, "http://x/1")
    assert (job.log, job.changed_utc) == ("one�\ntwo", at(4))
    for number in range(300):
        if number % 100 == 0:
            report_progress(archive, lease, log_line="\n".join(f"line {i}" for i in range(150)))
    assert len(job_row(archive, lease).log.splitlines()) == 200
