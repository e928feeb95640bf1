"""Stacks with their files in the store and their rows in the archive, without any stacking."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from crowdsky.api.context import Context
from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.models import (
    BlockRow,
    FrameRow,
    ObjectRow,
    StackInput,
    StackRow,
    Telescope,
)
from crowdsky.archive.positions import place

START = datetime(2026, 3, 27, 20, 15, 0, 955368, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
SITE_LAT, SERIAL = 48.23456789, "5a1e-serial-77"


@dataclass(frozen=True)
class Made:
    """A stack that was made."""

    id: int
    observer_id: int
    sha256: str
    preview_sha256: str
    data: bytes


def random_bytes(n: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(n)


def put(
    here: Context,
    data: bytes,
    kind: str = "stack",
    *,
    crc32: int | None = None,
    n: int | None = None,
) -> str:
    """Bytes in the store and their row; returns the SHA-256."""
    sha256 = hashlib.sha256(data).hexdigest()
    folder = Path(here.settings.scratch_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256
    path.write_bytes(data)
    here.store.put(path, sha256, consume=True)
    with here.archive.writing() as session:
        if session.get(ObjectRow, sha256) is None:
            session.add(
                ObjectRow(
                    sha256=sha256,
                    n_bytes=len(data),
                    kind=kind,
                    state="stored",
                    crc32=crc32,
                    touched_utc=START,
                )
            )
    return sha256


_count = iter(range(10**9))


def make_stack(
    here: Context, name: str, data: bytes | None = None, *, knows_crc: bool = True, **changes: Any
) -> Made:
    """A stack of three frames, one of them rejected; public unless `public_utc` says otherwise."""
    observer_id = ensure_observer(here.archive, name)
    number = next(_count)
    content = random_bytes(50_000 + number, number) if data is None else data
    sha256 = put(here, content, crc32=zlib.crc32(content) if knows_crc else None)
    preview = put(here, PNG + number.to_bytes(4, "big"), "preview")
    ra_deg, dec_deg = changes.pop("ra_deg", 192.7), changes.pop("dec_deg", 41.1)
    start = changes.pop("start_utc", START)
    with here.archive.writing() as session:
        telescope = Telescope(
            observer_id=observer_id, device=f"{SERIAL}-{number}", model="Seestar S50", pseudonym="t"
        )
        session.add(telescope)
        session.flush()
        target = changes.get("target", "M 94")
        block = BlockRow(
            observer_id=observer_id, telescope_id=telescope.id,
            key=hashlib.sha256(f"block {number}".encode()).hexdigest(), label="label", name="name",
            tile="20260327.81_HP035000", target=target, filter="IRCUT", exposure_s=10.0, gain=80.0,
            binning=1, bayer="GRBG", nx=1920, ny=1080, start_utc=start,
        )  # fmt: skip
        session.add(block)
        session.flush()
        at = None if ra_deg is None else place(ra_deg, dec_deg)
        facts: dict[str, Any] = {
            "observer_id": observer_id, "block_id": block.id, "telescope_id": telescope.id,
            "sha256": sha256, "preview_sha256": preview, "thumbnail_sha256": preview,
            "n_bytes": len(content), "label": "20260327.81_192.7_p41.1_IRCUT_10s", "name": "name",
            "target": target, "model": "Seestar S50", "filter": "IRCUT", "exposure_s": 10.0,
            "exposure_total_s": 20.0, "n_frames": 3, "n_used": 2, "n_rejected": 1,
            "start_utc": start, "end_utc": start + timedelta(seconds=40), "solved": True,
            "ra_deg": at and at.ra_deg, "dec_deg": at and at.dec_deg, "x": at and at.x,
            "y": at and at.y, "z": at and at.z, "cell": at and at.cell, "tile": at and at.tile,
            "scale_arcsec_per_px": 2.4, "rotation_deg": 3.0, "corners": [[192.0, 41.0]],
            "fwhm_px": 2.5, "n_stars": 300, "zero_point_mag": 18.0, "sky_adu": 900.0,
            "equatorial": False, "quality": {}, "public_utc": start, "licence": "CC-BY-4.0",
            "credit": "", "created_utc": start,
        }  # fmt: skip
        stack = StackRow(**(facts | changes))
        session.add(stack)
        session.flush()
        for index in range(3):
            used = index < 2
            raw = hashlib.sha256(f"raw {number} {index}".encode()).hexdigest()
            session.add(
                ObjectRow(sha256=raw, n_bytes=5, kind="raw", state="stored", touched_utc=START)
            )
            session.flush()
            frame = FrameRow(
                observer_id=observer_id, sha256=raw, n_bytes=5, name=f"Light_{index}.fit",
                telescope_id=telescope.id, target=target, block_id=block.id, accepted_utc=start,
                header={"site_lat_deg": SITE_LAT, "telescope_id": SERIAL},
                start_utc=start + timedelta(seconds=10 * index),
                state="stacked" if used else "rejected",
                reason="" if used else f"Light_{index}.fit: too few stars",
            )  # fmt: skip
            session.add(frame)
            session.flush()
            session.add(
                StackInput(
                    stack_id=stack.id,
                    frame_id=frame.id,
                    used=used,
                    weight=1.0 if used else 0.0,
                    reason="" if used else f"Light_{index}.fit: too few stars",
                )
            )
        return Made(stack.id, observer_id, sha256, preview, content)
