"""One transaction from frames to a stack, whoever races and whenever the power fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, update

from crowdsky.archive.books import check_books
from crowdsky.archive.commit import NewStack, commit_nothing, commit_stack
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import expire_leases, fail_attempt
from crowdsky.archive.ledger_rows import FrameResult, block_frames
from crowdsky.archive.models import FrameRow, Job, Lease, Observer, StackInput, StackRow
from crowdsky.archive.queue import LeasedJob, lease_jobs, retry_job
from crowdsky.errors import Conflict, LeaseLost
from tests.archive.crash import killed_at, steps_of
from tests.archive.polling import until
from tests.archive.queue_rows import NOW, MadeJob, at, make_jobs, make_observer, new_stack

LOST = "the job is not this worker's any more"


def leased(archive: Archive, name: str = "ada") -> tuple[MadeJob, LeasedJob]:
    (made,) = make_jobs(archive, make_observer(archive, name), 1)
    (lease,) = lease_jobs(archive, "w", 1, lease_s=60, now=NOW)
    return made, lease


def states(archive: Archive, made: MadeJob) -> list[str]:
    with archive.reading() as session:
        frames = session.scalars(
            select(FrameRow).where(FrameRow.id.in_(made.frame_ids)).order_by(FrameRow.id)
        )
        return [f"{frame.state} {frame.reason}".strip() for frame in frames]


def job_state(archive: Archive, job_id: int) -> str:
    with archive.reading() as session:
        return session.get_one(Job, job_id).state


def count(archive: Archive, table: Any) -> int:
    with archive.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_frames_become_a_stack(archive: Archive) -> None:
    made, lease = leased(archive)
    stack_id = commit_stack(archive, lease, new_stack(archive, made), now=at(30))
    assert states(archive, made) == ["stacked", "stacked", "rejected too few stars"]
    with archive.reading() as session:
        stack = session.get_one(StackRow, stack_id)
        assert (stack.n_frames, stack.n_used, stack.n_rejected) == (3, 2, 1)
        assert (stack.observer_id, stack.block_id) == (made.observer_id, made.block_id)
        assert (stack.cell, stack.tile) == (91_284_063, 33_856) or stack.cell is not None
        assert stack.x is not None
        assert stack.x**2 + stack.y**2 + stack.z**2 == pytest.approx(1.0)  # type: ignore[operator]
        assert (stack.licence, stack.public_utc) == ("CC-BY-4.0", at(30))
        inputs = session.scalars(select(StackInput).order_by(StackInput.frame_id)).all()
        assert [(i.used, i.reason, i.weight) for i in inputs] == [
            (True, "", 1.0),
            (True, "", 1.0),
            (False, "too few stars", 0.0),
        ]
        job = session.get_one(Job, made.job_id)
        assert (job.state, job.done_frames, job.finished_utc) == ("done", 3, at(30))
        assert session.get_one(FrameRow, made.frame_ids[0]).figures == {"fwhm": 2.5}
    assert count(archive, Lease) == 0
    assert check_books(archive) == []


@pytest.mark.parametrize(
    ("visibility", "public"),
    [("public", at(600)), ("embargoed", at(600) + timedelta(days=5)), ("private", None)],
)
def test_the_owner_s_terms_go_into_the_stack(
    archive: Archive, visibility: str, public: Any
) -> None:
    made, lease = leased(archive)
    with archive.writing() as session:
        session.execute(
            update(Observer).values(
                visibility=visibility, embargo_days=5, licence="CC0-1.0", credit="Ada"
            )
        )
    commit_stack(archive, lease, new_stack(archive, made), now=at(900))
    with archive.reading() as session:
        stack = session.scalars(select(StackRow)).one()
        assert (stack.public_utc, stack.licence, stack.credit) == (public, "CC0-1.0", "Ada")


def test_a_stack_without_a_position_is_on_no_map(archive: Archive) -> None:
    made, lease = leased(archive)
    commit_stack(archive, lease, new_stack(archive, made, ra_deg=None, dec_deg=None, solved=False))
    with archive.reading() as session:
        stack = session.scalars(select(StackRow)).one()
        assert (stack.ra_deg, stack.cell, stack.tile, stack.x) == (None, None, None, None)


def test_a_lease_that_is_past_its_time_but_not_taken_away_is_good(archive: Archive) -> None:
    made, lease = leased(archive)
    commit_stack(archive, lease, new_stack(archive, made), now=at(10_000))
    assert job_state(archive, made.job_id) == "done"


def test_whoever_lost_the_lease_cannot_commit(archive: Archive) -> None:
    made, lease = leased(archive)
    stack = new_stack(archive, made)
    expire_leases(archive, retry_after_s=0, max_attempts=3, now=at(60))
    (again,) = lease_jobs(archive, "v", 1, lease_s=60, now=at(60))
    with pytest.raises(LeaseLost, match=LOST):
        commit_stack(archive, lease, stack)
    with pytest.raises(LeaseLost, match=LOST):
        commit_nothing(archive, lease, stack.frames, "no stars")
    assert states(archive, made) == ["pending"] * 3
    commit_stack(archive, again, stack)
    with pytest.raises(LeaseLost, match=LOST):
        commit_stack(archive, again, stack)
    assert count(archive, StackRow) == 1


def test_a_second_stacking_replaces_the_first(archive: Archive) -> None:
    made, lease = leased(archive)
    commit_stack(archive, lease, new_stack(archive, made))
    with archive.writing() as session:
        old = session.get_one(Job, made.job_id)
        session.add(
            Job(
                observer_id=made.observer_id,
                batch_id=old.batch_id,
                block_id=made.block_id,
                not_before_utc=NOW,
                n_frames=3,
                created_utc=NOW,
                changed_utc=NOW,
            )
        )
    (again,) = lease_jobs(archive, "w", 1, lease_s=60, now=NOW)
    everything = tuple(FrameResult(n, used=True, weight=0.5) for n in made.frame_ids)
    second = commit_stack(archive, again, new_stack(archive, made, "again", frames=everything))
    assert states(archive, made) == ["stacked"] * 3
    with archive.reading() as session:
        assert session.scalars(select(StackRow.id)).all() == [second]
        assert set(session.scalars(select(StackInput.stack_id))) == {second}
    assert check_books(archive) == []


def test_nothing_came_of_it(archive: Archive) -> None:
    made, lease = leased(archive)
    outcomes = [
        FrameResult(made.frame_ids[0], used=True),
        *(FrameResult(number, used=False, reason="clouds") for number in made.frame_ids[1:]),
    ]
    commit_nothing(archive, lease, outcomes, "one good frame is too few", now=at(5))
    assert states(archive, made) == [
        "rejected one good frame is too few",
        "rejected clouds",
        "rejected clouds",
    ]
    with archive.reading() as session:
        job = session.get_one(Job, made.job_id)
        assert (job.state, job.reason) == ("failed", "one good frame is too few")
    assert lease_jobs(archive, "w", 1, lease_s=60, now=at(1e6)) == []
    assert check_books(archive) == []
    retry_job(archive, made.observer_id, made.job_id)
    assert states(archive, made) == ["pending"] * 3
    assert check_books(archive) == []


def used(*numbers: int) -> tuple[FrameResult, ...]:
    return tuple(FrameResult(number, used=True) for number in numbers)


@pytest.mark.parametrize(
    ("results", "rule"),
    [
        (lambda f: (), "a stack of no frames is no stack"),
        (lambda f: used(*f, f[0]), "a frame has two results"),
        (lambda f: used(*f, 10**6), "frame 1000000: is not in the block that was stacked"),
        (lambda f: used(*f[1:]), r"frame \d+: came into the block after its stacking began"),
        (
            lambda f: (FrameResult(f[0], used=True, reason="bad"), *used(*f[1:])),
            r"frame \d+: a frame is used, or there is a reason why not",
        ),
    ],
)
def test_results_that_do_not_fit_are_refused(
    archive: Archive, results: Callable[[tuple[int, ...]], Any], rule: str
) -> None:
    made, lease = leased(archive)
    with pytest.raises(Conflict, match=rule):
        commit_stack(archive, lease, new_stack(archive, made, frames=results(made.frame_ids)))
    assert states(archive, made) == ["pending"] * 3
    assert job_state(archive, made.job_id) == "running"


def test_a_frame_whose_raw_was_lost_stays_pending_outside_the_block(archive: Archive) -> None:
    made, lease = leased(archive)
    lost, *kept = made.frame_ids
    with archive.writing() as session:
        session.execute(update(FrameRow).where(FrameRow.id == lost).values(raw_gone=True))
    with archive.reading() as session:
        assert [f.frame_id for f in block_frames(session, made.block_id)] == kept
    commit_stack(archive, lease, new_stack(archive, made, frames=used(*kept)))
    assert states(archive, made) == ["pending", "stacked", "stacked"]
    with archive.reading() as session:
        assert session.get_one(FrameRow, lost).block_id is None
    assert check_books(archive) == []


def together(*acts: Callable[[], Any]) -> list[str]:
    """Run acts at once; 'done' or the error's name of each."""
    ends = [""] * len(acts)
    start = threading.Barrier(len(acts))

    def run(index: int) -> None:
        start.wait()
        try:
            acts[index]()
            ends[index] = "done"
        except (LeaseLost, Conflict) as error:
            ends[index] = type(error).__name__

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_of_commits_at_once_one_stack_results(archive: Archive) -> None:
    observer = make_observer(archive, "ada")
    for number in range(5):
        (made,) = make_jobs(archive, observer, 1)
        (lease,) = lease_jobs(archive, "w", 1, lease_s=60, now=NOW)
        acts = [
            partial(commit_stack, archive, lease, new_stack(archive, made, word)) for word in "abc"
        ]
        assert sorted(together(*acts)) == ["LeaseLost", "LeaseLost", "done"]
        assert count(archive, StackRow) == number + 1
    assert check_books(archive) == []


