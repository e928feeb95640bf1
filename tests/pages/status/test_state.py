"""What the Status page shows, without a widget, a service or a browser."""

from __future__ import annotations

from typing import Any

import pytest

from crowdsky.client.facts import Books, Frame
from crowdsky.pages.status.state import Board, frame_line, job_line
from tests.pages.status.job_lines import made_job

JOB = {"n_frames": 3, "target": "M 94"}


def told(board: Board) -> dict[str, Any]:
    changes = board.changes()
    assert changes is not None
    return changes


@pytest.fixture
def board() -> Board:
    """A board with jobs 1 to 6 and all of it told."""
    board = Board()
    board.take_counts({"queued": 1, "running": 1, "done": 3, "failed": 1})
    board.take_jobs(made_job(number) for number in range(1, 7))
    board.take_whole(range(1, 7))
    board.take_books(Books(360, 165, 17, 178))
    board.changes()
    return board


def test_the_first_message_has_it_all() -> None:
    board = Board()
    board.take_counts({"queued": 1, "done": 1}, now_ms=5)
    board.take_jobs([made_job(5, state="queued")])
    first = told(board)
    assert [row["id"] for row in first["rows"]] == [5]
    assert first["head"] == {
        "loaded": False,
        "total": 2,
        "counts": {"queued": 1, "done": 1},
        "delayed": "",
    }
    assert first["now_ms"] == 5
    board.take_jobs([made_job(4, state="done")])
    board.take_whole([5, 4])
    second = told(board)
    assert [row["id"] for row in second["rows"]] == [4]
    assert second["head"]["loaded"] is True


def test_only_what_changed_is_told(board: Board) -> None:
    assert board.changes() is None
    board.take_jobs([made_job(4), made_job(1)])
    assert board.changes() is None
    board.take_event("job", {"id": 4, "state": "running", "done_frames": 25, **JOB})
    assert [row["done"] for row in told(board)["rows"]] == [25]
    books = {"accepted": 360, "stacked": 166, "rejected": 17, "pending": 177}
    board.take_event("books", books)
    assert told(board)["books"] == books
    board.take_event("books", books)
    board.take_event("something new", {"id": 4})
    assert board.changes() is None


def test_a_deleted_job_never_comes_back(board: Board) -> None:
    board.take_event("job", {"id": 4, "state": "deleted"})
    assert told(board)["gone"] == [4]
    # A list that was read before the deletion, and an event that was under way.
    board.take_jobs([made_job(4)])
    board.take_event("job", {"id": 4, "state": "running", **JOB})
    board.drop([4])
    assert board.changes() is None
    assert board.n_jobs == 5


def test_what_a_whole_list_lacks_is_gone(board: Board) -> None:
    board.take_whole([1, 2, 3])
    changes = told(board)
    assert changes["gone"] == [4, 5, 6]
    assert changes["head"]["total"] == 3


def test_a_job_that_changed_and_went_is_only_gone(board: Board) -> None:
    board.take_jobs([made_job(4, done_frames=50)])
    board.drop([4])
    changes = told(board)
    assert changes["gone"] == [4]
    assert "rows" not in changes


def test_everything_is_told_to_a_front_end_that_has_nothing(board: Board) -> None:
    everything = board.everything()
    assert everything["anew"] is True
    assert len(everything["rows"]) == 6
    assert everything["books"]["accepted"] == 360
    assert everything["head"]["loaded"] is True
    assert board.changes() is None


def test_frames_that_no_job_has(board: Board) -> None:
    # 60 wait in job 4 and in job 5 each, and of job 2, which failed, 58.
    assert board.loose_frames == 0
    board.take_books(Books(400, 165, 17, 218))
    assert board.loose_frames == 40
    assert told(board)["head"]["loose"] == 40
    # Before the books are read again, frames of a job that ended or went are not called loose.
    board.take_jobs([made_job(4, state="done")])
    board.drop([5])
    assert board.loose_frames == 40
    board.take_books(Books(340, 220, 22, 98))
    assert board.loose_frames == 40
    reading = Board()
    reading.take_counts({"queued": 2})
    reading.take_books(Books(120, 0, 0, 120))
    assert reading.loose_frames == 0  # nothing is said before all jobs are known


def test_jobs_that_run_no_longer_are_named(board: Board) -> None:
    assert board.running == {4}
    assert board.take_running([made_job(5, state="running")], board.running) == [4]


def test_away_is_told_once_and_so_is_the_return(board: Board) -> None:
    board.delayed("no answer")
    assert told(board)["head"]["delayed"] == "no answer"
    board.delayed("no answer")
    assert board.changes() is None
    board.delayed("")
    assert told(board)["head"]["delayed"] == ""


def test_a_row_has_its_quarter_hour_and_leaves_out_what_is_empty() -> None:
    line = job_line(made_job(8))
    assert (line["from"], line["to"]) == ("2026-03-27T20:15:00Z", "2026-03-27T20:30:00Z")
    assert (line["used"], line["rejected"]) == (0, 2)  # nought says something
    assert "stack" not in line
    assert "orphaned" not in line
    assert job_line(made_job(1))["stack"] == 1


def test_a_frames_reason_does_not_repeat_its_name() -> None:
    frame = Frame(7, "Light_7.fit", "rejected", "Light_7.fit: too few stars")
    assert frame_line(frame)["reason"] == "too few stars"
