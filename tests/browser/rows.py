"""Jobs of the platform's visitors as rows, which its own worker leaves alone."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import Job, Lease, ObjectRow, Telescope
from crowdsky.archive.queue import LeasedJob
from tests.archive.queue_rows import MadeJob, make_jobs

__all__ = ["FAR", "jobs_of", "taken"]

# The platform's own worker takes no job before its time; `queue_rows.NOW` is set to this.
FAR = datetime(2099, 3, 27, 20, 15, tzinfo=UTC)


def jobs_of(archive: Archive, store: LocalStore, name: str, n: int) -> list[MadeJob]:
    """Jobs of a visitor, with raws in the store."""
    owner = ensure_observer(archive, name)
    with archive.writing() as session:
        if not session.scalar(select(Telescope.id).where(Telescope.observer_id == owner)):
            session.add(
                Telescope(observer_id=owner, device=name, model="Seestar S50", pseudonym=name)
            )
    made = make_jobs(archive, owner, n, word=name)
    raws = [raw for job in made for raw in job.raws]
    with archive.writing() as session:
        # Files that were stored a moment ago are left alone by whoever tidies up.
        long_ago = datetime.now(UTC) - timedelta(days=1)
        session.execute(
            update(ObjectRow).where(ObjectRow.sha256.in_(raws)).values(touched_utc=long_ago)
        )
    for raw in raws:
        path = store.root / raw[:2] / raw
        path.parent.mkdir(exist_ok=True)
        path.write_text("raw")
    return made


def taken(archive: Archive, job: MadeJob, expires: datetime) -> LeasedJob:
    """A job that a worker somewhere else has leased."""
    now = datetime.now(UTC)
    with archive.writing() as session:
        session.execute(
            update(Job)
            .where(Job.id == job.job_id)
            .values(state="running", worker="elsewhere", attempts=1, started_utc=now,
                    changed_utc=now)
        )  # fmt: skip
        lease = Lease(job_id=job.job_id, token=secrets.token_hex(16), worker="elsewhere",
                      taken_utc=now, expires_utc=expires)  # fmt: skip
        session.add(lease)
        batch_id = session.scalars(select(Job.batch_id).where(Job.id == job.job_id)).one()
        return LeasedJob(
            job_id=job.job_id, block_id=job.block_id, batch_id=batch_id,
            observer_id=job.observer_id, token=lease.token, worker="elsewhere", attempt=1,
            expires_utc=expires,
        )  # fmt: skip
