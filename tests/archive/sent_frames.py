"""Frames without pixels, and how they get into an archive: for tests of the records."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from crowdsky.archive.engine import Archive
from crowdsky.archive.ingest import Arrival, take_frame
from crowdsky.archive.models import (
    Base,
    BlockRow,
    FrameRow,
    Job,
    Lease,
    ObjectRow,
    StackInput,
    StackRow,
)
from crowdsky.archive.open_store import open_store
from crowdsky.archive.store import FileStore
from crowdsky.frames.frame_header import FrameHeader, MountMode
from crowdsky.frames.pointing import Pointing
from crowdsky.frames.telescopes import TELESCOPES
from crowdsky.settings import ServerSettings

START = datetime(2026, 3, 27, 20, 15, 0, tzinfo=UTC)


def make_header(
    after_s: float = 0.0,
    *,
    device: str = "S50_1d3fe189",
    model: str = "S50",
    ra_deg: float | None = 192.7,
    dec_deg: float = 41.1,
    **changes: Any,
) -> FrameHeader:
    """The header of a raw sub that began `after_s` seconds after `START`."""
    start = START + timedelta(seconds=after_s)
    header = FrameHeader(
        path=Path("sent.fit"),
        nx=1080,
        ny=1920,
        n_planes=1,
        bitpix=16,
        bzero=32768.0,
        bscale=1.0,
        data_offset=5760,
        file_bytes=4152960,
        telescope=TELESCOPES[model],
        telescope_id=device,
        firmware="4.70",
        filter="IRCUT",
        exposure_s=10.0,
        gain=80.0,
        binning=1,
        bayer="GRBG",
        start_utc=start,
        target="M 94",
        mount=MountMode.ALTAZ,
        n_stacked=1,
        pointing=None if ra_deg is None else Pointing(ra_deg, dec_deg, start),
        site_lat_deg=51.123456,
        site_lon_deg=-1.7,
        ccd_temp_c=math.nan,
    )
    return replace(header, **changes)


def make_store(folder: Path) -> FileStore:
    """A store in a folder."""
    return open_store(
        ServerSettings(
            home=folder,
            cache_dir=folder,
            database_url="",
            store_url=str(folder / "store"),
            scratch_dir=folder / "scratch",
            jobs=1,
        )
    )


@dataclass
class Sender:
    """Whoever sends frames, each with content of its own."""

    archive: Archive
    folder: Path
    store: FileStore = field(init=False)
    sent: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.store = make_store(self.folder)

    def file(self, content: str, name: str = "sent.fit") -> tuple[Path, str]:
        """A file to be sent, and its SHA-256."""
        self.sent += 1
        path = self.folder / f"{self.sent}_{name}"
        path.write_bytes(content.encode())
        return path, hashlib.sha256(content.encode()).hexdigest()

    def send(
        self, observer_id: int, header: FrameHeader, content: str | None = None, **options: Any
    ) -> Arrival:
        """Send a frame; its content is new unless told."""
        path, sha256 = self.file(content or f"frame {self.sent}")
        return take_frame(
            self.archive,
            self.store,
            observer_id=observer_id,
            path=path,
            sha256=sha256,
            header=header,
            **({"name": "Light_M 94_10.0s_IRCUT.fit"} | options),
        )


def rows(archive: Archive, model: type[Base]) -> list[Any]:
    """All rows of a table by key."""
    with archive.reading() as session:
        return list(session.scalars(select(model).order_by(*model.__table__.primary_key)))


def stored(store: FileStore) -> set[str]:
    """What lies in a store."""
    return {file.sha256 for file in store.files()}


def end_job(archive: Archive, job_id: int, state: str, *, n_rejected: int = 0) -> None:
    """Bring a job to a state, with all that belongs to it: a lease, a stack, a ledger."""
    with archive.writing() as session:
        job = session.get_one(Job, job_id)
        frames = session.scalars(
            select(FrameRow).where(FrameRow.block_id == job.block_id).order_by(FrameRow.id)
        ).all()
        job.state, job.reason = state, "too few stars" if state == "failed" else ""
        if state == "running":
            session.add(
                Lease(
                    job_id=job_id,
                    token=f"token {job_id}",
                    worker="worker",
                    taken_utc=START,
                    expires_utc=START + timedelta(days=3650),
                )
            )
        if state == "failed":
            for frame in frames:
                frame.state, frame.reason = "rejected", "too few stars"
        if state == "done":
            _write_stack(session, job, frames, n_rejected)


def _write_stack(session: Session, job: Job, frames: Sequence[FrameRow], n_rejected: int) -> None:
    block = session.get_one(BlockRow, job.block_id)
    shas = [hashlib.sha256(f"{word} {job.id}".encode()).hexdigest() for word in ("s", "p", "t")]
    for sha256 in shas:
        session.add(
            ObjectRow(sha256=sha256, n_bytes=9, kind="stack", state="stored", touched_utc=START)
        )
    session.flush()
    stack = StackRow(
        observer_id=job.observer_id,
        block_id=block.id,
        telescope_id=block.telescope_id,
        sha256=shas[0],
        preview_sha256=shas[1],
        thumbnail_sha256=shas[2],
        n_bytes=9,
        label=block.label,
        name=block.name,
        target=block.target,
        model="S50",
        filter=block.filter,
        exposure_s=10.0,
        exposure_total_s=10.0,
        n_frames=len(frames),
        n_used=len(frames) - n_rejected,
        n_rejected=n_rejected,
        start_utc=START,
        end_utc=START + timedelta(seconds=600),
        solved=False,
        quality={},
        public_utc=START,
        licence="CC-BY-4.0",
        credit="",
        created_utc=START + timedelta(days=1),
    )
    session.add(stack)
    session.flush()
    for number, frame in enumerate(frames):
        used = number >= n_rejected
        frame.state, frame.reason = ("stacked", "") if used else ("rejected", "clouds")
        session.add(
            StackInput(stack_id=stack.id, frame_id=frame.id, used=used, reason=frame.reason)
        )
