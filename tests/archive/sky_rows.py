"""Skies full of stacks, written in bulk and known as arrays: for tests and benchmarks of search."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from crowdsky.archive.engine import Archive
from crowdsky.archive.positions import cells, unit_vectors
from crowdsky.archive.triggers import drop_trigger_statements, trigger_statements

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 27, tzinfo=UTC)
NOW_US = (NOW - EPOCH) // timedelta(microseconds=1)
DAY_US = 86_400_000_000
TARGETS = ("M 94", "M 31", "NGC 7000", "Sh2-101", "Ω-Nebel")
FILTERS = ("IRCUT", "LP")
MODELS = ("Seestar S50", "Seestar S30", "Seestar S30 Pro")


@dataclass(frozen=True)
class Sky:
    """Columns of stacks; ids count from 1. What is never public has a `public_us` of -1."""

    observer: NDArray[np.int64]
    start_us: NDArray[np.int64]
    public_us: NDArray[np.int64]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    n_bytes: NDArray[np.int64]
    exposure_s: NDArray[np.float64]
    target: NDArray[np.int64]
    filter: NDArray[np.int64]
    model: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.observer)

    @property
    def ids(self) -> NDArray[np.int64]:
        return np.arange(1, len(self) + 1)


def random_sky(n: int, seed: int, *, n_observers: int = 3, days: float = 1000.0) -> Sky:
    """Positions all over the sphere, with poles, wraps and repeated places among them."""
    rng = np.random.default_rng(seed)
    ra = np.round(rng.uniform(0, 360, n), 6) % 360.0
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    corners = rng.random(n) < 0.05
    ra[corners] = rng.choice([0.0, 90.0, 180.0, 270.0, 359.999999], corners.sum())
    dec[corners] = rng.choice([-90.0, -45.0, 0.0, 45.0, 90.0], corners.sum())
    unplaced = rng.random(n) < 0.03
    ra[unplaced] = dec[unplaced] = np.nan
    start = NOW_US - (rng.integers(0, int(days * 96), n) * (DAY_US // 96))
    public = np.where(rng.random(n) < 0.5, start, start + 400 * DAY_US)
    public[rng.random(n) < 0.2] = -1
    return Sky(
        observer=rng.integers(1, n_observers + 1, n),
        start_us=start,
        public_us=public,
        ra_deg=ra,
        dec_deg=dec,
        n_bytes=rng.integers(1_000, 50_000_000, n),
        exposure_s=rng.integers(1, 90, n) * 10.0,
        target=rng.integers(0, len(TARGETS), n),
        filter=rng.integers(0, len(FILTERS), n),
        model=rng.integers(0, len(MODELS), n),
    )


def write_sky(archive: Archive, sky: Sky, *, noted: bool = True) -> None:
    """Put a sky into an empty archive; observers, blocks and files behind the rows are left out."""
    with archive.engine.connect() as connection:
        dialect = archive.engine.dialect.name
        if dialect == "sqlite":
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
            if not noted:
                for statement in drop_trigger_statements(dialect):
                    connection.execute(text(statement))
            names = ", ".join(_COLUMNS)
            marks = ", ".join("?" * len(_COLUMNS))
            connection.connection.driver_connection.executemany(
                f"INSERT INTO stacks ({names}) VALUES ({marks})", _rows(sky, _as_number)
            )
            if not noted:
                for statement in trigger_statements(dialect):
                    connection.execute(text(statement))
            connection.commit()
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")
            return
        # A replica's role leaves foreign keys and triggers unasked.
        connection.execute(text("SET session_replication_role = replica"))
        with connection.connection.driver_connection.cursor() as cursor:
            _copy(cursor, sky)
        connection.execute(text("SET session_replication_role = origin"))
        if noted:
            connection.execute(text("INSERT INTO stack_changes (stack_id) SELECT id FROM stacks"))
        connection.execute(text("SELECT setval('stacks_id_seq', (SELECT max(id) FROM stacks))"))
        connection.commit()


def _copy(cursor: Any, sky: Sky) -> None:
    names = ", ".join(_COLUMNS)
    with cursor.copy(f"COPY stacks ({names}) FROM STDIN") as copy:
        page = io.StringIO()
        for row in _rows(sky, _as_time):
            page.write("\t".join("\\N" if value is None else str(value) for value in row) + "\n")
            if page.tell() > 1_000_000:
                copy.write(page.getvalue())
                page = io.StringIO()
        copy.write(page.getvalue())


_COLUMNS = [
    "id",
    "observer_id",
    "block_id",
    "telescope_id",
    "sha256",
    "preview_sha256",
    "thumbnail_sha256",
    "n_bytes",
    "label",
    "name",
    "target",
    "model",
    "filter",
    "exposure_s",
    "exposure_total_s",
    "n_frames",
    "n_used",
    "n_rejected",
    "start_utc",
    "end_utc",
    "solved",
    "ra_deg",
    "dec_deg",
    "x",
    "y",
    "z",
    "cell",
    "tile",
    "scale_arcsec_per_px",
    "rotation_deg",
    "corners",
    "fwhm_px",
    "n_stars",
    "zero_point_mag",
    "sky_adu",
    "quality",
    "public_utc",
    "licence",
    "credit",
    "created_utc",
]


def _as_number(us: int) -> Any:
    return us


def _as_time(us: int) -> Any:
    return (EPOCH + timedelta(microseconds=us)).isoformat()


def _rows(sky: Sky, as_time: Any) -> Iterator[tuple[Any, ...]]:
    vectors = unit_vectors(sky.ra_deg, sky.dec_deg)
    placed = np.isfinite(sky.ra_deg)
    cell = np.full(len(sky), -1)
    cell[placed] = cells(sky.ra_deg[placed], sky.dec_deg[placed])
    tile = _tiles(sky)
    quality = json.dumps({"grade": 1, "n_stars_per_frame": [200, 210, 190], "trail_px": 1.2})
    corners = json.dumps([[10.123456, 20.123456]] * 4)
    sha = "0" * 56
    solved: Any = True
    listed = zip(
        sky.observer.tolist(),
        sky.start_us.tolist(),
        sky.public_us.tolist(),
        sky.ra_deg.tolist(),
        sky.dec_deg.tolist(),
        *vectors.tolist(),
        cell.tolist(),
        tile.tolist(),
        sky.n_bytes.tolist(),
        sky.exposure_s.tolist(),
        sky.target.tolist(),
        sky.filter.tolist(),
        sky.model.tolist(),
        strict=True,
    )
    for number, row in enumerate(listed, 1):
        who, start, public, ra, dec, x, y, z, pixel, wide, size, seconds, name, band, model = row
        place = (ra, dec, x, y, z, pixel, wide) if pixel >= 0 else (None,) * 7
        digest = f"{sha}{number:08x}"
        yield (
            number, who, number, 1, digest, digest, digest, size, "20260327.80_label", "name",
            TARGETS[name], MODELS[model], FILTERS[band], 10.0, seconds, 90, 80, 10,
            as_time(start), as_time(start + 900_000_000), solved, *place, 2.4, 12.5, corners, 2.6,
            300, 18.1, 900.0, quality, None if public < 0 else as_time(public), "CC-BY-4.0", "",
            as_time(start + DAY_US),
        )  # fmt: skip


def _tiles(sky: Sky) -> NDArray[np.int64]:
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    placed = np.isfinite(sky.ra_deg)
    tile = np.full(len(sky), -1)
    tile[placed] = lonlat_to_healpix(
        sky.ra_deg[placed] * units.deg, sky.dec_deg[placed] * units.deg, 128, order="ring"
    )
    return tile
