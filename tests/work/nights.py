"""Small blocks for the tests of the worker: drawn once, repeated with other times."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.engine import Archive
from crowdsky.archive.finalise import Finalised, create_jobs
from crowdsky.archive.ingest import take_frame
from crowdsky.archive.store import FileStore
from crowdsky.frames import read_frame_header
from crowdsky.work.order import Order, Stacked, carry_out
from crowdsky.work.ticket import Ticket
from crowdsky.work.warm import small_frame

START = datetime(2025, 3, 26, 21, 1, tzinfo=UTC)
_DATE_OBS = re.compile(rb"DATE-OBS= '[^']*'")


class Direct:
    """Stacks in this process."""

    def stack(self, order: Order, ticket: Ticket) -> Stacked:
        return carry_out(order)


@dataclass(frozen=True)
class Sky:
    """Raw frames of one field, by time."""

    frames: tuple[Path, ...]

    def block(self, folder: Path, number: int, n_frames: int, *, step: int = 1) -> list[Path]:
        """The frames again, in the quarter hour with this number after the first."""
        folder.mkdir(parents=True, exist_ok=True)
        begin = START + timedelta(minutes=15 * number)
        paths = []
        for i in range(n_frames):
            content = self.frames[i % len(self.frames)].read_bytes()
            start = begin + timedelta(seconds=11.3 * i * step)
            stamp = start.strftime("%Y-%m-%dT%H:%M:%S.") + f"{start.microsecond // 1000:03d}"
            found = _DATE_OBS.search(content)
            assert found is not None
            text = f"DATE-OBS= '{stamp}'".encode().ljust(len(found.group()))
            content = content[: found.start()] + text + content[found.end() :]
            path = folder / f"b{number:03d}_{i:03d}.fit"
            path.write_bytes(content)
            paths.append(path)
        return paths


def send(archive: Archive, store: FileStore, paths: list[Path], observer: str = "ann") -> int:
    """Take frames into the archive as the door does; returns the observer's id."""
    observer_id = ensure_observer(archive, observer)
    for path in paths:
        take_frame(
            archive,
            store,
            observer_id=observer_id,
            path=path,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            header=read_frame_header(path),
            name=path.name,
            consume=False,
        )
    return observer_id


def finalise(archive: Archive, observer_id: int) -> Finalised:
    """Make jobs of all that was sent."""
    return create_jobs(archive, observer_id)


def small_block(
    folder: Path, number: int, n_frames: int = 2, *, target: str = "small"
) -> list[Path]:
    """Frames of 320 pixels in the quarter hour with this number after the first."""
    folder.mkdir(parents=True, exist_ok=True)
    begin = START + timedelta(minutes=15 * number)
    return [
        small_frame(
            folder / f"{target}_{number:03d}_{i:03d}.fit",
            begin + timedelta(seconds=11 * i),
            target=target,
        )
        for i in range(n_frames)
    ]
