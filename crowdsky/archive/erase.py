"""The erasure of an account.

Its steps, each of which may be the last before a crash; `resume_erasures` takes up what is left:

1. The account is ``erasing``: its keys are gone and open nothing, and it takes nothing more.
2. Its jobs go, and with them their leases: a worker that is on one loses the right to commit.
3. Downloads, uploads and stacks go, then frames and blocks, in batches. The transaction that
   removes rows writes down which files they named.
4. Those files go from the store, unless somebody else's rows name the same bytes.
5. The observer's row goes, and whatever else hangs on it.

The audit keeps that an account was erased, by its number; entries by its name are removed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from crowdsky.archive.audit import note
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import (
    ApiKey,
    AuditEntry,
    Batch,
    BlockRow,
    Download,
    FileToErase,
    FrameRow,
    Job,
    Observer,
    StackRow,
    Telescope,
    Upload,
)
from crowdsky.archive.store import FileStore
from crowdsky.archive.sweep import delete_unneeded
from crowdsky.archive.turn import take_turn
from crowdsky.archive.upsert import insert_all_new
from crowdsky.steps import reached

__all__ = ["erase_account", "resume_erasures"]

_BATCH = 500


def erase_account(
    archive: Archive, store: FileStore, observer_id: int, *, now: datetime | None = None
) -> None:
    """Remove an account and all that is kept of it. One that is gone already is no error.

    Parameters
    ----------
    archive : Archive
    store : FileStore
    observer_id : int
    now : datetime, optional

    Raises
    ------
    StoreError, ArchiveUnavailable
        It is not finished then; `resume_erasures` goes on.
    """
    with archive.writing() as session:
        take_turn(session, observer_id)
        observer = session.get(Observer, observer_id)
        if observer is None:
            return
        name = observer.name
        observer.state = "erasing"
        session.execute(delete(ApiKey).where(ApiKey.observer_id == observer_id))
    reached("erase.marked")
    with archive.writing() as session:
        take_turn(session, observer_id)
        # Frames of a job that is gone would wait in their block for nobody.
        session.execute(
            update(FrameRow)
            .where(FrameRow.observer_id == observer_id, FrameRow.state == "pending")
            .values(block_id=None)
        )
        session.execute(delete(Batch).where(Batch.observer_id == observer_id))
        session.execute(delete(Job).where(Job.observer_id == observer_id))
        session.execute(delete(Download).where(Download.observer_id == observer_id))
        session.execute(delete(Upload).where(Upload.observer_id == observer_id))
    reached("erase.jobs_gone")
    # Until nothing is found: what was under way when the account was marked may still arrive.
    while _erase_stacks(archive, observer_id) or _erase_frames(archive, observer_id):
        pass
    _erase_files(archive, store, observer_id)
    with archive.writing() as session:
        session.execute(delete(BlockRow).where(BlockRow.observer_id == observer_id))
        session.execute(delete(Telescope).where(Telescope.observer_id == observer_id))
        session.execute(delete(AuditEntry).where(AuditEntry.actor == name))
        session.execute(delete(Observer).where(Observer.id == observer_id))
        note(
            session,
            "platform",
            "account.erase",
            f"observer:{observer_id}",
            now=now or datetime.now(UTC),
        )
        reached("erase.row_gone")
    reached("erase.committed")


def resume_erasures(archive: Archive, store: FileStore) -> list[int]:
    """Finish the erasures that were cut short; which observers these were."""
    with archive.reading() as session:
        unfinished = list(
            session.scalars(
                select(Observer.id).where(Observer.state == "erasing").order_by(Observer.id)
            )
        )
    for observer_id in unfinished:
        erase_account(archive, store, observer_id)
    return unfinished


def _erase_stacks(archive: Archive, observer_id: int) -> bool:
    """Remove a batch of stacks; whether there was one."""
    with archive.writing() as session:
        stacks = session.scalars(
            select(StackRow).where(StackRow.observer_id == observer_id).limit(_BATCH)
        ).all()
        files = {
            sha256
            for stack in stacks
            for sha256 in (stack.sha256, stack.preview_sha256, stack.thumbnail_sha256)
        }
        _write_down(session, observer_id, files)
        blocks = [stack.block_id for stack in stacks]
        # Its frames are no longer in a stack; they go next.
        session.execute(
            update(FrameRow)
            .where(FrameRow.block_id.in_(blocks), FrameRow.state == "stacked")
            .values(state="rejected", reason="the account is being erased")
            .execution_options(synchronize_session=False)
        )
        _delete(session, StackRow, [stack.id for stack in stacks])
        reached("erase.stacks")
    reached("erase.stacks_gone")
    return bool(stacks)


def _erase_frames(archive: Archive, observer_id: int) -> bool:
    with archive.writing() as session:
        frames = session.execute(
            select(FrameRow.id, FrameRow.sha256)
            .where(FrameRow.observer_id == observer_id)
            .limit(_BATCH)
        ).all()
        _write_down(session, observer_id, {frame.sha256 for frame in frames})
        _delete(session, FrameRow, [frame.id for frame in frames])
        reached("erase.frames")
    reached("erase.frames_gone")
    return bool(frames)


def _erase_files(archive: Archive, store: FileStore, observer_id: int) -> None:
    while True:
        with archive.reading() as session:
            files = list(
                session.scalars(
                    select(FileToErase.sha256)
                    .where(FileToErase.observer_id == observer_id)
                    .limit(_BATCH)
                )
            )
        if not files:
            return
        delete_unneeded(archive, store, files)
        reached("erase.files")
        with archive.writing() as session:
            session.execute(
                delete(FileToErase).where(
                    FileToErase.observer_id == observer_id, FileToErase.sha256.in_(files)
                )
            )
        reached("erase.files_gone")


def _write_down(session: Session, observer_id: int, files: set[str]) -> None:
    rows = [{"observer_id": observer_id, "sha256": sha256} for sha256 in sorted(files)]
    insert_all_new(session, FileToErase, ("observer_id", "sha256"), rows)


def _delete(session: Session, model: Any, ids: list[int]) -> None:
    session.execute(
        delete(model).where(model.id.in_(ids)).execution_options(synchronize_session=False)
    )
