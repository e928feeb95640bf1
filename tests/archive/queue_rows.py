"""Observers, blocks and jobs as rows, without the frames' files: for tests of the queue."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from crowdsky.archive.engine import Archive
from crowdsky.archive.ledger_rows import FrameResult
from crowdsky.archive.models import (
    Batch,
    BlockRow,
    FrameRow,
    Job,
    ObjectRow,
    Observer,
    Telescope,
)

NOW = datetime(2026, 3, 27, 20, 15, 0, tzinfo=UTC)
KEPT = ("stack", "preview", "thumbnail")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class MadeJob:
    job_id: int
    block_id: int
    observer_id: int
    frame_ids: tuple[int, ...]
    raws: tuple[str, ...]


def make_observer(archive: Archive, name: str) -> int:
    with archive.writing() as session:
        observer = Observer(name=name, created_utc=NOW)
        session.add(observer)
        session.flush()
        session.add(
            Telescope(observer_id=observer.id, device=name, model="Seestar S50", pseudonym=name)
        )
        return observer.id


def make_jobs(
    archive: Archive, observer_id: int, n: int, *, n_frames: int = 3, word: str = ""
) -> list[MadeJob]:
    """A batch of queued jobs, a block each; the raws' objects are called stored."""
    made = []
    with archive.writing() as session:
        telescope = session.scalars(
            select(Telescope.id).where(Telescope.observer_id == observer_id)
        ).first()
        batch = Batch(observer_id=observer_id, title="a night", created_utc=NOW)
        session.add(batch)
        session.flush()
        for number in range(n):
            name = f"{observer_id}/{word}{batch.id}/{number}"
            block = BlockRow(
                observer_id=observer_id,
                telescope_id=telescope,
                key=digest(name),
                label="label",
                name="name",
                tile="",
                target="M 94",
                filter="IRCUT",
                exposure_s=10.0,
                gain=80.0,
                binning=1,
                bayer="GRBG",
                nx=1920,
                ny=1080,
                start_utc=NOW,
            )
            session.add(block)
            session.flush()
            raws = [digest(f"{name}/{index}") for index in range(n_frames)]
            session.add_all(
                ObjectRow(
                    sha256=raw, n_bytes=len(name), kind="raw", state="stored", touched_utc=NOW
                )
                for raw in raws
            )
            session.flush()
            frames = [
                FrameRow(
                    observer_id=observer_id,
                    sha256=raw,
                    n_bytes=100,
                    name=f"Light_{index}.fit",
                    telescope_id=telescope,
                    header={"object": "M 94"},
                    target="M 94",
                    start_utc=at(10 * index),
                    accepted_utc=NOW,
                    block_id=block.id,
                )
                for index, raw in enumerate(raws)
            ]
            job = Job(
                observer_id=observer_id,
                batch_id=batch.id,
                block_id=block.id,
                not_before_utc=NOW,
                n_frames=n_frames,
                created_utc=NOW,
                changed_utc=NOW,
            )
            session.add_all([*frames, job])
            session.flush()
            made.append(
                MadeJob(job.id, block.id, observer_id, tuple(f.id for f in frames), tuple(raws))
            )
    return made


def keep_files(archive: Archive, word: str) -> dict[str, str]:
    """Objects of a stack's files, as if they were in the store."""
    named = {kind: digest(f"{word}/{kind}") for kind in KEPT}
    with archive.writing() as session:
        for kind, sha256 in named.items():
            if session.get(ObjectRow, sha256) is None:
                session.add(
                    ObjectRow(
                        sha256=sha256,
                        n_bytes=1000,
                        kind="stack" if kind == "stack" else "preview",
                        state="stored",
                        touched_utc=NOW,
                    )
                )
    return named


def new_stack(archive: Archive, made: MadeJob, word: str = "", **changes: Any) -> Any:
    """A `NewStack` of all frames of a job but the last."""
    from crowdsky.archive.commit import NewStack

    files = keep_files(archive, f"{made.job_id}{word}")
    *used, last = made.frame_ids
    facts: dict[str, Any] = {
        "sha256": files["stack"],
        "preview_sha256": files["preview"],
        "thumbnail_sha256": files["thumbnail"],
        "n_bytes": 1000,
        "label": "label",
        "name": "name",
        "target": "M 94",
        "model": "Seestar S50",
        "filter": "IRCUT",
        "exposure_s": 10.0,
        "exposure_total_s": 10.0 * len(used),
        "start_utc": NOW,
        "end_utc": at(600),
        "solved": True,
        "ra_deg": 192.7,
        "dec_deg": 41.1,
        "scale_arcsec_per_px": 2.4,
        "rotation_deg": 3.0,
        "corners": [[192.0, 41.0]],
        "fwhm_px": 2.5,
        "n_stars": 300,
        "zero_point_mag": 18.0,
        "sky_adu": 900.0,
        "equatorial": False,
        "quality": {"grade": 1},
        "frames": (
            *(FrameResult(number, used=True, weight=1.0, figures={"fwhm": 2.5}) for number in used),
            FrameResult(last, used=False, reason="too few stars"),
        ),
    }
    return NewStack(**(facts | changes))
