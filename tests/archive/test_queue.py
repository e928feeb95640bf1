"""Whose turn it is, and second chances."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from sqlalchemy import select, update

from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import fail_attempt
from crowdsky.archive.models import FrameRow, Job, Lease, ObjectRow, Observer
from crowdsky.archive.queue import lease_jobs, retry_job
from crowdsky.errors import Conflict, NotFound
from tests.archive.queue_rows import NOW, at, make_jobs, make_observer


def job_row(archive: Archive, job_id: int) -> Job:
    with archive.reading() as session:
        return session.get_one(Job, job_id)


def test_nothing_waits(archive: Archive) -> None:
    assert lease_jobs(archive, "w", 4, lease_s=60, now=NOW) == []
    assert lease_jobs(archive, "w", 0, lease_s=60, now=NOW) == []


def test_a_leased_job_is_running_with_its_lease(archive: Archive) -> None:
    (made,) = make_jobs(archive, make_observer(archive, "ada"), 1)
    (lease,) = lease_jobs(archive, "w", 4, lease_s=60, now=NOW)
    assert (lease.job_id, lease.block_id) == (made.job_id, made.block_id)
    assert (lease.observer_id, lease.worker, lease.attempt) == (made.observer_id, "w", 1)
    assert lease.expires_utc == at(60)
    job = job_row(archive, made.job_id)
    assert (job.state, job.worker, job.attempts, job.started_utc) == ("running", "w", 1, NOW)
    with archive.reading() as session:
        row = session.scalars(select(Lease)).one()
        assert (row.job_id, row.token, row.expires_utc) == (lease.job_id, lease.token, at(60))
        assert session.get_one(Observer, made.observer_id).served_utc == NOW
    assert lease_jobs(archive, "v", 4, lease_s=60, now=NOW) == []


def test_own_jobs_go_in_the_order_they_were_made(archive: Archive) -> None:
    made = make_jobs(archive, make_observer(archive, "ada"), 5)
    first = lease_jobs(archive, "w", 2, lease_s=60, now=NOW)
    second = lease_jobs(archive, "w", 9, lease_s=60, now=NOW)
    assert [lease.job_id for lease in first + second] == [job.job_id for job in made]


def test_a_job_waits_for_its_time(archive: Archive) -> None:
    (made,) = make_jobs(archive, make_observer(archive, "ada"), 1)
    with archive.writing() as session:
        session.execute(update(Job).values(not_before_utc=at(30)))
    assert lease_jobs(archive, "w", 1, lease_s=60, now=at(29)) == []
    assert [lease.job_id for lease in lease_jobs(archive, "w", 1, lease_s=60, now=at(30))] == [
        made.job_id
    ]


@pytest.mark.parametrize("state", ["deactivated", "erasing"])
def test_jobs_of_an_account_that_is_not_active_wait(archive: Archive, state: str) -> None:
    ada, bob = make_observer(archive, "ada"), make_observer(archive, "bob")
    make_jobs(archive, ada, 2)
    (other,) = make_jobs(archive, bob, 1)
    with archive.writing() as session:
        session.execute(update(Observer).where(Observer.id == ada).values(state=state))
    assert [lease.job_id for lease in lease_jobs(archive, "w", 3, lease_s=60, now=NOW)] == [
        other.job_id
    ]


def test_one_block_beside_200_starts_with_the_next_free_slot(archive: Archive) -> None:
    crowd, single = make_observer(archive, "crowd"), make_observer(archive, "single")
    make_jobs(archive, crowd, 200, n_frames=1)
    running = lease_jobs(archive, "w", 16, lease_s=60, now=NOW)
    assert {lease.observer_id for lease in running} == {crowd}
    (late,) = make_jobs(archive, single, 1)
    (next_one,) = lease_jobs(archive, "w", 1, lease_s=60, now=at(1))
    assert next_one.job_id == late.job_id


def test_slots_are_shared_evenly_and_what_one_cannot_use_the_others_do(archive: Archive) -> None:
    people = [make_observer(archive, name) for name in ("a", "b", "c")]
    for person, n in zip(people, (9, 1, 9), strict=True):
        make_jobs(archive, person, n, n_frames=1)
    leases = lease_jobs(archive, "w", 9, lease_s=60, now=NOW)
    assert Counter(lease.observer_id for lease in leases) == dict(
        zip(people, (4, 1, 4), strict=True)
    )
    assert [lease.observer_id for lease in leases[:3]] == people


def test_of_equals_whoever_was_served_longest_ago_is_next(archive: Archive) -> None:
    people = [make_observer(archive, name) for name in ("a", "b", "c")]
    for person in people:
        make_jobs(archive, person, 1, n_frames=1)
    with archive.writing() as session:
        for person, when in zip(people, (at(-5), at(-9), None), strict=True):
            session.get_one(Observer, person).served_utc = when
    order = [
        lease_jobs(archive, "w", 1, lease_s=60, now=at(step))[0].observer_id for step in range(3)
    ]
    assert order == [people[2], people[1], people[0]]


def test_two_workers_never_get_the_same_job(archive: Archive) -> None:
    for name in ("a", "b", "c"):
        make_jobs(archive, make_observer(archive, name), 20, n_frames=1)
    taken: list[int] = []
    start = threading.Barrier(4)

    def work(name: str) -> None:
        start.wait()
        while leases := lease_jobs(archive, name, 3, lease_s=60, now=NOW):
            taken.extend(lease.job_id for lease in leases)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A worker may leave while another holds the last rows, so look once more.
    taken.extend(lease.job_id for lease in lease_jobs(archive, "w", 60, lease_s=60, now=NOW))
    assert len(taken) == len(set(taken)) == 60


def failed_job(archive: Archive) -> tuple[int, int, tuple[str, ...]]:
    (made,) = make_jobs(archive, make_observer(archive, "ada"), 1)
    (lease,) = lease_jobs(archive, "w", 1, lease_s=60, now=NOW)
    fail_attempt(archive, lease, "no stars", retry_after_s=1, max_attempts=1, now=NOW)
    return made.observer_id, made.job_id, made.raws


def test_a_failed_job_is_queued_again_with_all_its_tries(archive: Archive) -> None:
    observer, job_id, _ = failed_job(archive)
    retry_job(archive, observer, job_id, now=at(5))
    job = job_row(archive, job_id)
    assert (job.state, job.attempts, job.reason, job.finished_utc) == ("queued", 0, "", None)
    assert [lease.job_id for lease in lease_jobs(archive, "w", 1, lease_s=60, now=at(5))] == [
        job_id
    ]


def test_retry_counts_the_raws_that_are_left(archive: Archive) -> None:
    observer, job_id, raws = failed_job(archive)
    with archive.writing() as session:
        session.execute(update(FrameRow).values(state="rejected", reason="no stars"))
        session.execute(
            update(ObjectRow).where(ObjectRow.sha256 == raws[0]).values(state="condemned")
        )
        session.execute(update(FrameRow).where(FrameRow.sha256 == raws[1]).values(raw_gone=True))
    retry_job(archive, observer, job_id, now=at(5))
    with archive.reading() as session:
        states = {row.sha256: row.state for row in session.scalars(select(FrameRow))}
    assert [states[raw] for raw in raws] == ["rejected", "rejected", "pending"]
    assert job_row(archive, job_id).n_frames == 1


def test_retry_is_refused(archive: Archive) -> None:
    observer, job_id, _ = failed_job(archive)
    with pytest.raises(NotFound, match=f"{job_id}: there is no such job"):
        retry_job(archive, observer + 1, job_id)
    with archive.writing() as session:
        session.execute(update(FrameRow).values(raw_gone=True))
    with pytest.raises(Conflict, match="none of its raw frames is kept any more: send them again"):
        retry_job(archive, observer, job_id)
    assert job_row(archive, job_id).state == "failed"
    with archive.writing() as session:
        session.execute(update(FrameRow).values(raw_gone=False))
    retry_job(archive, observer, job_id)
    with pytest.raises(Conflict, match="only a failed job can be tried again; this one is queued"):
        retry_job(archive, observer, job_id)


def test_retry_beside_another_live_job_of_the_block_is_refused(archive: Archive) -> None:
    observer, job_id, _ = failed_job(archive)
    with archive.writing() as session:
        old = session.get_one(Job, job_id)
        session.add(
            Job(
                observer_id=observer,
                batch_id=old.batch_id,
                block_id=old.block_id,
                not_before_utc=NOW,
                n_frames=3,
                created_utc=NOW,
                changed_utc=NOW,
            )
        )
    with pytest.raises(Conflict, match=r"job \d+ is stacking the same block already"):
        retry_job(archive, observer, job_id)
