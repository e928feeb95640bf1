"""Rows as the published ``crowdsky-client`` knows them."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crowdsky.api.context import Context
from crowdsky.api.files_check import CheckedFiles
from crowdsky.api.manifest import file_name
from crowdsky.archive.coverage import TileCoverage
from crowdsky.archive.models import StackRow
from crowdsky.errors import NotFound

__all__ = ["coverage_ecsv", "listed_frame", "plain_frame", "star_file"]

#: Of a star, in this order; as STAR-TAB has them.
STAR_FIELDS = (
    "x",
    "y",
    "flux",
    "a",
    "b",
    "theta",
    "flag",
    "peak",
    "ra",
    "dec",
    "gaia_id",
    "gaia_gmag",
    "match_dist_arcsec",
)
_COVERAGE = (
    ("healpix_ring", "int64", ""),
    ("filter_name", "string", ""),
    ("n_stacks", "int64", ""),
    ("total_exptime", "float64", "s"),
    ("first_obs", "string", ""),
    ("last_obs", "string", ""),
)


def plain_frame(row: StackRow, tile: str, base: str) -> dict[str, Any]:
    """A stack as ``frames_by_healpix.php`` lists it.

    Parameters
    ----------
    row : StackRow
    tile : str
        HEALPix name of its block.
    base : str
        Address of the service, without a slash at the end.

    Returns
    -------
    dict
    """
    return {
        "id": row.id,
        "chunk_key": tile,
        "healpix": row.tile,
        "object_name": row.target,
        "telescope": row.model,
        "ra_deg": row.ra_deg,
        "dec_deg": row.dec_deg,
        "filter_name": row.filter,
        "exptime": row.exposure_s,
        "total_exptime": row.exposure_total_s,
        "eq_mode": None if row.equatorial is None else int(row.equatorial),
        "sqm": None,
        "n_frames_input": row.n_frames,
        "n_frames_aligned": row.n_used,
        "n_stars_detected": row.n_stars,
        "date_obs_start": _moment(row.start_utc),
        "date_obs_end": _moment(row.end_utc),
        "file_size_bytes": row.n_bytes,
        "sha256": row.sha256,
        "licence": row.licence,
        "credit": row.credit,
        "download_url": _address(row, base),
    }


def listed_frame(row: StackRow, tile: str, base: str) -> dict[str, Any]:
    """A stack as ``download_frame.php`` lists it when it is asked for several."""
    return {
        "id": row.id,
        "chunk_key": tile,
        "object_name": row.target,
        "filename": file_name(row.label, row.id).removeprefix("stacks/"),
        "file_size_bytes": row.n_bytes,
        "download_url": _address(row, base),
    }


def star_file(here: Context, checked: CheckedFiles, sha256: str, n_bytes: int) -> dict[str, Any]:
    """The stars of a stack, read from its table STAR-TAB.

    Raises
    ------
    NotFound
        The file has no such table.
    ObjectMissing, ObjectRotten, StoreError
    """
    checked.check(sha256, n_bytes)
    path = here.store.local_path(sha256)
    if path is not None:
        return _stars_of(path)
    here.settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stars.", dir=here.settings.scratch_dir) as folder:
        fetched = Path(folder) / "stack.fits"
        here.store.fetch(sha256, fetched)
        return _stars_of(fetched)


def coverage_ecsv(tiles: Iterable[TileCoverage]) -> str:
    """The table of ``sky_coverage.php``: ECSV, as astropy writes and reads it (APE 6)."""
    text = io.StringIO()
    text.write("# %ECSV 1.0\n# ---\n# datatype:\n")
    for name, kind, unit in _COVERAGE:
        middle = f"unit: {unit}, " if unit else ""
        text.write(f"# - {{name: {name}, {middle}datatype: {kind}}}\n")
    text.write("# schema: astropy-2.0\n")
    text.write(" ".join(name for name, _, _ in _COVERAGE) + "\n")
    # Texts in quotes, so that an empty one is seen.
    writer = csv.writer(text, delimiter=" ", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for tile in tiles:
        words = "".join(c if c.isprintable() else "?" for c in tile.filter)
        writer.writerow(
            [
                tile.tile,
                words,
                tile.n_stacks,
                float(tile.exposure_s),
                _moment(tile.first_utc),
                _moment(tile.last_utc),
            ]
        )
    return text.getvalue()


def _stars_of(path: Path) -> dict[str, Any]:
    from astropy.io import fits

    try:
        with fits.open(path, memmap=True) as hdus:
            table, shape = hdus["STAR-TAB"].data, hdus["RED"].shape
            names = [name for name in STAR_FIELDS if name in table.names]
            columns = [table[name].tolist() for name in names]
    except (KeyError, OSError):
        raise NotFound("this stack has no star table") from None
    return {
        "width": int(shape[1]),
        "height": int(shape[0]),
        "stars": [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)],
    }


def _moment(moment: datetime) -> str:
    # All digits always, so that the order of the texts is that of the times.
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _address(row: StackRow, base: str) -> str:
    return f"{base}/api/download_frame.php?id={row.id}"
