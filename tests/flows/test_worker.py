"""Workers as processes: what Prefect shows of them, and how they come and go."""

from __future__ import annotations

import base64
import itertools
import signal
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from crowdsky.archive.books import books, check_books
from crowdsky.archive.delete_job import delete_job
from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import Job, Lease, StackRow
from tests.flows.conftest import StartWorker
from tests.flows.servers import PrefectServer, wait_for
from tests.work.nights import Sky, finalise, send, small_block

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    # Workers on PostgreSQL are in test_two_hosts.
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


def queue_blocks(
    archive: Archive,
    store: LocalStore,
    folder: Path,
    numbers: range,
    *,
    n_frames: int = 2,
    observer: str = "ann",
    target: str = "small",
) -> int:
    paths = [
        path
        for number in numbers
        for path in small_block(folder / target, number, n_frames, target=target)
    ]
    observer_id = send(archive, store, paths, observer)
    assert len(finalise(archive, observer_id).job_ids) == len(numbers)
    return observer_id


def states(archive: Archive) -> dict[str, int]:
    with archive.reading() as session:
        rows = session.execute(select(Job.state, func.count()).group_by(Job.state))
        return {row[0]: row[1] for row in rows}


def count(archive: Archive, kind: type) -> int:
    with archive.reading() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_a_batch_is_a_run_and_a_block_a_task_with_links_and_a_picture(
    archive: Archive,
    store: LocalStore,
    start_worker: StartWorker,
    prefect_server: PrefectServer,
    tmp_path: Path,
) -> None:
    """Also the pin of FastAPI: this server does not start with another one."""
    queue_blocks(archive, store, tmp_path, range(3), target="Rho {Oph}")
    target = f"Rho (Oph) {archive.engine.dialect.name}"
    worker = start_worker("--until-empty", "--host", target[10:], server=prefect_server)
    assert worker.process is not None
    assert worker.process.wait(60) == 0, worker.text()
    assert states(archive) == {"done": 3}
    assert check_books(archive) == []
    runs = [run for run in prefect_server.ask("flow_runs") if target[10:] in run["name"]]
    assert [run["name"] for run in runs] == [f"Rho (Oph) · batch 1 · {target[10:]}"]
    assert (runs[0]["state"]["type"], runs[0]["state"]["message"]) == ("COMPLETED", "3 done")
    of_run = {"flow_runs": {"id": {"any_": [runs[0]["id"]]}}}

    def tasks() -> list[dict[str, object]]:
        found = prefect_server.ask("task_runs", **of_run)
        return [task for task in found if task["state_type"] == "COMPLETED"]

    wait_for(lambda: len(tasks()) == 3, what="for the task runs' events")
    with archive.reading() as session:
        stacks = list(session.scalars(select(StackRow)))
        urls = set(session.scalars(select(Job.run_url)))
    assert {task["name"] for task in tasks()} == {f"Rho (Oph) · {stack.label}" for stack in stacks}
    assert urls == {
        f"http://127.0.0.1:{prefect_server.port}/runs/task-run/{task['id']}" for task in tasks()
    }
    artifacts = {entry["key"]: entry for entry in prefect_server.ask("artifacts", **of_run)}
    assert set(artifacts) == {"batch-1"} | {
        f"{kind}-{number}" for kind in ("job", "stack") for number in (1, 2, 3)
    }
    assert artifacts["batch-1"]["data"] == 100.0
    kind, _, picture = artifacts["stack-1"]["data"].partition(";base64,")
    assert kind == "data:image/webp"
    assert base64.b64decode(picture)[8:12] == b"WEBP"
    assert len(picture) < 20_000
    facts = artifacts["job-1"]["data"]
    assert "| job | [1](http://127.0.0.1:8642/api/v1/jobs/1) |" in facts
    assert "| frames used | 2 of 2 |" in facts


def test_without_a_prefect_server_the_work_is_done(
    archive: Archive, store: LocalStore, start_worker: StartWorker, tmp_path: Path
) -> None:
    queue_blocks(archive, store, tmp_path, range(2))
    worker = start_worker("--until-empty")
    assert worker.process is not None
    assert worker.process.wait(60) == 0, worker.text()
    assert states(archive) == {"done": 2}
    assert "is not shown in Prefect" in worker.text()


def test_sigterm_gives_the_leases_back_and_leaves_no_process(
    archive: Archive, store: LocalStore, start_worker: StartWorker, sky: Sky, tmp_path: Path
) -> None:
    """And what was released is no try: the next worker has them all."""
    paths = [path for number in range(3) for path in sky.block(tmp_path / "in", number, 12)]
    observer_id = send(archive, store, paths)
    finalise(archive, observer_id)
    worker = start_worker("--no-prefect").wait_ready()
    wait_for(lambda: "running" in states(archive))
    processes = [psutil.Process(worker.pid), *children(worker.pid)]
    assert len(processes) > 1
    assert worker.stop() == 0, worker.text()
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    assert count(archive, Lease) == 0
    assert "running" not in states(archive)
    with archive.reading() as session:
        assert not list(
            session.scalars(select(Job.id).where(Job.state == "queued", Job.attempts > 0))
        )
    assert not list((tmp_path / "scratch" / "jobs").iterdir())
    assert check_books(archive) == []


