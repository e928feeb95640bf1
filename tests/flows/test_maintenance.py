"""Chores by the clock: shown in Prefect, tried again, and done without it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.errors import StoreError
from crowdsky.settings import load_server_settings
from crowdsky.work.upkeep import Upkeep
from tests.flows.servers import PrefectServer, free_port, tidy_environment

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


def one_chore(api_url: str, failures: int, home: Path) -> str:
    """What a process says that does one chore."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.flows.one_chore", api_url, str(failures)],
        env=tidy_environment(PREFECT_HOME=str(home), PREFECT_LOGGING_LEVEL="CRITICAL"),
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return ran.stdout.strip()


def test_a_chore_is_a_run_and_is_tried_again(
    prefect_server: PrefectServer, archive: Archive, tmp_path: Path
) -> None:
    assert one_chore(prefect_server.api_url, 2, tmp_path) == "3 calls, None"
    (run,) = [run for run in prefect_server.ask("flow_runs") if run["name"] == "sweep the floor"]
    assert (run["state"]["type"], run["state"]["message"]) == ("COMPLETED", "3 files removed")
    assert run["run_count"] == 3


def test_a_chore_is_done_without_a_server(archive: Archive, tmp_path: Path) -> None:
    assert one_chore(f"http://127.0.0.1:{free_port()}/api", 0, tmp_path) == "1 calls, None"


def test_what_fails_for_good_does_not_end_the_others(archive: Archive, tmp_path: Path) -> None:
    from flows import maintenance

    stop = asyncio.Event()
    done: list[str] = []

    def fail() -> str:
        done.append("failed")
        raise StoreError("timed out")

    def last() -> str:
        done.append("last")
        stop.set()
        return ""

    chores = [
        maintenance.Chore("first", fail, 60.0, 0.0),
        maintenance.Chore("last", last, 60.0, 0.01),
    ]
    asyncio.run(maintenance.serve(chores, stop, prefect=False))
    assert done == ["failed", "last"]


def test_all_chores_run_on_an_empty_archive(archive: Archive, tmp_path: Path) -> None:
    from flows import maintenance

    settings = load_server_settings({"CROWDSKY_HOME": str(tmp_path)})
    upkeep = Upkeep(settings, archive, LocalStore(tmp_path / "store"))

    async def once() -> list[BaseException | None]:
        return [
            await maintenance.run_chore(chore, prefect=False)
            for chore in maintenance.chores(upkeep)
        ]

    assert asyncio.run(once()) == [None] * 5
