"""A frame's header as plain data: what a row keeps, so that blocks are made without reading files.

The exact site of the observer is part of it, so it is never shared as it is.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

from crowdsky.frames.frame_header import FrameHeader, MountMode
from crowdsky.frames.pointing import Pointing
from crowdsky.frames.telescopes import TELESCOPES, TelescopeModel

__all__ = ["header_from_plain", "header_to_plain"]

_INTEGERS = ("nx", "ny", "n_planes", "bitpix", "data_offset", "file_bytes", "binning", "n_stacked")
_NUMBERS = ("bzero", "bscale", "exposure_s", "gain", "site_lat_deg", "site_lon_deg", "ccd_temp_c")
_TEXTS = ("telescope_id", "firmware", "filter", "bayer", "target")
_MODEL_NUMBERS = ("focal_length_mm", "pixel_um", "scale_arcsec_per_px", "scale_tolerance")


def header_to_plain(header: FrameHeader) -> dict[str, Any]:
    """Everything of a header but its path, as JSON can hold it.

    A telescope that is in the table of models is kept by its name alone, so that a scale which is
    measured better later also holds for the frames that are here already. NaN, which JSON does not
    know, is ``None``.

    Parameters
    ----------
    header : FrameHeader

    Returns
    -------
    dict
    """
    plain: dict[str, Any] = {name: getattr(header, name) for name in _INTEGERS + _TEXTS}
    plain |= {name: _number_to_plain(getattr(header, name)) for name in _NUMBERS}
    plain["telescope"] = _model_to_plain(header.telescope)
    plain["start_utc"] = header.start_utc.isoformat()
    plain["mount"] = header.mount.value
    plain["pointing"] = _pointing_to_plain(header.pointing)
    plain["notes"] = list(header.notes)
    return plain


def header_from_plain(plain: dict[str, Any], path: Path) -> FrameHeader:
    """The header that `header_to_plain` was given, with another path.

    Parameters
    ----------
    plain : dict
    path : Path
        What the header is to be called by; nothing is read.

    Returns
    -------
    FrameHeader
    """
    values: dict[str, Any] = {name: plain[name] for name in _INTEGERS + _TEXTS}
    # PostgreSQL gives a number back without its decimal point where it has no use for one.
    values |= {name: _number_from_plain(plain[name]) for name in _NUMBERS}
    return FrameHeader(
        path=path,
        **values,
        telescope=_model_from_plain(plain["telescope"]),
        start_utc=datetime.fromisoformat(plain["start_utc"]),
        mount=MountMode(plain["mount"]),
        pointing=_pointing_from_plain(plain["pointing"]),
        notes=tuple(plain["notes"]),
    )


def _number_to_plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number_from_plain(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _model_to_plain(model: TelescopeModel) -> str | dict[str, Any]:
    if TELESCOPES.get(model.name) == model:
        return model.name
    plain: dict[str, Any] = {name: getattr(model, name) for name in ("name", "nx", "ny", "bayer")}
    return plain | {name: _number_to_plain(getattr(model, name)) for name in _MODEL_NUMBERS}


def _model_from_plain(plain: str | dict[str, Any]) -> TelescopeModel:
    if isinstance(plain, str):
        return TELESCOPES[plain]
    numbers = {name: _number_from_plain(plain[name]) for name in _MODEL_NUMBERS}
    return TelescopeModel(**{**plain, **numbers})


def _pointing_to_plain(pointing: Pointing | None) -> dict[str, Any] | None:
    if pointing is None:
        return None
    return {
        "ra_card_deg": pointing.ra_card_deg,
        "dec_card_deg": pointing.dec_card_deg,
        "time_utc": pointing.time_utc.isoformat(),
    }


def _pointing_from_plain(plain: dict[str, Any] | None) -> Pointing | None:
    if plain is None:
        return None
    return Pointing(
        ra_card_deg=float(plain["ra_card_deg"]),
        dec_card_deg=float(plain["dec_card_deg"]),
        time_utc=datetime.fromisoformat(plain["time_utc"]),
    )
