"""Blind over the whole sky: simulated star lists at the hard places and at random ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np

from crowdsky.astrometry import blind_index, solve_stars
from crowdsky.errors import NoSolution
from crowdsky.simulate import random_pointings, simulate_star_list
from tests.benchmarks.figure import Figure

PICTURE = Path("build/bench_sky.png")
WRONG_BEYOND_PX = 10.0


def figures(quick: bool) -> Iterator[Figure]:
    """Per cent solved blind, wrong answers, CPU, size of the index; a map of where it failed."""
    index = blind_index()
    yield Figure("blind index", index.n_bytes / 1e6, "MB", 120, beside="tetra3rs 1430")
    yield Figure("triangles on file", index.n_triangles / 1e6, "million")
    for model in ("S50", "S30", "S30 Pro"):
        pointings = random_pointings(200 if quick or model != "S50" else 2000, seed=1)
        rng = np.random.default_rng(1)
        failed, wrong, cpu_ms = [], 0, []
        for ra, dec, rotation in pointings:
            stars, truth = simulate_star_list(model, ra, dec, rotation, rng)
            began = process_time()
            try:
                found = solve_stars(
                    stars, scale_arcsec_per_px=truth.scale_arcsec_per_px, blind=True
                )
            except NoSolution:
                failed.append((ra, dec))
            else:
                x, y = found.sky_to_pixel(ra, dec)
                off_px = np.hypot(x - found.crpix[0], y - found.crpix[1])
                wrong += bool(off_px > WRONG_BEYOND_PX)
            cpu_ms.append(1e3 * (process_time() - began))
        n = len(pointings)
        bar = 99.5 if model == "S50" else None
        yield Figure(
            f"{model}: {n} pointings solved", 100 - 100 * len(failed) / n, "%", bar, "more"
        )
        yield Figure(f"{model}: wrong answers", wrong, "", 0)
        yield Figure(f"{model}: median CPU, match and fit", median(cpu_ms), "ms")
        if model == "S50":
            _draw(pointings, failed)


def _draw(pointings: np.ndarray, failed: list[tuple[float, float]]) -> None:
    """All pointings on an Aitoff map, the failures in red."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(9, 5))
    axes = figure.add_subplot(projection="aitoff")
    for points, colour, size in ((pointings[:, :2], "0.6", 3), (np.array(failed), "red", 30)):
        if len(points):
            ra = -np.radians((points[:, 0] + 180) % 360 - 180)  # East to the left
            axes.scatter(ra, np.radians(points[:, 1]), s=size, c=colour, linewidths=0)
    axes.set_xticklabels([])
    axes.grid(alpha=0.3)
    axes.set_title(f"{len(failed)} of {len(pointings)} not solved blind")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110, bbox_inches="tight")
    pyplot.close(figure)
