"""Rows and bytes in step, whoever else is at work."""

from __future__ import annotations

import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import FrameRow, ObjectRow
from crowdsky.archive.objects import begin_object, keep_object, store_file
from crowdsky.archive.scrub import mark_rotten
from crowdsky.archive.sweep import sweep
from crowdsky.errors import Conflict
from tests.archive.sent_frames import Sender, make_header, rows, stored

SHA256 = hashlib.sha256(b"frame").hexdigest()


def keep(archive: Archive, sha256: str = SHA256, crc32: int | None = None) -> None:
    with archive.writing() as session:
        keep_object(session, sha256, crc32=crc32)


def set_state(archive: Archive, state: str) -> None:
    with archive.writing() as session:
        session.get_one(ObjectRow, SHA256).state = state


def the_object(archive: Archive) -> ObjectRow:
    (row,) = rows(archive, ObjectRow)
    assert isinstance(row, ObjectRow)
    return row


def test_bytes_are_put_until_they_are_kept(archive: Archive) -> None:
    assert begin_object(archive, SHA256, 5, "raw") is True
    assert the_object(archive).state == "writing"
    assert begin_object(archive, SHA256, 5, "raw") is True  # the first may have died
    keep(archive, crc32=7)
    kept = the_object(archive)
    assert (kept.state, kept.n_bytes, kept.kind, kept.crc32) == ("stored", 5, "raw", 7)
    assert begin_object(archive, SHA256, 5, "raw") is False
    touched = the_object(archive).touched_utc
    assert touched > kept.touched_utc


def test_what_was_never_begun_cannot_be_kept(archive: Archive) -> None:
    with pytest.raises(Conflict, match=f"^{SHA256}: was swept while it was being stored; store it"):
        keep(archive)


def test_a_condemned_object_is_taken_back(archive: Archive, tmp_path: Path) -> None:
    begin_object(archive, SHA256, 5, "raw")
    keep(archive)
    set_state(archive, "condemned")
    with pytest.raises(Conflict, match="was swept while it was being stored"):
        keep(archive)
    assert begin_object(archive, SHA256, 5, "raw") is True
    # The sweeper that condemned it finds it taken, however long ago that was.
    sweep(archive, LocalStore(tmp_path), keep_raws_days=0, grace_s=3600)
    keep(archive)
    assert the_object(archive).state == "stored"


def test_a_rotten_object_is_kept_only_by_whoever_was_told_to_put_it(archive: Archive) -> None:
    begin_object(archive, SHA256, 5, "raw")
    keep(archive)
    assert begin_object(archive, SHA256, 5, "raw") is False
    with archive.writing() as session:
        mark_rotten(session, SHA256, "damaged")
    with pytest.raises(Conflict, match="was found to be rotten; store it again"):
        keep(archive)
    assert begin_object(archive, SHA256, 5, "raw") is True
    assert the_object(archive).state == "rotten"  # not to be served until the bytes are there
    keep(archive)
    assert the_object(archive).state == "stored"


def test_a_clock_that_was_set_back_does_not_lock_a_rotten_object(archive: Archive) -> None:
    begin_object(archive, SHA256, 5, "raw")
    keep(archive)
    with archive.writing() as session:
        mark_rotten(session, SHA256, "missing")
        row = session.get_one(ObjectRow, SHA256)
        assert row.checked_utc is not None
        row.checked_utc += timedelta(hours=1)
    assert begin_object(archive, SHA256, 5, "raw") is True
    keep(archive)


def test_a_file_of_a_stack_is_stored_with_its_crc(archive: Archive, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    path = tmp_path / "stack.fit"
    path.write_bytes(b"frame")
    store_file(archive, store, path, SHA256, "stack")
    assert the_object(archive).crc32 == zlib.crc32(b"frame")
    assert path.exists()
    store_file(archive, store, path, SHA256, "stack", consume=True)
    assert not path.exists()
    keep(archive)
    assert the_object(archive).crc32 == zlib.crc32(b"frame")
    assert (the_object(archive).kind, the_object(archive).n_bytes) == ("stack", 5)
    path.write_bytes(b"frame")
    store_file(archive, store, path, SHA256, "stack", consume=True)  # it is there already
    assert not path.exists()
    assert stored(store) == {SHA256}


def test_bytes_that_come_while_they_are_swept(archive: Archive, tmp_path: Path) -> None:
    """Many senders of the same few contents, and sweepers without any grace, all at once."""
    sender = Sender(archive, tmp_path / "sent")
    observers = [ensure_observer(archive, f"observer {number}") for number in range(4)]

    def send(number: int) -> str:
        content = f"content {number % 3}"
        arrival = sender.send(observers[number % 4], make_header(number % 3), content)
        return arrival.outcome

    def clean(number: int) -> int:
        return sweep(archive, sender.store, keep_raws_days=0, grace_s=0).n_deleted

    with ThreadPoolExecutor(6) as pool:
        sweeps = [pool.submit(clean, number) for number in range(8)]
        outcomes = list(pool.map(send, range(24)))
    for done in sweeps:
        done.result()
    assert outcomes.count("accepted") == 12  # three contents of four observers
    frames = rows(archive, FrameRow)
    assert len(frames) == 12
    assert not any(frame.raw_gone for frame in frames)
    assert {frame.sha256 for frame in frames} == stored(sender.store)
    assert {row.state for row in rows(archive, ObjectRow)} == {"stored"}