def test_a_killed_worker_takes_its_processes_along_and_another_finishes(
    archive: Archive, store: LocalStore, start_worker: StartWorker, sky: Sky, tmp_path: Path
) -> None:
    """FAULTS 17, regression 3: a dead worker's jobs do not stay 'processing' for ever."""
    paths = [path for number in range(2) for path in sky.block(tmp_path / "in", number, 8)]
    finalise(archive, send(archive, store, paths))
    first = start_worker("--no-prefect", "--host", "first").wait_ready()
    wait_for(lambda: "running" in states(archive))
    offspring = children(first.pid)
    assert first.stop(signal.SIGKILL) == -9
    _, alive = psutil.wait_procs(offspring, timeout=10)
    assert not alive
    second = start_worker("--no-prefect", "--until-empty", "--host", "second")
    assert second.process is not None
    assert second.process.wait(60) == 0, second.text()
    assert states(archive) == {"done": 2}
    assert count(archive, StackRow) == 2
    assert books(archive, None).stacked == 16
    assert check_books(archive) == []


def test_a_killed_stacking_process_costs_one_try(
    archive: Archive, store: LocalStore, start_worker: StartWorker, sky: Sky, tmp_path: Path
) -> None:
    finalise(archive, send(archive, store, sky.block(tmp_path / "in", 0, 20)))
    worker = start_worker("--no-prefect").wait_ready()

    def stacking() -> list[psutil.Process]:
        """Processes that compute, and not the one that looks after their semaphores."""
        return [p for p in children(worker.pid) if "spawn_main" in " ".join(p.cmdline())]

    with archive.reading() as session:
        job_id = session.scalar(select(Job.id))

    def step() -> str | None:
        with archive.reading() as session:
            return session.scalar(select(Job.step).where(Job.id == job_id))

    wait_for(lambda: step() == "stacking")
    stacking()[0].kill()
    wait_for(lambda: states(archive) == {"done": 1}, 60.0)
    with archive.reading() as session:
        job = session.get_one(Job, job_id)
    assert job.attempts == 2
    assert "the stacking process died (killed, or out of memory)" in job.log
    assert worker.stop() == 0
    assert check_books(archive) == []


def test_a_deleted_job_is_stopped_within_a_heartbeat(
    archive: Archive, store: LocalStore, start_worker: StartWorker, sky: Sky, tmp_path: Path
) -> None:
    """FAULTS 21: the process that computed it is stopped, and does the next job."""
    observer_id = send(archive, store, sky.block(tmp_path / "in", 0, 72))
    (job_id,) = finalise(archive, observer_id).job_ids
    worker = start_worker("--no-prefect").wait_ready()

    def begun() -> bool:
        with archive.reading() as session:
            return (session.scalar(select(Job.step).where(Job.id == job_id)) or "") == "stacking"

    wait_for(begun)
    assert delete_job(archive, store, observer_id, job_id)
    wait_for(lambda: f"job {job_id}: lost" in worker.text(), 10.0)
    assert not list((tmp_path / "scratch" / "jobs").iterdir())
    assert count(archive, StackRow) == 0
    queue_blocks(archive, store, tmp_path, range(5, 6))
    wait_for(lambda: states(archive) == {"done": 1}, 30.0)
    assert worker.stop() == 0
    assert check_books(archive) == []


def test_prefect_may_be_restarted_in_the_middle(
    archive: Archive, store: LocalStore, start_worker: StartWorker, tmp_path: Path
) -> None:
    home = tmp_path / "prefect-server"
    home.mkdir()
    server = PrefectServer(home)
    server.start()
    try:
        worker = start_worker(server=server).wait_ready()
        queue_blocks(archive, store, tmp_path, range(1), target="before")
        wait_for(lambda: states(archive) == {"done": 1})
        server.stop(signal.SIGKILL)
        queue_blocks(archive, store, tmp_path, range(1, 3), target="meanwhile")
        wait_for(lambda: states(archive) == {"done": 3})
        server.start()

        def shown_again() -> bool:
            return any("after" in run["name"] for run in server.ask("flow_runs"))

        # Whoever was cut off asks for the server again after a while, longer each time.
        end = time.monotonic() + 180.0
        for number in itertools.count(3):
            queue_blocks(archive, store, tmp_path, range(number, number + 1), target="after")
            wait_for(lambda n=number: states(archive) == {"done": n + 1})  # type: ignore[misc]
            if shown_again() or time.monotonic() > end:
                break
            time.sleep(0.5)
        assert shown_again()
        assert worker.stop() == 0, worker.text()
    finally:
        server.stop()
    assert check_books(archive) == []
