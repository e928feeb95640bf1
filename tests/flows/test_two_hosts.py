"""Scale out: two workers as if on two machines share PostgreSQL and S3, and one of them dies."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import func, select

from crowdsky.archive.books import books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, Job, StackRow
from crowdsky.archive.open_store import open_store
from crowdsky.settings import ServerSettings, load_server_settings
from crowdsky.work.upkeep import Upkeep
from tests.flows.servers import WorkerProcess, tidy_environment, wait_for
from tests.work.nights import Sky, finalise, send

N_BLOCKS = 8

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]


@pytest.fixture
def s3_url() -> Iterator[str]:
    """Address of an S3 service with the bucket ``crowdsky``."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    assert httpx.put(f"{url}/crowdsky").status_code == 200
    yield url
    server.stop()


def settings_of(
    folder: Path, archive: Archive, s3_url: str
) -> tuple[dict[str, str], ServerSettings]:
    env = {
        "CROWDSKY_HOME": str(folder),
        "CROWDSKY_DATABASE_URL": archive.url,
        "CROWDSKY_STORE_URL": "s3://crowdsky/files",
        "CROWDSKY_S3_ENDPOINT": s3_url,
        "CROWDSKY_S3_KEY": "key",
        "CROWDSKY_S3_SECRET": "secret",
        "CROWDSKY_JOBS": "1",
        "CROWDSKY_LEASE_S": "2",
        "CROWDSKY_RETRY_AFTER_S": "0",
        "CROWDSKY_SWEEP_GRACE_S": "0",
    }
    return env, load_server_settings(env)


def test_two_hosts_share_a_queue_and_one_is_killed(
    archive: Archive, s3_url: str, sky: Sky, tmp_path: Path
) -> None:
    _, settings = settings_of(tmp_path / "service", archive, s3_url)
    store = open_store(settings)
    for number in range(N_BLOCKS):
        observer_id = send(archive, store, sky.block(tmp_path / "in", number, 4))
    assert len(finalise(archive, observer_id).job_ids) == N_BLOCKS
    workers = []
    try:
        for host in ("alpha", "beta"):
            env, _ = settings_of(tmp_path / host, archive, s3_url)
            environment = tidy_environment(
                PREFECT_HOME=str(tmp_path / "prefect"), PREFECT_LOGGING_LEVEL="WARNING", **env
            )
            options = ("--no-prefect", "--host", host)
            workers.append(WorkerProcess(environment, tmp_path / f"{host}.log", options).start())

        def done_by() -> dict[str, int]:
            with archive.reading() as session:
                rows = session.scalars(select(Job.worker).where(Job.state == "done"))
                hosts = [name.partition(":")[0] for name in rows]
            return {host: hosts.count(host) for host in hosts}

        alpha, beta = workers
        wait_for(lambda: done_by().get("alpha", 0) >= 1 and done_by().get("beta", 0) >= 1, 90.0)
        offspring = psutil.Process(alpha.pid).children(recursive=True)
        assert alpha.stop(signal.SIGKILL) == -9
        wait_for(lambda: sum(done_by().values()) == N_BLOCKS, 90.0)
        _, alive = psutil.wait_procs(offspring, timeout=10)
        assert not alive
        assert beta.stop() == 0, beta.text()
    finally:
        for worker in workers:
            worker.close()
    assert set(done_by()) == {"alpha", "beta"}
    assert books(archive, None).stacked == 4 * N_BLOCKS
    assert check_books(archive) == []
    Upkeep(settings, archive, store).sweep()
    with archive.reading() as session:
        assert session.scalar(select(func.count(StackRow.id))) == N_BLOCKS
        named = set(session.scalars(select(FrameRow.sha256)))
        for column in (StackRow.sha256, StackRow.preview_sha256, StackRow.thumbnail_sha256):
            named |= set(session.scalars(select(column)))
        sha256 = session.scalar(select(StackRow.sha256).limit(1))
    assert {file.sha256 for file in store.files()} == named
    assert sha256 is not None
    store.fetch(sha256, tmp_path / "stack.fits")
    content = (tmp_path / "stack.fits").read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256
