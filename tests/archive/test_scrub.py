"""Rot is found, told and mended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.books import check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.finalise import create_jobs
from crowdsky.archive.models import AuditEntry, FrameRow, ObjectRow
from crowdsky.archive.objects import begin_object
from crowdsky.archive.scrub import ScrubReport, scrub
from crowdsky.archive.store import FileStore
from crowdsky.archive.sweep import sweep
from crowdsky.archive.uploads import known_frames
from crowdsky.steps import on_step
from tests.archive.sent_frames import Sender, end_job, make_header, rows, stored


@pytest.fixture
def sender(archive: Archive, tmp_path: Path) -> Sender:
    return Sender(archive, tmp_path / "sent")


@pytest.fixture
def observer(archive: Archive) -> int:
    return ensure_observer(archive, "ada")


def flip(store: FileStore, sha256: str) -> None:
    path = store.local_path(sha256)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_one_flipped_bit(archive: Archive, sender: Sender, observer: int) -> None:
    for number in range(3):
        sender.send(observer, make_header(10 * number), f"content {number}")
    create_jobs(archive, observer)
    frames = rows(archive, FrameRow)
    flip(sender.store, frames[1].sha256)
    report = scrub(archive, sender.store)
    assert report == ScrubReport(3, sum(frame.n_bytes for frame in frames[:2]), 1, 0, 0)
    assert str(report) == "3 files read (0.0 MB): 1 damaged, 0 missing, 0 could not be read"
    frames = rows(archive, FrameRow)
    assert [frame.raw_gone for frame in frames] == [False, True, False]
    assert [frame.state for frame in frames] == ["pending"] * 3
    assert frames[1].note == "its stored file is damaged; send it again to have it stacked"
    (entry,) = (entry for entry in rows(archive, AuditEntry) if entry.action == "object.rotten")
    assert (entry.actor, entry.subject) == ("scrub", f"object:{frames[1].sha256}")
    assert entry.detail == {"kind": "raw", "what": "damaged"}
    assert check_books(archive) == []
    # It is asked for again, and taken.
    with archive.reading() as session:
        assert known_frames(session, observer, [frame.sha256 for frame in frames]) == {
            frames[0].sha256,
            frames[2].sha256,
        }
    assert sender.send(observer, make_header(10), "content 1").frame_id == frames[1].id
    assert b"".join(sender.store.read(frames[1].sha256)) == b"content 1"
    assert not rows(archive, FrameRow)[1].raw_gone
    assert scrub(archive, sender.store).n_damaged == 0
    assert check_books(archive) == []


def test_a_file_that_is_missing(archive: Archive, sender: Sender, observer: int) -> None:
    sender.send(observer, make_header(0))
    (frame,) = rows(archive, FrameRow)
    sender.store.delete(frame.sha256)
    report = scrub(archive, sender.store)
    assert (report.n_checked, report.n_missing) == (0, 1)
    (frame,) = rows(archive, FrameRow)
    assert frame.note == "its stored file is missing; send it again to have it stacked"
    assert scrub(archive, sender.store) == ScrubReport(0, 0, 0, 0, 0)  # told once


def test_rotten_raws_go_and_rotten_stacks_stay_marked(
    archive: Archive, sender: Sender, observer: int
) -> None:
    sender.send(observer, make_header(0), "raw")
    (job_id,) = create_jobs(archive, observer).job_ids
    end_job(archive, job_id, "done")
    for word in ("s", "p", "t"):
        path, sha256 = sender.file(f"{word} {job_id}")
        sender.store.put(path, sha256)
    there = stored(sender.store)
    for sha256 in there:
        flip(sender.store, sha256)
    assert scrub(archive, sender.store).n_damaged == 4
    assert sweep(archive, sender.store, keep_raws_days=7, grace_s=0).n_deleted == 1
    states = {row.kind: row.state for row in rows(archive, ObjectRow)}
    assert states == {"raw": "writing", "stack": "rotten"}
    (frame,) = rows(archive, FrameRow)
    assert (frame.state, frame.note, frame.raw_gone) == ("stacked", "", True)
    assert check_books(archive) == []


def test_turns(archive: Archive, sender: Sender, observer: int) -> None:
    for number in range(5):
        sender.send(observer, make_header(10 * number))
    begin = datetime.now(UTC)
    seen: list[set[str]] = []
    for round_ in range(5):
        now = begin + timedelta(hours=round_)
        assert scrub(archive, sender.store, limit=2, now=now).n_checked == 2
        seen.append(
            {row.sha256 for row in rows(archive, ObjectRow) if row.checked_utc == now},
        )
    assert all(len(turn) == 2 for turn in seen)
    assert seen[0].isdisjoint(seen[1])
    assert len(seen[0] | seen[1] | seen[2]) == 5
    # Nobody waits for longer than it takes to go around.
    checked = [row.checked_utc for row in rows(archive, ObjectRow)]
    assert min(time for time in checked if time is not None) >= begin + timedelta(hours=2)


def test_bytes_that_were_put_again_meanwhile_are_not_called_rotten(
    archive: Archive, sender: Sender, observer: int
) -> None:
    sender.send(observer, make_header(0), "raw")
    (row,) = rows(archive, ObjectRow)
    flip(sender.store, row.sha256)

    def touch(label: str) -> None:
        if label == "scrub.read":
            on_step(None)
            begin_object(archive, row.sha256, 3, "raw")

    on_step(touch)
    try:
        assert scrub(archive, sender.store).n_damaged == 0
    finally:
        on_step(None)
    assert rows(archive, ObjectRow)[0].state == "stored"
    assert scrub(archive, sender.store).n_damaged == 1
