"""The memory of plate scales, which is never trusted blindly."""

from __future__ import annotations

import pytest

from crowdsky.astrometry import ScaleMemory


def test_an_unknown_telescope_has_its_models_scale() -> None:
    memory = ScaleMemory()
    memory.learn("S50_a", 2.38, 20)
    assert memory.guess("S50_b", 2.3742) == 2.3742


def test_it_is_the_median_of_what_was_seen() -> None:
    memory = ScaleMemory()
    for scale in (2.375, 2.390, 2.376):
        memory.learn("S50_a", scale, 20)
    assert memory.guess("S50_a", 2.3742) == 2.376


@pytest.mark.parametrize("learned", [0.0, 1.0, 2.40, 3.99, 1e9])
def test_it_never_leads_further_than_a_hundredth(learned: float) -> None:
    memory = ScaleMemory()
    for _ in range(100):
        memory.learn("S50_a", learned, 50)
    assert memory.guess("S50_a", 2.3742) / 2.3742 == pytest.approx(
        1.01 if learned > 2.3742 else 0.99
    )


def test_frames_of_few_stars_teach_nothing() -> None:
    memory = ScaleMemory()
    memory.learn("S50_a", 2.39, 7)
    assert memory.guess("S50_a", 2.3742) == 2.3742
    memory.learn("S50_a", 2.39, 8)
    assert memory.guess("S50_a", 2.3742) == 2.39


def test_it_forgets_what_is_long_past() -> None:
    memory = ScaleMemory()
    for _ in range(1000):
        memory.learn("S50_a", 2.37, 20)
    for _ in range(ScaleMemory.KEPT // 2 + 1):
        memory.learn("S50_a", 2.38, 20)
    assert memory.guess("S50_a", 2.3742) == 2.38


def test_one_bad_frame_does_not_move_it() -> None:
    memory = ScaleMemory()
    for _ in range(5):
        memory.learn("S50_a", 2.376, 20)
    memory.learn("S50_a", 2.395, 20)
    assert memory.guess("S50_a", 2.3742) == 2.376
