"""Whether two workers do twice the work of one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from crowdsky.simulate import demo_plans, simulate_session
from tests.benchmarks.figure import Figure


def figures(quick: bool) -> Iterator[Figure]:
    """Wall time of two equal blocks, start of Python included."""
    if (os.cpu_count() or 1) < 2:
        return
    plan = demo_plans(seed=3)[1]
    with tempfile.TemporaryDirectory() as folder:
        night = Path(folder) / "night"
        for serial in ("51a0c001", "51a0c002"):
            simulate_session(
                replace(plan, serial=serial, n_frames=10 if quick else 40, flaws=(), satellites=()),
                night / serial,
            )
        seconds = [_wall_s(night, Path(folder) / f"jobs{jobs}", jobs) for jobs in (1, 2)]
    yield Figure("two blocks, wall: two workers over one", seconds[1] / seconds[0], "")


def _wall_s(night: Path, out: Path, jobs: int) -> float:
    program = str(Path(sys.executable).with_name("crowdsky"))
    began = perf_counter()
    subprocess.run(
        [program, "stack", str(night), "-o", str(out), "--jobs", str(jobs)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return perf_counter() - began
