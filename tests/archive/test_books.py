"""The books balance, and each law's breach is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.books import LAWS, Books, books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.finalise import create_jobs
from crowdsky.archive.models import (
    Batch,
    FrameRow,
    Job,
    Lease,
    ObjectRow,
    Observer,
    StackInput,
    StackRow,
    Telescope,
)
from tests.archive.sent_frames import START, Sender, end_job, make_header


@pytest.fixture
def filled(archive: Archive, tmp_path: Path) -> Archive:
    """A stack of frames 1 to 3, job 2 that runs on frame 4, job 3 that waits with frame 5.

    Frame 6 is in no block; frame 7 and job 4 are another observer's.
    """
    sender = Sender(archive, tmp_path)
    ada = ensure_observer(archive, "ada")
    for number in range(3):
        sender.send(ada, make_header(10.0 * number))
    (job,) = create_jobs(archive, ada).job_ids
    end_job(archive, job, "done", n_rejected=1)
    sender.send(ada, make_header(2000.0))
    (job,) = create_jobs(archive, ada).job_ids
    end_job(archive, job, "running")
    sender.send(ada, make_header(4000.0))
    create_jobs(archive, ada)
    sender.send(ada, make_header(6000.0))
    bob = ensure_observer(archive, "bob")
    sender.send(bob, make_header())
    create_jobs(archive, bob)
    return archive


def test_the_books_balance(filled: Archive) -> None:
    assert check_books(filled) == []
    assert books(filled, 1) == Books(accepted=6, stacked=2, rejected=1, pending=3)
    assert books(filled, 2) == Books(1, 0, 0, 1)
    assert books(filled) == Books(7, 2, 1, 4)
    with filled.reading() as session:
        assert books(session, 1) == books(filled, 1)
    assert books(filled, 99) == Books(0, 0, 0, 0)
    assert books(filled).balances
    assert not Books(7, 2, 1, 3).balances


def set_frame(number: int, **values: object) -> Callable[[Session], object]:
    return lambda session: session.execute(
        update(FrameRow).where(FrameRow.id == number).values(**values)
    )


def set_job(number: int, **values: object) -> Callable[[Session], object]:
    return lambda session: session.execute(update(Job).where(Job.id == number).values(**values))


def forget_a_line(session: Session) -> None:
    session.execute(delete(StackInput).where(StackInput.frame_id == 1))


def spoil_the_raw(state: str) -> Callable[[Session], object]:
    wanted = select(FrameRow.sha256).where(FrameRow.id == 6).scalar_subquery()
    return lambda session: session.execute(
        update(ObjectRow).where(ObjectRow.sha256 == wanted).values(state=state)
    )


def condemn_the_stack(session: Session) -> None:
    sha256 = session.scalars(select(StackRow.sha256)).one()
    session.execute(update(ObjectRow).where(ObjectRow.sha256 == sha256).values(state="condemned"))


def make_private(session: Session) -> None:
    session.execute(update(Observer).where(Observer.id == 1).values(visibility="private"))


def lend_the_telescope(session: Session) -> None:
    telescope = Telescope(observer_id=2, device="S50_2", model="S50", pseudonym="S50-2")
    session.add(telescope)
    session.flush()
    session.execute(update(FrameRow).where(FrameRow.id == 6).values(telescope_id=telescope.id))


def swap_the_telescope(session: Session) -> None:
    telescope = Telescope(observer_id=1, device="S50_2", model="S50", pseudonym="S50-2")
    session.add(telescope)
    session.flush()
    session.execute(update(FrameRow).where(FrameRow.id == 5).values(telescope_id=telescope.id))


#: Law -> what breaks it, and all that is said then.
BREACHES: dict[str, tuple[Callable[[Session], object], list[str]]] = {
    "ledger_counts": (
        forget_a_line,
        ["stack 1: 3 frames, 2 used; in its ledger 2, 2 used"],
    ),
    "ledger_states": (
        set_frame(1, state="pending", reason=""),
        [
            "frame 1: pending, but the ledger of stack 1 has it as not used",
            "frame 1: pending in block 1, which no job waits for or failed at",
        ],
    ),
    "stacked_in_a_stack": (
        set_frame(4, state="stacked"),
        ["frame 4: stacked, but in no stack"],
    ),
    "ledger_of_the_block": (
        set_frame(1, block_id=None),
        ["frame 1: in the ledger of stack 1 of block 1, but not in that block"],
    ),
    "lease_of_a_running_job": (
        set_job(2, state="queued"),
        ["job 2: queued, but somebody has a lease of it"],
    ),
    "running_job_has_a_lease": (
        lambda session: session.execute(delete(Lease)),
        ["job 2: running, but nobody has a lease of it"],
    ),
    "live_job_counts": (
        set_job(3, n_frames=5),
        ["job 3: queued, says 5 frames; its block has 1"],
    ),
    "done_job_leaves_none_pending": (
        set_job(3, state="done"),
        ["frame 5: pending in block 3, which no job waits for or failed at"],
    ),
    "frame_of_the_blocks_owner": (
        set_frame(5, observer_id=2),
        [
            "frame 5: of observer 2, in a block of observer 1",
            "frame 5: of observer 2, by a telescope of observer 1",
        ],
    ),
    "frame_of_the_telescopes_owner": (
        lend_the_telescope,
        ["frame 6: of observer 1, by a telescope of observer 2"],
    ),
    "frame_of_the_blocks_telescope": (
        swap_the_telescope,
        ["frame 5: by telescope 3, in a block of telescope 1"],
    ),
    "job_of_the_blocks_owner": (
        lambda session: session.execute(update(Batch).where(Batch.id == 3).values(observer_id=2)),
        ["job 3: of observer 1, batch of 2, block of 1"],
    ),
    "stack_of_the_blocks_owner": (
        lambda session: session.execute(update(StackRow).values(observer_id=2)),
        ["stack 1: of observer 2, of a block of observer 1"],
    ),
    "pending_frame_has_its_raw": (
        spoil_the_raw("rotten"),
        ["frame 6: pending, but its raw is rotten"],
    ),
    "stack_has_its_files": (
        condemn_the_stack,
        ["stack 1: one of its files is condemned"],
    ),
    "private_stays_private": (
        make_private,
        ["stack 1: its owner is private, but it has a day on which everyone sees it"],
    ),
}


def test_every_law_has_a_breach() -> None:
    assert sorted(BREACHES) == sorted(LAWS)


@pytest.mark.parametrize("law", BREACHES)
def test_a_breach_is_found(law: str, filled: Archive) -> None:
    breach, said = BREACHES[law]
    with filled.writing() as session:
        breach(session)
    assert check_books(filled) == said


def test_a_raw_that_is_known_to_be_gone_is_no_breach(filled: Archive) -> None:
    with filled.writing() as session:
        spoil_the_raw("condemned")(session)
        set_frame(6, raw_gone=True)(session)
        session.execute(update(Lease).values(expires_utc=START + timedelta(days=1)))
    assert check_books(filled) == []
