"""Every real frame against its measured WCS, and spoilt lists of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crowdsky.astrometry import PlateSolution, ScaleMemory, hints_of, solve_frame, solve_stars
from crowdsky.errors import NoSolution
from crowdsky.frames import FrameHeader, read_frame
from crowdsky.stars import StarList, detect_stars
from tests.astrometry.lists import chosen, corners, scrambled, separation_arcsec
from tests.astrometry.test_spoilt import SPOILT, Spoil

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Real:
    """A real frame: its stars, its header and its measured centre and attitude."""

    path: Path
    header: FrameHeader
    stars: StarList
    centre: tuple[float, float]
    rotation_deg: float
    scale_arcsec_per_px: float
    parity: int

    def solve(self, stars: StarList, blind: bool) -> PlateSolution:
        return solve_stars(
            stars,
            scale_arcsec_per_px=self.header.scale_arcsec_per_px,
            hint=hints_of(self.header),
            blind=blind,
            epoch_jyear=self.header.epoch_jyear,
        )

    def off_arcsec(self, solution: PlateSolution) -> float:
        return float(separation_arcsec(*solution.crval, *self.centre))

    def is_right(self, solution: PlateSolution) -> bool:
        turned = (solution.rotation_deg - self.rotation_deg + 180) % 360 - 180
        return self.off_arcsec(solution) < 20 and abs(turned) < 0.5 and solution.parity == 1


@pytest.fixture(scope="module")
def frames(real_frames: list[Path], real_data_dir: Path) -> list[Real]:
    truth = json.loads((real_data_dir / "truth_wcs.json").read_text())
    found = []
    for path in real_frames:
        known = truth.get(path.relative_to(real_data_dir).as_posix())
        if known is None:
            continue
        frame = read_frame(path)
        stars = detect_stars(frame.mosaic, frame.header.bayer)
        found.append(
            Real(
                path, frame.header, stars, (known["center_ra"], known["center_dec"]),
                known["rotation_deg_E_of_N_of_plusY"], known["scale_arcsec"], known["parity"],
            )
        )  # fmt: skip
    if not found:
        pytest.skip("none of the real frames has a measured WCS")
    return found


@pytest.mark.parametrize("blind", [False, True])
def test_every_frame_is_solved_to_a_fraction_of_an_arcsec(frames: list[Real], blind: bool) -> None:
    off: list[float] = []
    for real in frames:
        solution = solve_frame(real.path, blind=blind)
        assert real.is_right(solution), real.path.name
        assert (solution.mode == "blind") == blind, real.path.name
        assert solution.scale_arcsec_per_px == pytest.approx(real.scale_arcsec_per_px, rel=1e-3)
        assert set(solution.ms) == {"read", "detect", "match", "fit"}
        assert solution.rms_arcsec < 1.5
        off.append(real.off_arcsec(solution))
    assert np.median(off) <= 0.3
    assert max(off) <= 1.0


def test_the_corners_are_right_too(frames: list[Real]) -> None:
    off: list[NDArray[np.float64]] = []
    for real in frames:
        hinted, blind = (solve_frame(real.path, blind=b) for b in (False, True))
        sky = hinted.pixel_to_sky(*corners(hinted.shape))
        off.append(separation_arcsec(*sky, *blind.pixel_to_sky(*corners(hinted.shape))))
    assert np.max(off) < 0.5


def test_a_wrong_scale_is_learned_and_does_no_harm(frames: list[Real]) -> None:
    memory = ScaleMemory()
    for real in frames[:6]:
        memory.learn(real.header.telescope_id, real.header.scale_arcsec_per_px * 2, 20)
    solution = solve_frame(frames[0].path, scales=memory)  # starts a hundredth off
    assert frames[0].is_right(solution)
    fresh = ScaleMemory()
    for real in frames[:3]:
        solve_frame(real.path, scales=fresh)
    learned = fresh.guess(frames[0].header.telescope_id, frames[0].header.scale_arcsec_per_px)
    assert learned == pytest.approx(frames[0].scale_arcsec_per_px, rel=1e-3)


@pytest.mark.parametrize("name", list(SPOILT))
@pytest.mark.parametrize("blind", [False, True])
def test_spoilt_lists_of_real_frames(frames: list[Real], name: str, blind: bool) -> None:
    spoil, bar_blind, bar_hinted = SPOILT[name]
    right, wrong, n = _tally(frames, spoil, blind)
    assert wrong == 0
    bar = bar_blind if blind else bar_hinted
    assert right / n >= bar, f"{right} of {n}"


def _tally(frames: list[Real], spoil: Spoil, blind: bool) -> tuple[int, int, int]:
    rng = np.random.default_rng(12)
    right = wrong = 0
    for real in frames:
        try:
            solution = real.solve(spoil(real.stars, rng), blind)
        except NoSolution:
            continue
        good = real.is_right(solution)
        right, wrong = right + good, wrong + (not good)
    return right, wrong, len(frames)


@pytest.mark.parametrize("blind", [False, True])
def test_scrambled_lists_of_real_frames_have_no_answer(frames: list[Real], blind: bool) -> None:
    rng = np.random.default_rng(13)
    for real in frames:
        short = chosen(real.stars, np.arange(min(25, len(real.stars))))
        with pytest.raises(NoSolution):
            real.solve(scrambled(short, rng), blind)