def test_a_silent_worker_that_comes_back_races_its_successor(archive: Archive) -> None:
    observer = make_observer(archive, "ada")
    for number in range(5):
        (made,) = make_jobs(archive, observer, 1)
        (old,) = lease_jobs(archive, "old", 1, lease_s=60, now=NOW)
        stacks = [new_stack(archive, made, word) for word in "ab"]

        def take_over(stack: NewStack = stacks[1]) -> None:
            expire_leases(archive, retry_after_s=0, max_attempts=3, now=at(61))
            for new in lease_jobs(archive, "new", 1, lease_s=60, now=at(61)):
                commit_stack(archive, new, stack)

        def settled() -> bool:
            # Whoever waited for the job's row holds it for a moment longer, and is skipped.
            if job_state(archive, made.job_id) == "queued":  # noqa: B023
                take_over()
            return job_state(archive, made.job_id) == "done"  # noqa: B023

        together(partial(commit_stack, archive, old, stacks[0]), take_over)
        until(settled)
        assert count(archive, StackRow) == number + 1
    assert check_books(archive) == []


def child_commit(url: str, lease: LeasedJob, stack: NewStack) -> None:
    with closing(Archive(url)) as archive:
        commit_stack(archive, lease, stack, now=at(30))


def child_nothing(url: str, lease: LeasedJob, stack: NewStack) -> None:
    with closing(Archive(url)) as archive:
        commit_nothing(archive, lease, stack.frames, "no stars", now=at(30))


