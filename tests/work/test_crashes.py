"""FAULTS 17: a worker is killed at every labelled step, and exactly one stack results."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from crowdsky.archive.books import books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import expire_leases
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import FrameRow, Job, Lease, StackRow
from crowdsky.archive.queue import lease_jobs
from crowdsky.archive.sweep import sweep
from crowdsky.work.execute import Workshop, execute
from crowdsky.work.fetch import Fetcher
from crowdsky.work.scratch import sweep_attempts
from tests.work import crashing
from tests.work.nights import Direct, finalise, send, small_block

HOUR = timedelta(hours=1)


@pytest.mark.slow
def test_killed_at_every_step(archive: Archive, database_url: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.work.crashing"])
    store = LocalStore(tmp_path / "store")
    shop = Workshop(
        archive, store, Direct(), Fetcher(store, 2), tmp_path / "scratch",
        retry_after_s=0.0,
    )  # fmt: skip
    told = tmp_path / "steps"

    def one_job(number: int, fatal: str | None) -> int | None:
        paths = small_block(tmp_path / "night", number)
        assert len(finalise(archive, send(archive, store, paths)).job_ids) == 1
        told.unlink(missing_ok=True)
        child = context.Process(
            target=crashing.one_job, args=(database_url, str(tmp_path), fatal, str(told))
        )
        child.start()
        child.join(60)
        return child.exitcode

    assert one_job(0, None) == 0
    steps = told.read_text(encoding="utf-8").split("\n")[:-1]
    labels = {step.partition(" ")[2] for step in steps}
    assert {
        "lease.done",
        "work.leased",
        "work.fetched",
        "work.stacked",
        "work.stored_fits",
    } < labels
    assert {"commit.files_kept", "commit.done", "work.committed", "work.cleaned"} < labels
    for number, fatal in enumerate(steps, start=1):
        assert one_job(number, fatal) == -9, fatal
        later = datetime.now(UTC) + HOUR
        with archive.reading() as session:
            (job,) = session.scalars(select(Job).order_by(Job.id.desc()).limit(1))
            leased = session.get(Lease, job.id) is not None
            raws = list(session.scalars(select(FrameRow.sha256)))
        if job.state == "done":  # the commit was through: nothing may happen any more
            assert expire_leases(archive, retry_after_s=0.0, max_attempts=3, now=later) == []
        else:
            assert (job.state == "running") == leased, fatal
            expired = expire_leases(archive, retry_after_s=0.0, max_attempts=3, now=later)
            assert expired == ([job.id] if leased else []), fatal
            (again,) = lease_jobs(archive, "next:2:b", 1, lease_s=60.0, now=later)
            assert again.job_id == job.id
            outcome = execute(shop, again)
            assert (outcome.state, outcome.n_used) == ("done", 2), fatal
        assert all(path is not None and path.is_file() for path in map(store.local_path, raws))
        with archive.reading() as session:
            assert session.scalar(select(func.count(StackRow.id))) == number + 1, fatal
        assert check_books(archive) == [], fatal
    assert books(archive, None).stacked == 2 * (len(steps) + 1)
    assert sweep_attempts(archive, shop.scratch, grace_s=0.0) > 0
    assert not list(shop.scratch.iterdir())
    now = datetime.now(UTC) + timedelta(days=1)
    sweep(archive, store, keep_raws_days=30.0, grace_s=0.0, now=now)
    with archive.reading() as session:
        named = set(session.scalars(select(FrameRow.sha256)))
        for column in (StackRow.sha256, StackRow.preview_sha256, StackRow.thumbnail_sha256):
            named |= set(session.scalars(select(column)))
    assert {file.sha256 for file in store.files()} == named
    shop.fetcher.close()
