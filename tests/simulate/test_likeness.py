"""Simulated frames against real ones of the same field."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sep

from crowdsky.frames import read_frame, read_frame_header
from crowdsky.simulate import Mount, Session, SessionPlan
from crowdsky.simulate.plan import Flaw

PLANES = ((0, 0), (0, 1), (1, 0), (1, 1))


def look(mosaic: np.ndarray) -> dict[str, float]:
    """Figures that tell a frame's sky, noise and depth."""
    luminance = sum(mosaic[j::2, i::2].astype(np.float32) for j, i in PLANES) / 4
    background = sep.Background(luminance, bw=32, bh=32)
    found = sep.extract(luminance - background, 5, err=background.globalrms, minarea=3)
    brightest = np.argsort(-found["flux"])[:25]
    width = np.sqrt(found["a"] ** 2 + found["b"] ** 2)[brightest]
    return {
        "red": float(np.median(mosaic[0::2, 1::2])),
        "green": float(np.median(mosaic[0::2, 0::2])),
        "blue": float(np.median(mosaic[1::2, 0::2])),
        "noise": float(background.globalrms),
        "stars": len(found),
        "width": float(np.median(width)),
        "flux": float(np.exp(np.log(np.sort(found["flux"])[-22:-4]).mean())),
    }


TOLERANCE = {
    "red": 1.1, "green": 1.1, "blue": 1.1, "noise": 1.1,
    "stars": 1.6, "width": 1.2, "flux": 1.3,
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "settings"),
    [
        ("S50_M94_a", {"mount": Mount.EQUATORIAL}),
        ("S50_NGC7023_2024", {"firmware": "2.76", "sky_level": 0.68, "seeing": 0.65}),
    ],
)
def test_a_simulated_frame_looks_like_the_real_one(
    real_data_dir: Path, real_frames: list[Path], folder: str, settings: dict[str, object]
) -> None:
    path = next(p for p in real_frames if p.parent.name == folder)
    entry = json.loads((real_data_dir / "truth_wcs.json").read_text())[f"{folder}/{path.name}"]
    header = read_frame_header(path)
    session = Session(
        SessionPlan(
            header.target,
            entry["center_ra"],
            entry["center_dec"],
            header.start_utc,
            n_frames=1,
            rotation_deg=entry["rotation_deg_E_of_N_of_plusY"],
            site_lat_deg=header.site_lat_deg,
            site_lon_deg=header.site_lon_deg,
            **settings,  # type: ignore[arg-type]
        )
    )
    real, simulated = look(read_frame(path).mosaic), look(session.draw(0).mosaic)
    for name, factor in TOLERANCE.items():
        assert real[name] / factor <= simulated[name] <= real[name] * factor, (
            name, real[name], simulated[name],
        )  # fmt: skip


@pytest.mark.real
def test_real_values_change_from_frame_to_frame_by_multiples_of_16_too(
    real_frames: list[Path],
) -> None:
    first, second = (read_frame(p).mosaic.astype(int) for p in real_frames[:2])
    session = Session(
        SessionPlan("M 94", 192.78, 41.12, read_frame_header(real_frames[0]).start_utc, n_frames=2)
    )
    ours = [session.draw(i).mosaic.astype(int) for i in (0, 1)]
    for a, b in ((first, second), ours):
        whole = ((a - b) % 16 == 0).mean()
        assert 0.995 < whole < 1
        assert np.unique(a % 16).size == 16


@pytest.mark.real
def test_a_dark_frame_is_narrower_than_any_real_sky(real_frames: list[Path]) -> None:
    """Guards the measure above: it must be able to tell frames apart."""
    session = Session(
        SessionPlan(
            "dark", 10.0, 10.0, read_frame_header(real_frames[0]).start_utc,
            n_frames=1, flaws=((0, Flaw.DARK),),
        )
    )  # fmt: skip
    dark, real = look(session.draw(0).mosaic), look(read_frame(real_frames[0]).mosaic)
    assert dark["green"] < 0.7 * real["green"]
    assert dark["noise"] < 0.6 * real["noise"]
