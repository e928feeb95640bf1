"""The ledger, the books, and from frames to jobs."""

from __future__ import annotations

from typing import Any

import pytest

from crowdsky.archive.commit import commit_stack
from crowdsky.archive.queue import lease_jobs
from tests.archive.queue_rows import make_jobs, make_observer, new_stack

pytestmark = [pytest.mark.enable_socket]


def test_the_books_balance_with_the_ledger(service: Any) -> None:
    archive = service.context.archive
    first, _second = make_jobs(archive, make_observer(archive, "ann"), 2)
    make_jobs(archive, make_observer(archive, "bob"), 1)
    [lease, *_] = lease_jobs(archive, "host:1", 1, lease_s=60)
    commit_stack(archive, lease, new_stack(archive, first))
    client = service.client_for("ann")
    assert client.get("/api/v1/books").json() == {
        "accepted": 6,
        "stacked": 2,
        "rejected": 1,
        "pending": 3,
    }
    frames = client.get("/api/v1/frames").json()["frames"]
    assert len(frames) == 6
    for state, number in (("stacked", 2), ("rejected", 1), ("pending", 3)):
        only = client.get(f"/api/v1/frames?state={state}").json()["frames"]
        assert len(only) == number
        assert {frame["state"] for frame in only} == {state}
    [rejected] = client.get("/api/v1/frames?state=rejected").json()["frames"]
    assert rejected["reason"] == "too few stars"
    assert rejected["start_utc"].endswith("Z")
    assert "header" not in rejected
    of_block = client.get(f"/api/v1/frames?block_id={first.block_id}").json()["frames"]
    assert [frame["id"] for frame in of_block] == list(first.frame_ids)


def test_page_by_page(service: Any) -> None:
    archive = service.context.archive
    make_jobs(archive, make_observer(archive, "ann"), 4, n_frames=5)
    client = service.client_for("ann")
    ids: list[int] = []
    after = 0
    while after is not None:
        page = client.get(
            "/api/v1/frames", params={"limit": 7} | ({"after": after} if after else {})
        )
        ids += [frame["id"] for frame in page.json()["frames"]]
        after = page.json()["next_after"]
    assert len(ids) == len(set(ids)) == 20


def test_nothing_to_finalise(service: Any) -> None:
    client = service.client_for("ann")
    assert client.get("/api/v1/blocks/preview").json() == {
        "blocks": [],
        "n_blocks": 0,
        "n_frames": 0,
    }
    assert client.post("/api/v1/finalise").json() == {
        "batch_id": None,
        "job_ids": [],
        "n_frames": 0,
        "n_rejected": 0,
    }
    assert client.post("/api/v1/finalise", json={"title": "x" * 201}).status_code == 422
