"""From a real frame's file to its WCS: how fast, how right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from crowdsky.astrometry import PlateSolution, ScaleMemory, solve_frame
from crowdsky.errors import CrowdSkyError
from tests.benchmarks.figure import Figure
from tests.real_data import real_data_dir, real_frames


def figures(quick: bool) -> Iterator[Figure]:
    """Speed hinted and blind, share solved, distance from the true centre."""
    frames = real_frames()
    if not frames:
        return
    truth = json.loads((real_data_dir() / "truth_wcs.json").read_text(encoding="utf-8"))
    for blind in (False, True):
        name = "blind" if blind else "hinted"
        scales = ScaleMemory()
        _attempt(frames[0], blind, scales)  # warm: compiled kernels loaded, catalogue mapped
        cpu_ms: list[float] = []
        solved: dict[Path, PlateSolution] = {}
        for _ in range(1 if quick else 5):
            for path in frames:
                began = process_time()
                solution = _attempt(path, blind, scales)
                cpu_ms.append(1e3 * (process_time() - began))
                if solution is not None:
                    solved[path] = solution
        yield Figure(
            f"{name}: file to WCS, median CPU", median(cpu_ms), "ms", 5, beside=PEERS[name]
        )
        for step in ("read", "detect", "match", "fit"):
            middle = median(solution.ms[step] for solution in solved.values())
            bar = 0.1 if step == "match" else None
            yield Figure(f"{name}: of it {step}, median wall", middle, "ms", bar)
        yield Figure(f"{name}: frames solved", len(solved), "", len(frames), "more")
        off = [_off_arcsec(solution, _truth(truth, path)) for path, solution in solved.items()]
        yield Figure(f"{name}: centre off, median", median(off), "arcsec", 0.3)
        yield Figure(f"{name}: centre off, worst", max(off), "arcsec", 1.0)


PEERS = {
    "hinted": "measured before: solve-field 1686, ASTAP 87, sep with the fastest matcher 21",
    "blind": "measured before: solve-field 1785",
}


def _attempt(path: Path, blind: bool, scales: ScaleMemory) -> PlateSolution | None:
    try:
        return solve_frame(path, blind=blind, scales=scales)
    except CrowdSkyError:
        return None


def _truth(truth: dict[str, Any], path: Path) -> dict[str, Any]:
    return truth[path.relative_to(real_data_dir()).as_posix()]


def _off_arcsec(solution: PlateSolution, truth: dict[str, Any]) -> float:
    x, y = truth["crpix"][0] - 1.0, truth["crpix"][1] - 1.0
    ra, dec = solution.pixel_to_sky(x, y)
    east = (float(ra) - truth["crval"][0]) * np.cos(np.radians(truth["crval"][1]))
    return float(np.hypot(east, float(dec) - truth["crval"][1]) * 3600.0)
