"""From frames to jobs: what is stacked together, what is not, and never twice."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.books import Books, books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.finalise import Finalised, create_jobs, preview_blocks
from crowdsky.archive.leases import release_lease
from crowdsky.archive.models import (
    Batch,
    BlockRow,
    FrameRow,
    Job,
    ObjectRow,
    Observer,
    StackInput,
    StackRow,
)
from crowdsky.archive.queue import lease_jobs
from crowdsky.errors import Conflict, NotFound
from crowdsky.frames.telescopes import TELESCOPES
from crowdsky.steps import on_step
from tests.archive.sent_frames import START, Sender, end_job, make_header, rows

NOW = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)


@pytest.fixture
def sender(archive: Archive, tmp_path: Path) -> Sender:
    return Sender(archive, tmp_path)


@pytest.fixture
def ada(archive: Archive) -> int:
    return ensure_observer(archive, "ada")


def send_run(
    sender: Sender, observer_id: int, n: int, after_s: float = 0.0, **what: object
) -> None:
    for number in range(n):
        sender.send(observer_id, make_header(after_s + 10.0 * number, **what))  # type: ignore[arg-type]


def blocks_of_frames(archive: Archive) -> list[int | None]:
    return [frame.block_id for frame in rows(archive, FrameRow)]


def test_a_quarter_hour_becomes_a_job(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 3)
    (preview,) = preview_blocks(sender.archive, ada)
    done = create_jobs(sender.archive, ada, now=NOW)
    (block,), (job,), (batch,) = (rows(sender.archive, model) for model in (BlockRow, Job, Batch))
    assert done == Finalised(batch.id, (job.id,), 3, 0)
    assert (preview.label, preview.n_frames, preview.n_there) == (block.label, 3, 0)
    assert block.label == "20260327.81_192.4_+41.2_S50-a2ac_IRCUT_10s_g80"
    assert (block.name, block.tile[:14]) == ("20260327.81_192.4_+41.2", "20260327.81_HP")
    assert (block.start_utc, block.part, block.gain) == (START, 1, 80.0)
    assert (job.state, job.n_frames, job.not_before_utc) == ("queued", 3, NOW)
    assert (batch.title, batch.observer_id) == ("M 94", ada)
    assert blocks_of_frames(sender.archive) == [block.id] * 3
    assert check_books(sender.archive) == []


def test_the_preview_changes_nothing(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 2)
    assert preview_blocks(sender.archive, ada) == preview_blocks(sender.archive, ada)
    assert rows(sender.archive, BlockRow) == []
    assert blocks_of_frames(sender.archive) == [None, None]


def test_nothing_to_do_makes_nothing(sender: Sender, ada: int) -> None:
    assert preview_blocks(sender.archive, ada) == []
    assert create_jobs(sender.archive, ada) == Finalised(None, (), 0, 0)
    send_run(sender, ada, 2)
    create_jobs(sender.archive, ada)
    assert create_jobs(sender.archive, ada) == Finalised(None, (), 0, 0)
    assert len(rows(sender.archive, Batch)) == 1


def test_two_calls_at_once_make_the_jobs_once(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 12, pointing=None)
    barrier, done = threading.Barrier(2, timeout=30), []
    meet = {threading.get_ident(): False}

    def both_have_grouped(name: str) -> None:
        if name == "finalise.grouped" and not meet.get(threading.get_ident()):
            meet[threading.get_ident()] = True
            barrier.wait()

    def call() -> None:
        done.append(create_jobs(sender.archive, ada))

    on_step(both_have_grouped)
    try:
        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        on_step(None)
    assert sorted(one.n_frames for one in done) == [0, 12]
    assert len(rows(sender.archive, Job)) == 1
    assert check_books(sender.archive) == []


def test_finalising_and_leasing_at_once_wait_for_nobody_for_ever(sender: Sender, ada: int) -> None:
    """Frames join a job or find it running; no two sides hold what the other one wants."""
    stop, leased = threading.Event(), []

    def lease() -> None:
        while not stop.is_set():
            for held in lease_jobs(sender.archive, "worker", 2, lease_s=60.0):
                leased.append(held.job_id)
                release_lease(sender.archive, held)

    thread = threading.Thread(target=lease)
    thread.start()
    try:
        for number in range(30):
            sender.send(ada, make_header(10.0 * number))
            create_jobs(sender.archive, ada)
    finally:
        stop.set()
        thread.join()
    assert leased
    assert books(sender.archive, ada) == Books(30, 0, 0, 30)
    assert sum(job.n_frames for job in rows(sender.archive, Job)) == 30
    assert check_books(sender.archive) == []


def test_what_cannot_be_compared_is_stacked_apart(sender: Sender, ada: int) -> None:
    """One quarter hour of one place: filters, exposures, telescopes, binnings and gains."""
    pro = TELESCOPES["S30 Pro"]
    kinds = [
        {},
        {"filter": "LP"},
        {"exposure_s": 20.0},
        {"device": "S30_9", "model": "S30"},
        {"device": "S50_other"},
        {"gain": 120.0},
        {"telescope": pro, "device": "S30 Pro_1", "nx": 2160, "ny": 3840},
        {"telescope": pro, "device": "S30 Pro_1", "binning": 2},
        {"bayer": "RGGB"},
    ]
    for number, kind in enumerate(kinds):
        send_run(sender, ada, 2, after_s=number, **kind)
    # Turned by 20 degrees in an alt-azimuth session: the same block; registration undoes it.
    done = create_jobs(sender.archive, ada)
    assert (len(done.job_ids), done.n_frames) == (len(kinds), 2 * len(kinds))
    assert [job.n_frames for job in rows(sender.archive, Job)] == [2] * len(kinds)
    labels = [block.label.lower() for block in rows(sender.archive, BlockRow)]
    assert len(set(labels)) == len(kinds)
    assert check_books(sender.archive) == []


def test_two_owners_are_never_mixed(sender: Sender, ada: int) -> None:
    bob = ensure_observer(sender.archive, "bob")
    for owner in (ada, bob):
        send_run(sender, owner, 2)
    first = create_jobs(sender.archive, ada)
    assert first.n_frames == 2
    assert [frame.block_id is None for frame in rows(sender.archive, FrameRow)] == [
        False,
        False,
        True,
        True,
    ]
    second = create_jobs(sender.archive, bob)
    assert second.n_frames == 2
    blocks = rows(sender.archive, BlockRow)
    assert [block.observer_id for block in blocks] == [ada, bob]
    assert blocks[0].label == blocks[1].label
    assert check_books(sender.archive) == []


def test_an_on_board_stack_is_rejected_with_its_reason(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 1)
    sender.send(ada, make_header(n_planes=3, n_stacked=80))
    done = create_jobs(sender.archive, ada)
    assert (done.n_frames, done.n_rejected) == (1, 1)
    assert rows(sender.archive, FrameRow)[1].reason == "an on-board stack, not a raw sub"
    assert books(sender.archive, ada) == Books(2, 0, 1, 1)
    assert check_books(sender.archive) == []


def test_only_stacks_make_no_batch(sender: Sender, ada: int) -> None:
    sender.send(ada, make_header(n_planes=3, n_stacked=80))
    assert create_jobs(sender.archive, ada) == Finalised(None, (), 0, 1)
    assert rows(sender.archive, Batch) == []


def test_right_ascension_is_averaged_on_the_sphere(sender: Sender, ada: int) -> None:
    """359.9 and 0.1 are neighbours; their middle is 0, not 180."""
    sender.send(ada, make_header(0.0, ra_deg=359.9, dec_deg=0.0))
    sender.send(ada, make_header(10.0, ra_deg=0.1, dec_deg=0.0))
    create_jobs(sender.archive, ada)
    (block,) = rows(sender.archive, BlockRow)
    # 26 years of precession lie between the cards and ICRS.
    assert (block.ra_deg + 180.0) % 360.0 - 180.0 == pytest.approx(-0.337, abs=0.005)
    assert block.name == "20260327.81_359.7_-00.1"


@pytest.mark.parametrize("dec_deg", [90.0, -90.0])
def test_a_pole_is_one_place(dec_deg: float, sender: Sender, ada: int) -> None:
    for number, ra_deg in enumerate((0.0, 120.0, 240.0)):
        sender.send(ada, make_header(10.0 * number, ra_deg=ra_deg, dec_deg=dec_deg))
    assert len(create_jobs(sender.archive, ada).job_ids) == 1
    (block,) = rows(sender.archive, BlockRow)
    assert block.dec_deg == pytest.approx(dec_deg, abs=0.2)


def test_a_night_is_cut_at_the_quarter_hour_and_at_midnight(sender: Sender, ada: int) -> None:
    midnight_s = 3 * 3600 + 45 * 60
    for after_s in (midnight_s - 10.0, midnight_s - 0.1, midnight_s, midnight_s + 899.999999):
        sender.send(ada, make_header(after_s))
    create_jobs(sender.archive, ada)
    first, second = rows(sender.archive, BlockRow)
    assert blocks_of_frames(sender.archive) == [first.id, first.id, second.id, second.id]
    assert (first.name[:11], second.name[:11]) == ("20260327.95", "20260328.00")


def test_late_frames_join_a_job_that_waits(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 2)
    first = create_jobs(sender.archive, ada)
    # A minute of arc off, as telescopes dither: its mean would bear another name.
    send_run(sender, ada, 3, after_s=100.0, ra_deg=192.75, dec_deg=41.15)
    (preview,) = preview_blocks(sender.archive, ada)
    assert (preview.n_frames, preview.n_there) == (3, 2)
    second = create_jobs(sender.archive, ada)
    assert second == Finalised(None, first.job_ids, 3, 0)
    (job,) = rows(sender.archive, Job)
    assert job.n_frames == 5
    assert len(set(blocks_of_frames(sender.archive))) == 1
    assert check_books(sender.archive) == []


def test_late_frames_of_a_running_job_become_a_part(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 2)
    (job_id,) = create_jobs(sender.archive, ada).job_ids
    end_job(sender.archive, job_id, "running")
    send_run(sender, ada, 1, after_s=100.0)
    create_jobs(sender.archive, ada)
    first, second = rows(sender.archive, BlockRow)
    assert (first.key, first.part, second.key, second.part) == (first.key, 1, first.key, 2)
    assert second.label == first.label + "_2"
    assert [job.n_frames for job in rows(sender.archive, Job)] == [2, 1]
    assert check_books(sender.archive) == []


def test_late_frames_are_stacked_with_the_old_ones_while_their_raws_are_here(
    sender: Sender, ada: int
) -> None:
    send_run(sender, ada, 3)
    (job_id,) = create_jobs(sender.archive, ada).job_ids
    end_job(sender.archive, job_id, "done", n_rejected=1)
    send_run(sender, ada, 2, after_s=100.0)
    done = create_jobs(sender.archive, ada)
    assert (len(done.job_ids), done.n_frames) == (1, 2)
    (block,) = rows(sender.archive, BlockRow)
    assert [job.n_frames for job in rows(sender.archive, Job)] == [3, 5]
    assert blocks_of_frames(sender.archive) == [block.id] * 5
    # Until the new stack is there, the old one and its ledger stand.
    assert books(sender.archive, ada) == Books(5, 2, 1, 2)
    assert len(rows(sender.archive, StackRow)) == 1
    assert len(rows(sender.archive, StackInput)) == 3
    assert check_books(sender.archive) == []


@pytest.mark.parametrize("lost", ["raw swept", "object condemned"])
def test_late_frames_of_a_stack_without_raws_become_a_part(
    lost: str, sender: Sender, ada: int
) -> None:
    send_run(sender, ada, 2)
    (job_id,) = create_jobs(sender.archive, ada).job_ids
    end_job(sender.archive, job_id, "done")
    with sender.archive.writing() as session:
        first = session.query(FrameRow).order_by(FrameRow.id).first()
        assert first is not None
        if lost == "raw swept":
            first.raw_gone = True
        else:  # the sweeper is on it just now
            session.get_one(ObjectRow, first.sha256).state = "condemned"
    send_run(sender, ada, 1, after_s=100.0)
    create_jobs(sender.archive, ada)
    assert [block.part for block in rows(sender.archive, BlockRow)] == [1, 2]
    assert [job.n_frames for job in rows(sender.archive, Job)] == [2, 1]
    assert check_books(sender.archive) == []


def test_a_block_that_came_to_nothing_is_tried_again_with_more(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 1)
    (job_id,) = create_jobs(sender.archive, ada).job_ids
    end_job(sender.archive, job_id, "failed")
    assert books(sender.archive, ada) == Books(1, 0, 1, 0)
    send_run(sender, ada, 2, after_s=100.0)
    create_jobs(sender.archive, ada)
    assert len(rows(sender.archive, BlockRow)) == 1
    assert [job.n_frames for job in rows(sender.archive, Job)] == [1, 3]
    assert books(sender.archive, ada) == Books(3, 0, 0, 3)
    assert check_books(sender.archive) == []


def test_a_block_whose_job_broke_down_is_left_alone(sender: Sender, ada: int) -> None:
    """It may be its frames that break workers: the new ones are not given to them."""
    send_run(sender, ada, 1)
    create_jobs(sender.archive, ada)
    with sender.archive.writing() as session:
        session.execute(update(Job).values(state="failed", reason="the worker died"))
    send_run(sender, ada, 2, after_s=100.0)
    create_jobs(sender.archive, ada)
    assert [block.part for block in rows(sender.archive, BlockRow)] == [1, 2]
    assert check_books(sender.archive) == []


def test_two_new_places_near_an_old_one_are_not_thrown_together(sender: Sender, ada: int) -> None:
    sender.send(ada, make_header(0.0, ra_deg=180.0, dec_deg=0.0))
    create_jobs(sender.archive, ada)
    for side in (-0.30, 0.31):
        sender.send(ada, make_header(100.0, ra_deg=180.0 + side, dec_deg=0.0))
    create_jobs(sender.archive, ada)
    first, second = rows(sender.archive, BlockRow)
    assert first.key != second.key
    assert blocks_of_frames(sender.archive) == [first.id, first.id, second.id]
    assert check_books(sender.archive) == []


def test_frames_without_a_position_go_to_their_targets_block(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 1)
    create_jobs(sender.archive, ada)
    sender.send(ada, make_header(100.0, ra_deg=None))
    sender.send(ada, make_header(110.0, ra_deg=None, target="NGC 1"))
    create_jobs(sender.archive, ada)
    sender.send(ada, make_header(120.0, ra_deg=None, target="NGC 1"))
    create_jobs(sender.archive, ada)
    first, second = rows(sender.archive, BlockRow)
    assert blocks_of_frames(sender.archive) == [first.id, first.id, second.id, second.id]
    assert (second.ra_deg, second.dec_deg, second.name) == (None, None, "")
    assert second.label == "20260327.81_NGC_1_S50-a2ac_IRCUT_10s_g80"


def test_frames_whose_bytes_are_lost_wait(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 2)
    with sender.archive.writing() as session:
        session.query(FrameRow).order_by(FrameRow.id).first().raw_gone = True  # type: ignore[union-attr]
    assert create_jobs(sender.archive, ada).n_frames == 1
    assert books(sender.archive, ada) == Books(2, 0, 0, 2)
    assert check_books(sender.archive) == []


def test_frames_that_vanish_meanwhile_are_left_out(sender: Sender, ada: int) -> None:
    send_run(sender, ada, 3)
    calls = []

    def delete_one(name: str) -> None:
        if name == "finalise.grouped" and not calls:
            calls.append(name)
            with sender.archive.writing() as session:
                session.delete(session.query(FrameRow).order_by(FrameRow.id).first())

    on_step(delete_one)
    try:
        assert create_jobs(sender.archive, ada).n_frames == 2
    finally:
        on_step(None)
    assert check_books(sender.archive) == []


@pytest.mark.parametrize("step", ["finalise.grouped", "finalise.written"])
def test_a_crash_before_the_end_changes_nothing(step: str, sender: Sender, ada: int) -> None:
    send_run(sender, ada, 2)

    def die(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    on_step(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            create_jobs(sender.archive, ada)
    finally:
        on_step(None)
    assert rows(sender.archive, Batch) == rows(sender.archive, BlockRow) == []
    assert blocks_of_frames(sender.archive) == [None, None]
    assert create_jobs(sender.archive, ada).n_frames == 2


def test_a_title_is_kept_and_made_up_where_there_is_none(sender: Sender, ada: int) -> None:
    for number, target in enumerate(("A", "B", "B", "C", "D", "")):
        sender.send(
            ada, make_header(10.0 * number, target=target, ra_deg=10.0 * ord(target or "z"))
        )
    create_jobs(sender.archive, ada)
    sender.send(ada, make_header(5000.0))
    create_jobs(sender.archive, ada, title="My \x00 night")
    assert [batch.title for batch in rows(sender.archive, Batch)] == [
        "B, A, C and 1 more",
        "My � night",
    ]


def test_who_may_not(sender: Sender, ada: int) -> None:
    with pytest.raises(NotFound, match=r"^99: no such observer$"):
        create_jobs(sender.archive, 99)
    with sender.archive.writing() as session:
        session.execute(update(Job).values(state="done"))
        session.execute(update(Observer).values(state="erasing"))
    with pytest.raises(Conflict, match=r"^erasing: the account is not active$"):
        create_jobs(sender.archive, ada)