def child_fail(url: str, lease: LeasedJob, stack: NewStack) -> None:
    with closing(Archive(url)) as archive:
        fail_attempt(archive, lease, "no stars", retry_after_s=0, max_attempts=9, now=at(30))


def child_expire(url: str, lease: LeasedJob, stack: NewStack) -> None:
    with closing(Archive(url)) as archive:
        expire_leases(archive, retry_after_s=0, max_attempts=9, now=at(61))


def child_lease(url: str, lease: LeasedJob, stack: NewStack) -> None:
    with closing(Archive(url)) as archive:
        lease_jobs(archive, "dead", 1, lease_s=60, now=at(30))


@pytest.mark.slow
@pytest.mark.parametrize(
    "act", [child_commit, child_nothing, child_fail, child_expire, child_lease]
)
def test_killed_at_every_step_the_job_is_done_once(
    archive: Archive, database_url: str, act: Callable[[str, LeasedJob, NewStack], None]
) -> None:
    observer = make_observer(archive, "ada")

    def prepared() -> tuple[MadeJob, LeasedJob, NewStack]:
        (made,) = make_jobs(archive, observer, 1)
        (lease,) = lease_jobs(archive, "w", 1, lease_s=60, now=NOW)
        if act is child_lease:
            fail_attempt(archive, lease, "", retry_after_s=0, max_attempts=9, now=NOW)
        return made, lease, new_stack(archive, made)

    def finished(made: MadeJob, stack: NewStack) -> bool:
        """Take over as the next worker would; a dead one's locks may last for a moment."""
        if job_state(archive, made.job_id) == "failed":
            retry_job(archive, made.observer_id, made.job_id, now=at(100))
        expire_leases(archive, retry_after_s=0, max_attempts=9, now=at(100))
        for lease in lease_jobs(archive, "next", 9, lease_s=60, now=at(100)):
            commit_stack(archive, lease, stack)
        return job_state(archive, made.job_id) == "done"

    made, lease, stack = prepared()
    labels = steps_of(lambda: act(database_url, lease, stack))
    assert labels
    until(lambda: finished(made, stack))
    for n_before, label in enumerate(labels, 1):
        made, lease, stack = prepared()
        killed_at(label, act, database_url, lease, stack)
        committed = count(archive, StackRow) == n_before + 1
        assert committed == (act is child_commit and label == "commit.done")
        assert check_books(archive) == []
        until(lambda: finished(made, stack))  # noqa: B023
        assert count(archive, StackRow) == n_before + 1
        assert states(archive, made) == ["stacked", "stacked", "rejected too few stars"]
        assert check_books(archive) == []
