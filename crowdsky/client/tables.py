"""What the service tells, as astropy Tables with units and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["frame_table", "stack_table", "table_of"]

_UNITS = {
    "_deg": "deg",
    "_s": "s",
    "_px": "pix",
    "_arcsec": "arcsec",
    "_mag": "mag",
    "_adu": "adu",
    "_bytes": "byte",
    "_arcsec_per_px": "arcsec / pix",
}
_STACK = {
    "id": int, "label": str, "name": str, "target": str, "telescope": str, "filter": str,
    "exposure_s": float, "exposure_total_s": float, "n_frames": int, "n_used": int,
    "n_rejected": int, "start_utc": "time", "end_utc": "time", "ra_deg": float, "dec_deg": float,
    "solved": bool, "scale_arcsec_per_px": float, "rotation_deg": float, "corners": "corners",
    "fwhm_px": float, "n_stars": int, "zero_point_mag": float, "sky_adu": float, "n_bytes": int,
    "sha256": str, "observer": str, "mine": bool, "licence": str, "credit": str,
    "public_utc": "time", "created_utc": "time",
}  # fmt: skip
_FRAME = {
    "id": int, "name": str, "state": str, "reason": str, "sha256": str, "n_bytes": int,
    "block_id": int, "start_utc": "time", "accepted_utc": "time", "target": str, "telescope": str,
    "weight": float, "note": str, "raw_gone": bool,
}  # fmt: skip


def stack_table(rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> Table:
    """Stacks: one a row. What an unsolved one lacks is masked or NaN."""
    return table_of(rows, _STACK, meta)


def frame_table(rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> Table:
    """Frames, each with its line of the ledger."""
    return table_of(rows, _FRAME, meta)


def table_of(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], meta: Mapping[str, Any]
) -> Table:
    """Lay out JSON objects as a table.

    Parameters
    ----------
    rows : sequence of mapping
    columns : mapping
        Names, each with ``int``, ``float``, ``str``, ``bool``, ``"time"`` (ISO 8601 to UTC `Time`)
        or ``"corners"`` (four pairs of right ascension and declination).
    meta : mapping
        Becomes the table's.

    Returns
    -------
    Table
        Absent numbers are NaN, absent integers and times masked. Units follow the columns' names.
    """
    from astropy.table import Table

    table = Table(meta=dict(meta))
    for name, kind in columns.items():
        values = [row.get(name) for row in rows]
        table[name] = _time_column(values) if kind == "time" else _column(values, kind)
        unit = _unit(name)
        if unit and kind != "time":
            table[name].unit = unit
    if "corners" in columns:
        table["corners"].unit = "deg"
    return table


def _column(values: list[Any], kind: Any) -> Any:
    import numpy as np

    if kind == "corners":
        unknown = [[float("nan")] * 2] * 4
        four = [value if value and len(value) == 4 else unknown for value in values]
        return np.array(four, float).reshape(-1, 4, 2)
    if kind is float:
        return np.array([float("nan") if value is None else value for value in values], float)
    if kind is str:
        return np.array(["" if value is None else str(value) for value in values], dtype=str)
    absent = [value is None for value in values]
    filled = np.array([0 if value is None else value for value in values], kind)
    return np.ma.MaskedArray(filled, absent) if any(absent) else filled


def _time_column(values: list[str | None]) -> Any:
    import numpy as np
    from astropy.time import Time

    # Time reads ISO 8601 without a zone; all of the service's times are UTC.
    absent = np.array([value is None for value in values], bool)
    texts = ["2000-01-01T00:00:00" if value is None else _bare(value) for value in values]
    times = Time(np.array(texts, dtype="U32"), format="isot", scale="utc")
    if absent.any():
        times[absent] = np.ma.masked
    return times


def _bare(text: str) -> str:
    return text.removesuffix("Z").removesuffix("+00:00")


def _unit(name: str) -> str:
    fitting = [suffix for suffix in _UNITS if name.endswith(suffix)]
    return _UNITS[max(fitting, key=len)] if fitting else ""
