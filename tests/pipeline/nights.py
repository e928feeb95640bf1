"""Small simulated nights that the tests of the pipeline share."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from PIL import Image

from crowdsky.pipeline import NightReport
from crowdsky.simulate import SessionPlan

START = datetime(2025, 3, 26, 21, 1, tzinfo=UTC)
SERIAL = "51a0c0de"


def plan(**changes: Any) -> SessionPlan:
    """Four frames of a field in the Milky Way, where stars are many."""
    facts: dict[str, Any] = {
        "target": "M 52",
        "ra_deg": 351.2,
        "dec_deg": 61.6,
        "start_utc": START,
        "n_frames": 4,
        "rotation_deg": 77.0,
        "serial": SERIAL,
    }
    return SessionPlan(**{**facts, **changes})


def pole_plan(**changes: Any) -> SessionPlan:
    """Three frames of a field at the galactic pole, where stars are few."""
    facts = {"target": "Pole field", "ra_deg": 192.78, "dec_deg": 41.12, "n_frames": 3}
    return plan(**{**facts, "start_utc": START.replace(minute=5), **changes})


def frames_below(folder: Path) -> list[Path]:
    """The raw frames below a folder, by time."""
    return sorted(folder.rglob("*.fit"))


def copied(files: Iterable[Path], folder: Path) -> list[Path]:
    """Copies that a test may spoil."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy2(file, folder / file.name)) for file in files]


def reconcile(report: NightReport, given: Iterable[Path]) -> None:
    """Every file given is in one ledger or skipped, used or rejected with a reason."""
    ledgers = [frame for block in report.blocks for frame in block.frames]
    seen = [Path(frame.file) for frame in ledgers] + [entry.file for entry in report.skipped]
    assert sorted(seen) == sorted(given)
    assert all(bool(frame.reason) != frame.used for frame in ledgers)
    assert all(frame.weight > 0 for frame in ledgers if frame.used)
    assert all(entry.reason for entry in report.skipped)
    for block in report.blocks:
        assert block.frames
        assert (block.output is None) == (block.n_used == 0)
        assert bool(block.reason) == (block.output is None)


def planes_of(stack: str | Path) -> NDArray[np.float32]:
    """Red, green, blue and footprint of a stack; a wrong checksum is an error."""
    with fits.open(stack, checksum=True) as hdus:
        assert [hdu.name for hdu in hdus] == [
            "PRIMARY", "RED", "GREEN", "BLUE", "FOOTPRINT", "STAR-TAB"
        ]  # fmt: skip
        assert len(hdus["STAR-TAB"].data) >= 0
        return np.stack([np.asarray(hdus[i].data, np.float32) for i in range(1, 5)])


def check_products(folder: Path) -> None:
    """Whatever bears a product's name is complete."""
    for file in folder.iterdir():
        if file.name.startswith("."):
            continue
        if file.suffix == ".fits":
            planes_of(file)
        elif file.suffix == ".webp":
            with Image.open(file) as picture:
                picture.load()
        else:
            assert file.suffix == ".json"
            assert file.read_text(encoding="utf-8").rstrip().endswith("}")


def times_of_change(folder: Path) -> dict[str, int]:
    """When each file of a folder was last changed."""
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
