"""Frames and stacks for tests of the client and of the commands that use it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from crowdsky.api.context import Context
from crowdsky.archive.commit import NewStack, commit_stack
from crowdsky.archive.objects import store_file
from crowdsky.archive.queue import lease_jobs
from tests.archive.queue_rows import make_jobs, new_stack
from tests.frames.fits_files import write_sub

__all__ = ["make_night", "make_stacks"]


def make_night(folder: Path, n: int, *, word: str = "", start_s: int = 0) -> list[Path]:
    """Small frames, each with content of its own."""
    return [
        write_sub(
            folder / f"Light_{word}{number:03d}.fit",
            OBJECT=f"M 94 {word}",
            DATE_OBS=f"2025-03-26T21:{(start_s + number) // 6 % 60:02d}:{number % 6 * 10:02d}",
        )
        for number in range(n)
    ]


def make_stacks(
    context: Context, observer_id: int, folder: Path, n: int, *, n_bytes: int = 300_000
) -> list[bytes]:
    """Stacks in the archive and their files in the store, whose contents are returned."""
    folder.mkdir(exist_ok=True)
    contents = []
    for number, made in enumerate(make_jobs(context.archive, observer_id, n)):
        (lease,) = lease_jobs(context.archive, "worker", 1, lease_s=60.0)
        assert lease.job_id == made.job_id
        content = np.random.default_rng(number).bytes(n_bytes)
        path = folder / f"stack_{number}.fits"
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        store_file(context.archive, context.store, path, sha256, "stack")
        stack: NewStack = new_stack(
            context.archive,
            made,
            sha256=sha256,
            n_bytes=n_bytes,
            label=f"block_{number}",
            target="M 94" if number % 2 == 0 else "M 51",
            ra_deg=(359.5 + number) % 360.0,
            dec_deg=41.0,
            corners=[[1.0, 41.0], [2.0, 41.0], [2.0, 42.0], [1.0, 42.0]],
        )
        commit_stack(context.archive, lease, stack)
        contents.append(content)
    return contents
