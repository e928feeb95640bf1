"""A process that does one job and is killed at a step; started afresh, but already warm."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.queue import lease_jobs
from crowdsky.steps import on_step
from crowdsky.work.execute import Workshop, execute
from crowdsky.work.fetch import Fetcher
from crowdsky.work.warm import warm_up
from tests.work.nights import Direct


def one_job(url: str, folder: str, fatal: str | None, told: str) -> None:
    """Lease a job and do it; every step is noted, and the fatal one is the last.

    Parameters
    ----------
    url : str
        Of the database.
    folder : str
        With the store and the scratch folder in it.
    fatal : str or None
        ``"<count> <name>"`` of the step to die at.
    told : str
        File for the steps' names.
    """
    counts: dict[str, int] = {}

    def hook(name: str) -> None:
        counts[name] = counts.get(name, 0) + 1
        step = f"{counts[name]} {name}"
        with Path(told).open("a", encoding="utf-8") as stream:
            stream.write(step + "\n")
        if step == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    on_step(hook)
    archive = Archive(url)
    store = LocalStore(Path(folder) / "store")
    shop = Workshop(archive, store, Direct(), Fetcher(store, 2), Path(folder) / "scratch")
    leased = lease_jobs(archive, "killed:1:a", 1, lease_s=60.0)
    assert execute(shop, leased[0]).state == "done"


if __name__ != "__main__":
    warm_up()
