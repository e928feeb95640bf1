"""Frames become rows and files; copies do not, whoever sends them when."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from crowdsky.archive.accounts import ensure_observer, set_state
from crowdsky.archive.books import Books, books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.ingest import Arrival
from crowdsky.archive.models import FrameRow, ObjectRow, Observer, Telescope, Upload, UploadItem
from crowdsky.errors import Conflict, LimitExceeded, NotFound
from crowdsky.steps import on_step
from tests.archive.sent_frames import START, Sender, make_header, rows, stored

NOW = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)


@pytest.fixture
def sender(archive: Archive, tmp_path: Path) -> Sender:
    return Sender(archive, tmp_path)


@pytest.fixture
def ada(archive: Archive) -> int:
    return ensure_observer(archive, "ada")


def make_upload(archive: Archive, observer_id: int, upload_id: str = "u") -> None:
    with archive.writing() as session:
        session.add(
            Upload(
                id=upload_id,
                observer_id=observer_id,
                name="night.zip",
                created_utc=NOW,
                expires_utc=NOW,
            )
        )


def test_a_frame_is_taken(sender: Sender, ada: int) -> None:
    path, sha256 = sender.file("pixels")
    sender.sent = 0
    arrival = sender.send(ada, make_header(), "pixels", now=NOW)
    (frame,) = rows(sender.archive, FrameRow)
    assert arrival == Arrival("accepted", frame.id, "")
    assert (frame.observer_id, frame.sha256, frame.n_bytes) == (ada, sha256, 6)
    assert (frame.state, frame.block_id, frame.raw_gone) == ("pending", None, False)
    assert (frame.start_utc, frame.accepted_utc) == (START, NOW)
    assert stored(sender.store) == {sha256}
    (thing,) = rows(sender.archive, ObjectRow)
    assert (thing.sha256, thing.kind, thing.state) == (sha256, "raw", "stored")
    assert not path.exists()
    assert list(sender.folder.glob("*.twin")) == []


def test_a_frame_may_be_left_with_its_sender(sender: Sender, ada: int) -> None:
    sender.send(ada, make_header(), "pixels", consume=False)
    assert (sender.folder / "1_sent.fit").read_bytes() == b"pixels"


def test_the_same_bytes_again_are_a_duplicate(sender: Sender, ada: int) -> None:
    first = sender.send(ada, make_header(), "pixels", name="a.fit")
    second = sender.send(ada, make_header(), "pixels", name="renamed.fit")
    assert second == Arrival("duplicate", first.frame_id, "already here as a.fit")
    assert len(rows(sender.archive, FrameRow)) == 1
    assert list(sender.folder.glob("*.fit")) == []


def test_two_names_of_one_telescope_are_both_kept(sender: Sender, ada: int) -> None:
    """One file name from two telescopes, which some firmware writes alike."""
    sender.send(ada, make_header(device="S50_1"), name="Light_1.fit")
    sender.send(ada, make_header(device="S30_2", model="S30"), name="Light_1.fit")
    frames = rows(sender.archive, FrameRow)
    assert [frame.name for frame in frames] == ["Light_1.fit", "Light_1.fit"]
    assert [frame.note for frame in frames] == ["", ""]
    assert len({frame.telescope_id for frame in frames}) == 2
    assert {row.model for row in rows(sender.archive, Telescope)} == {"S50", "S30"}


def test_one_changed_pixel_is_a_new_frame_and_told(sender: Sender, ada: int) -> None:
    sender.send(ada, make_header(), "pixels", name="a.fit")
    arrival = sender.send(ada, make_header(), "pixelz", name="b.fit")
    assert arrival.outcome == "accepted"
    assert arrival.note == "same telescope and start as a.fit, other content"
    assert [frame.note for frame in rows(sender.archive, FrameRow)] == ["", arrival.note]


def test_two_owners_have_a_frame_each_of_one_file(sender: Sender, ada: int) -> None:
    bob = ensure_observer(sender.archive, "bob")
    first = sender.send(ada, make_header(), "pixels")
    second = sender.send(bob, make_header(), "pixels")
    assert (first.outcome, second.outcome) == ("accepted", "accepted")
    assert second.note == ""
    assert [frame.observer_id for frame in rows(sender.archive, FrameRow)] == [ada, bob]
    assert len(stored(sender.store)) == 1
    assert len(rows(sender.archive, Telescope)) == 2


def test_the_same_frames_from_two_sides_at_once_are_stored_once(sender: Sender, ada: int) -> None:
    n, outcomes, barrier = 15, [], threading.Barrier(2)
    other = Sender(sender.archive, sender.folder / "other")
    other.store = sender.store

    def send_all(one: Sender) -> None:
        barrier.wait()
        for number in range(n):
            arrival = one.send(ada, make_header(10.0 * number), f"pixels {number}")
            outcomes.append(arrival.outcome)

    threads = [threading.Thread(target=send_all, args=(one,)) for one in (sender, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["accepted"] * n + ["duplicate"] * n
    assert len(rows(sender.archive, FrameRow)) == n
    assert len(stored(sender.store)) == n
    assert books(sender.archive, ada) == Books(n, 0, 0, n)
    assert check_books(sender.archive) == []


def test_a_name_from_hell_is_stored(sender: Sender, ada: int) -> None:
    name = "\x00" + "\udcff" + '"><img onerror>\u202e' + "x" * 2000
    sender.send(ada, make_header(), name=name)
    (frame,) = rows(sender.archive, FrameRow)
    assert frame.name.startswith('��"><img onerror>\u202ex')
    assert len(frame.name) == 1000


def test_the_upload_lists_what_came_of_it_once(sender: Sender, ada: int) -> None:
    make_upload(sender.archive, ada)
    for _ in range(2):  # an intake that was cut short after the frame was safe
        sender.send(ada, make_header(), "pixels", name="a.fit", upload_id="u")
    sender.send(ada, make_header(), "pixels", name="copy/a.fit", upload_id="u")
    assert [
        (item.name, item.outcome, item.reason) for item in rows(sender.archive, UploadItem)
    ] == [("a.fit", "accepted", ""), ("copy/a.fit", "duplicate", "already here as a.fit")]


@pytest.mark.parametrize("step", ["ingest.begun", "ingest.stored", "ingest.committed"])
def test_a_crash_anywhere_is_made_good_by_doing_it_again(
    step: str, sender: Sender, ada: int
) -> None:
    make_upload(sender.archive, ada)

    def die(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    on_step(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            sender.send(ada, make_header(), "pixels", upload_id="u")
    finally:
        on_step(None)
    # The sender's file is there until the rows are, so nothing that was accepted is lost.
    assert (sender.folder / "1_sent.fit").read_bytes() == b"pixels"
    sender.sent = 0
    sender.send(ada, make_header(), "pixels", upload_id="u")
    assert len(rows(sender.archive, FrameRow)) == 1
    assert [item.outcome for item in rows(sender.archive, UploadItem)] == ["accepted"]
    assert len(stored(sender.store)) == 1
    assert list(sender.folder.glob("*.fit*")) == []


def lose(archive: Archive, frame_id: int, **values: object) -> None:
    """The raw of a frame is no longer there."""
    with archive.writing() as session:
        session.execute(
            update(FrameRow).where(FrameRow.id == frame_id).values(raw_gone=True, **values)
        )


def test_a_lost_frame_is_taken_again(sender: Sender, ada: int) -> None:
    first = sender.send(ada, make_header(), "pixels")
    lose(sender.archive, first.frame_id)
    again = sender.send(ada, make_header(), "pixels")
    assert again == Arrival(
        "accepted", first.frame_id, "taken again: its bytes were no longer here"
    )
    (frame,) = rows(sender.archive, FrameRow)
    assert (frame.state, frame.raw_gone) == ("pending", False)


def test_a_lost_frame_whose_block_came_to_nothing_is_free_again(sender: Sender, ada: int) -> None:
    first = sender.send(ada, make_header(), "pixels")
    lose(sender.archive, first.frame_id, state="rejected", reason="too few stars")
    assert sender.send(ada, make_header(), "pixels").outcome == "accepted"
    (frame,) = rows(sender.archive, FrameRow)
    assert (frame.state, frame.reason, frame.block_id, frame.raw_gone) == (
        "pending",
        "",
        None,
        False,
    )


def test_a_rejected_frame_that_is_here_stays_rejected(sender: Sender, ada: int) -> None:
    first = sender.send(ada, make_header(), "pixels", name="a.fit")
    with sender.archive.writing() as session:
        session.execute(update(FrameRow).values(state="rejected", reason="clouds"))
    again = sender.send(ada, make_header(), "pixels")
    assert again == Arrival("duplicate", first.frame_id, "already here as a.fit, rejected: clouds")


def test_over_the_quota_is_refused_with_the_limit(sender: Sender, ada: int) -> None:
    for number in range(4):
        sender.send(ada, make_header(10.0 * number), f"12345678{number}", quota_bytes=40)
    with pytest.raises(LimitExceeded, match="the quota of 4e-08 GB is used up") as caught:
        sender.send(ada, make_header(99.0), "123456789", quota_bytes=40)
    assert caught.value.numbers["limit"] == 40
    assert caught.value.numbers["used_bytes"] == 36
    assert len(rows(sender.archive, FrameRow)) == 4
    assert len(stored(sender.store)) == 4
    assert (sender.folder / "5_sent.fit").exists()
    # A copy takes no room.
    assert sender.send(ada, make_header(), "123456780", quota_bytes=40).outcome == "duplicate"


def test_an_observers_own_quota_beats_the_settings(sender: Sender, ada: int) -> None:
    with sender.archive.writing() as session:
        session.execute(update(Observer).values(quota_bytes=3))
    with pytest.raises(LimitExceeded):
        sender.send(ada, make_header(), "pixels", quota_bytes=10**9)


def test_room_that_is_made_is_used(sender: Sender, ada: int) -> None:
    first = sender.send(ada, make_header(), "123456789", quota_bytes=10)
    with pytest.raises(LimitExceeded):
        sender.send(ada, make_header(10.0), "123456780", quota_bytes=10)
    lose(sender.archive, first.frame_id)
    assert sender.send(ada, make_header(10.0), "123456780", quota_bytes=10).note == ""


def test_an_account_that_is_not_active_sends_nothing(sender: Sender, ada: int) -> None:
    set_state(sender.archive, ada, "deactivated")
    with pytest.raises(Conflict, match=r"^deactivated: the account is not active$"):
        sender.send(ada, make_header())
    with pytest.raises(NotFound, match=r"^99: no such observer$"):
        sender.send(99, make_header())
    assert stored(sender.store) == set()


def test_ages_are_kept_apart(sender: Sender, ada: int) -> None:
    """The same start from another telescope is no near duplicate, nor is another start."""
    sender.send(ada, make_header(device="S50_1"))
    assert sender.send(ada, make_header(device="S50_2")).note == ""
    assert sender.send(ada, make_header(0.001, device="S50_1")).note == ""
    assert START + timedelta(seconds=0.001) in {
        frame.start_utc for frame in rows(sender.archive, FrameRow)
    }
