"""One Prefect server for all tests of the flows, and workers that are stopped in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from tests.flows.servers import PrefectServer, WorkerProcess, free_port, tidy_environment
from tests.work.fixtures import sky

__all__ = ["StartWorker", "prefect_server", "sky", "start_worker", "store"]

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def start_worker(archive: Archive, store: LocalStore, tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker on the test's archive: ``start_worker(*options, server=..., **settings)``."""
    workers: list[WorkerProcess] = []

    def start(*options: str, server: PrefectServer | None = None, **settings: str) -> WorkerProcess:
        port = free_port() if server is None else server.port
        env = tidy_environment(
            PREFECT_HOME=str(tmp_path / "prefect-client"),
            PREFECT_LOGGING_LEVEL="WARNING",
            CROWDSKY_HOME=str(tmp_path),
            CROWDSKY_DATABASE_URL=archive.url,
            CROWDSKY_STORE_URL=str(tmp_path / "store"),
            CROWDSKY_PREFECT_PORT=str(port),
            CROWDSKY_JOBS="1",
            CROWDSKY_LEASE_S="2",
            CROWDSKY_RETRY_AFTER_S="0",
            **settings,
        )
        worker = WorkerProcess(env, tmp_path / f"worker{len(workers)}.log", options)
        workers.append(worker.start())
        return worker

    yield start
    for worker in workers:
        worker.close()
