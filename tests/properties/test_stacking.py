"""What must hold of any stack, whatever the frames."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdsky.stacking import FrameInput, StackSettings, stack_frames
from tests.stacking.fields import digital, motion

SHAPE = (48, 64)
shifts = st.lists(
    st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(-5, 5)), min_size=1, max_size=6
)
FEW = settings(max_examples=20, deadline=None)


def inputs(
    mosaics: list[np.ndarray], motions: list, scales: list[float] | None = None
) -> list[FrameInput]:
    return [
        FrameInput(
            lambda m=mosaic: m.copy(),
            motion(m[:2], m[2], SHAPE),
            scale=1.0 if scales is None else scales[i],
            label=f"{i:03d}",
        )
        for i, (mosaic, m) in enumerate(zip(mosaics, motions, strict=True))
    ]


def noisy(n: int, seed: int, factor: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [digital(factor * rng.normal(900, 40, SHAPE)) for _ in range(n)]


@given(motions=shifts, level=st.integers(0, 64_000))
@FEW
def test_constant_frames_give_a_constant_stack(motions: list, level: int) -> None:
    mosaics = [np.full(SHAPE, level, np.uint16)] * len(motions)
    image = stack_frames(inputs(mosaics, motions), shape=SHAPE)
    covered = image.footprint > 0
    assert np.abs(image.planes[:, covered] - level).max(initial=0.0) < 0.1
    assert (image.planes[:, ~covered] == 0).all()
    assert (image.footprint <= len(motions)).all()


@given(motions=shifts, seed=st.integers(0, 1000), data=st.data())
@FEW
def test_the_order_of_the_frames_is_irrelevant(
    motions: list, seed: int, data: st.DataObject
) -> None:
    frames = inputs(noisy(len(motions), seed), motions)
    shuffled = data.draw(st.permutations(frames))
    a, b = stack_frames(frames), stack_frames(shuffled)
    assert np.array_equal(a.planes, b.planes)
    assert np.array_equal(a.footprint, b.footprint)


@given(motions=shifts, seed=st.integers(0, 1000), factor=st.floats(2.0, 20.0))
@FEW
def test_twice_the_light_is_twice_the_stack(motions: list, seed: int, factor: float) -> None:
    plain = StackSettings(reject_sigma=0.0, hot_sigma=1e6)
    mosaics = noisy(len(motions), seed)
    a = stack_frames(inputs(mosaics, motions), settings=plain)
    b = stack_frames(inputs(mosaics, motions, [factor] * len(motions)), settings=plain)
    # frames are kept in whole ADU for the reference; the noise is 40
    assert np.abs(b.planes - factor * a.planes).max() < 2.5 * factor


@given(motions=shifts, seed=st.integers(0, 1000))
@FEW
def test_a_stack_lies_between_its_frames(motions: list, seed: int) -> None:
    mosaics = noisy(len(motions), seed)
    image = stack_frames(inputs(mosaics, motions))
    covered = image.planes[:, image.footprint > 0]
    assert np.isfinite(image.planes).all()
    if covered.size:
        low, high = min(m.min() for m in mosaics), max(m.max() for m in mosaics)
        span = float(high) - float(low)
        assert covered.min() > low - span
        assert covered.max() < high + span
    assert all(0.0 <= f.rejected_fraction <= 1.0 for f in image.figures)
