"""Jobs over HTTP: all of them, why one failed, and the end of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from crowdsky.archive.commit import commit_stack
from crowdsky.archive.leases import fail_attempt, report_progress
from crowdsky.archive.models import Lease
from crowdsky.archive.queue import lease_jobs
from crowdsky.errors import LeaseLost
from tests.archive.queue_rows import NOW, make_jobs, make_observer, new_stack

pytestmark = [pytest.mark.enable_socket]

FIELDS = {
    "id", "state", "target", "label", "block_id", "batch_id", "n_frames", "done_frames", "n_used",
    "n_rejected", "step", "reason", "log", "attempts", "created_utc", "started_utc",
    "finished_utc", "worker", "run_url", "stack_id", "orphaned",
}  # fmt: skip


def test_every_state_and_its_reason(service: Any) -> None:
    archive = service.context.archive
    ann = make_observer(archive, "ann")
    make_jobs(archive, make_observer(archive, "bob"), 5)
    first, second, third, fourth = make_jobs(archive, ann, 4)
    leases = {lease.job_id: lease for lease in lease_jobs(archive, "host:1", 8, lease_s=60)}
    commit_stack(archive, leases[first.job_id], new_stack(archive, first))
    fail_attempt(
        archive, leases[second.job_id], "the moon was in it", retry_after_s=1, max_attempts=1
    )
    report_progress(
        archive, leases[third.job_id], step="align", done_frames=2, log_line="2 of 3 aligned"
    )
    client = service.client_for("ann")
    told = client.get("/api/v1/jobs").json()
    assert [job["id"] for job in told["jobs"]] == [
        fourth.job_id, third.job_id, second.job_id, first.job_id,
    ]  # fmt: skip
    assert sum(told["counts"].values()) == 4
    assert (told["counts"]["done"], told["counts"]["failed"]) == (1, 1)
    assert told["next_after"] is None
    jobs = {job["id"]: client.get(f"/api/v1/jobs/{job['id']}").json() for job in told["jobs"]}
    assert set(jobs[first.job_id]) >= FIELDS
    done = jobs[first.job_id]
    assert (done["state"], done["n_used"], done["n_rejected"]) == ("done", 2, 1)
    assert done["stack_id"] is not None
    assert done["finished_utc"].endswith("Z")
    failed = jobs[second.job_id]
    assert (failed["state"], failed["reason"]) == ("failed", "the moon was in it")
    assert "the moon was in it" in failed["log"]
    running = jobs[third.job_id]
    assert (running["step"], running["done_frames"], running["worker"]) == ("align", 2, "host:1")
    assert "2 of 3 aligned" in running["log"]
    assert running["orphaned"] is False
    assert running["n_used"] is None

    only = client.get("/api/v1/jobs?state=failed").json()
    assert [job["id"] for job in only["jobs"]] == [second.job_id]
    assert sum(only["counts"].values()) == 4


def test_a_job_of_a_silent_worker_is_marked(service: Any) -> None:
    archive = service.context.archive
    [made] = make_jobs(archive, make_observer(archive, "ann"), 1)
    lease_jobs(archive, "host:1", 1, lease_s=60)
    with archive.writing() as session:
        session.execute(update(Lease).values(expires_utc=NOW - timedelta(days=1)))
    assert service.client_for("ann").get(f"/api/v1/jobs/{made.job_id}").json()["orphaned"] is True


def test_page_by_page_nothing_is_left_out(service: Any) -> None:
    archive = service.context.archive
    made = make_jobs(archive, make_observer(archive, "ann"), 250, n_frames=1)
    client = service.client_for("ann")
    ids: list[int] = []
    after: int | None = None
    while True:
        query = "" if after is None else f"&after={after}"
        page = client.get(f"/api/v1/jobs?limit=100{query}").json()
        ids += [job["id"] for job in page["jobs"]]
        after = page["next_after"]
        if after is None:
            break
    assert ids == sorted((one.job_id for one in made), reverse=True)


def test_the_ledger_of_a_job(service: Any) -> None:
    archive = service.context.archive
    [made] = make_jobs(archive, make_observer(archive, "ann"), 1)
    [lease] = lease_jobs(archive, "host:1", 1, lease_s=60)
    commit_stack(archive, lease, new_stack(archive, made))
    client = service.client_for("ann")
    told = client.get(f"/api/v1/jobs/{made.job_id}/frames").json()
    assert [(frame["state"], frame["reason"]) for frame in told["frames"]] == [
        ("stacked", ""), ("stacked", ""), ("rejected", "too few stars"),
    ]  # fmt: skip
    page = client.get(f"/api/v1/jobs/{made.job_id}/frames?limit=2").json()
    assert page["next_after"] == made.frame_ids[1]
    rest = client.get(f"/api/v1/jobs/{made.job_id}/frames?after={page['next_after']}").json()
    assert [frame["id"] for frame in rest["frames"]] == [made.frame_ids[2]]


def test_a_running_job_is_deleted_once_and_for_all(service: Any) -> None:
    archive = service.context.archive
    [made] = make_jobs(archive, make_observer(archive, "ann"), 1)
    [lease] = lease_jobs(archive, "host:1", 1, lease_s=60)
    ann, bob = service.client_for("ann"), service.client_for("bob")
    assert bob.delete(f"/api/v1/jobs/{made.job_id}").status_code == 404
    for _ in range(2):
        assert ann.delete(f"/api/v1/jobs/{made.job_id}").status_code == 204
        assert ann.get(f"/api/v1/jobs/{made.job_id}").status_code == 404
    assert bob.delete(f"/api/v1/jobs/{made.job_id}").status_code == 404
    assert ann.delete(f"/api/v1/jobs/{made.job_id + 1}").status_code == 404
    assert ann.get("/api/v1/books").json()["accepted"] == 0
    with pytest.raises(LeaseLost):
        commit_stack(archive, lease, new_stack(archive, made))


def test_several_at_once(service: Any) -> None:
    archive = service.context.archive
    own = [one.job_id for one in make_jobs(archive, make_observer(archive, "ann"), 3)]
    [foreign] = make_jobs(archive, make_observer(archive, "bob"), 1)
    client = service.client_for("ann")
    asked = {"ids": [own[0], foreign.job_id, own[1], own[0]]}
    expected = {"deleted": own[:2], "not_found": [foreign.job_id]}
    for _ in range(2):
        assert client.post("/api/v1/jobs/delete", json=asked).json() == expected
    assert [job["id"] for job in client.get("/api/v1/jobs").json()["jobs"]] == own[2:]
    assert len(service.client_for("bob").get("/api/v1/jobs").json()["jobs"]) == 1


def test_only_a_failed_job_is_tried_again(service: Any) -> None:
    archive = service.context.archive
    [made] = make_jobs(archive, make_observer(archive, "ann"), 1)
    client = service.client_for("ann")
    refused = client.post(f"/api/v1/jobs/{made.job_id}/retry")
    assert refused.status_code == 409
    assert "only a failed job can be tried again; this one is queued" in refused.json()["message"]
    [lease] = lease_jobs(archive, "host:1", 1, lease_s=60)
    fail_attempt(archive, lease, "broken", retry_after_s=1, max_attempts=1)
    again = client.post(f"/api/v1/jobs/{made.job_id}/retry")
    assert again.status_code == 202
    assert (again.json()["state"], again.json()["attempts"]) == ("queued", 0)
    other = service.client_for("bob").post(f"/api/v1/jobs/{made.job_id}/retry")
    assert other.status_code == 404
