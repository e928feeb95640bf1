"""Where real Seestar frames are, for those tests and benchmarks that can use some."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = {".fit", ".fits"}


def real_data_dir() -> Path:
    """The folder named by CROWDSKY_REAL_DATA, else one called shared/data beside the checkout."""
    named = os.environ.get("CROWDSKY_REAL_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def real_frames() -> list[Path]:
    """Every real frame, in a fixed order; an empty list where there are none."""
    return sorted(p for p in real_data_dir().rglob("*") if p.suffix.lower() in SUFFIXES)
