"""The stack as a whole: fluxes, outliers, rotation, few frames, memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from crowdsky.errors import NothingToStack, RegistrationError, StackError, UnreadableFrame
from crowdsky.stacking import FrameInput, StackSettings, stack_frames
from tests.stacking.fields import (
    COLOURS,
    SKY_ADU,
    Session,
    aperture,
    as_inputs,
    channel_of,
    digital,
    dithers,
    grid_of_stars,
    motion,
)

SHAPE = (200, 300)


@pytest.fixture(scope="module")
def starry() -> Session:
    stars = grid_of_stars(SHAPE)
    fluxes = np.geomspace(2e4, 2e5, len(stars))
    return Session(SHAPE, stars, fluxes)


def inner(stars: np.ndarray, margin: float = 30.0) -> np.ndarray:
    x, y = stars.T
    return (x > margin) & (x < SHAPE[1] - margin) & (y > margin) & (y < SHAPE[0] - margin)


@pytest.mark.parametrize("turn", [0.0, 3.0])
def test_fluxes_survive_shift_and_rotation(starry: Session, turn: float) -> None:
    matrices = dithers(12, SHAPE, turn=turn)
    image = stack_frames(as_inputs([starry.expose(m) for m in matrices], matrices))
    inside = inner(starry.stars)
    assert inside.sum() >= 12
    for plane, colour in zip(image.planes, COLOURS, strict=True):
        found = np.array([aperture(plane, *place) for place in starry.stars[inside]])
        assert found / (colour * starry.fluxes[inside]) == pytest.approx(1.0, abs=0.002)


def test_sky_is_the_mean_sky(starry: Session) -> None:
    matrices = dithers(5, SHAPE)
    image = stack_frames(as_inputs([starry.expose(m) for m in matrices], matrices))
    level = [float(np.median(p[20:-20, 20:-20])) for p in image.planes]
    assert level == pytest.approx(SKY_ADU, abs=0.6)


@pytest.mark.parametrize("degrees", [20.0, 44.0, 90.0, 135.0, 180.0])
def test_any_rotation_puts_stars_on_their_places(starry: Session, degrees: float) -> None:
    matrices = [motion((0, 0), 0, SHAPE), motion((0.3, -0.4), degrees, SHAPE)]
    frames = as_inputs([starry.expose(m) for m in matrices], matrices)
    # the rotated frame alone, on the reference's grid
    image = stack_frames(frames[1:], shape=SHAPE)
    near = np.hypot(*(starry.stars - [150, 100]).T) < 70
    assert near.sum() >= 4
    for place, flux in zip(starry.stars[near], starry.fluxes[near], strict=True):
        assert aperture(image.planes[1], *place) == pytest.approx(flux, rel=0.006)
    # what the frame does not reach is empty and says so
    assert (image.planes[:, image.footprint == 0] == 0).all()
    share = (image.footprint > 0).mean()
    assert share < 0.99 if degrees != 180.0 else share > 0.95


def test_footprint_counts_frames(starry: Session) -> None:
    matrices = [motion((dx, 0), 0, SHAPE) for dx in (0, 50, 100)]
    image = stack_frames(as_inputs([starry.expose(m) for m in matrices], matrices))
    assert image.footprint[100, [20, 70, 200]].tolist() == [1, 2, 3]
    assert np.isfinite(image.planes).all()
    assert (image.planes[:, image.footprint > 0] > 100).all()


def test_one_frame_is_its_debayered_self(starry: Session) -> None:
    mosaic = starry.expose(np.eye(2, 3))
    image = stack_frames(as_inputs([mosaic], [np.eye(2, 3)]))
    colour, raw = channel_of(SHAPE), digital(mosaic).astype(float)
    for c in range(3):
        measured = colour == c
        measured[:3] = measured[-3:] = measured[:, :3] = measured[:, -3:] = False
        assert np.abs(image.planes[c][measured] - raw[measured]).max() < 0.01
    assert image.n_used == 1


@pytest.mark.parametrize("n", [2, 3])
def test_few_frames_lose_a_bright_trail(starry: Session, n: int) -> None:
    session = Session(SHAPE, starry.stars, starry.fluxes, noise_adu=30.0)
    matrices = dithers(n, SHAPE)
    clean = [session.expose(m, seed=i) for i, m in enumerate(matrices)]
    dirty = [c.copy() for c in clean]
    dirty[-1][90:94, :] += 5000.0
    a = stack_frames(as_inputs(clean, matrices)).planes
    b = stack_frames(as_inputs(dirty, matrices)).planes
    off_stars = away_from(starry.stars, 12.0)
    assert np.abs(b - a)[:, off_stars].max() < 150.0
    assert np.percentile(np.abs(b - a)[:, off_stars], 99) < 80.0
    # and fluxes are not clipped
    inside = inner(starry.stars) & (starry.fluxes > 5e4)
    found = np.array([aperture(a[1], *p) for p in starry.stars[inside]])
    assert np.median(found / starry.fluxes[inside]) == pytest.approx(1.0, abs=0.005)


def away_from(stars: np.ndarray, radius: float, margin: int = 12) -> np.ndarray:
    """Pixels that are not near a star nor the border."""
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    free = np.zeros(SHAPE, bool)
    free[margin:-margin, margin:-margin] = True
    for x, y in stars:
        free &= (xx - x) ** 2 + (yy - y) ** 2 > radius**2
    return free


def outliers(images: list[np.ndarray]) -> None:
    """Trails, cosmic rays, an aircraft; in place."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for k, peak in ((2, 600.0), (5, 4000.0), (9, 40000.0)):
        distance = (y - 40 - 10 * k + 0.3 * x) / np.hypot(1, 0.3)
        images[k] += peak * np.exp(-0.5 * (distance / 1.3) ** 2)
    for image in images:
        image[rng.integers(4, 196, 6), rng.integers(4, 296, 6)] += 9000.0
    for k, peak in ((11, 20000.0),):
        images[k][60:75, 100:180] += peak


def test_trails_and_cosmic_rays_are_gone_and_stars_are_not(starry: Session) -> None:
    session = Session(SHAPE, starry.stars, starry.fluxes, noise_adu=40.0)
    matrices = dithers(16, SHAPE, turn=0.5)
    clean = [session.expose(m, seed=i) for i, m in enumerate(matrices)]
    dirty = [image.copy() for image in clean]
    outliers(dirty)
    a = stack_frames(as_inputs(clean, matrices))
    b = stack_frames(as_inputs(dirty, matrices))
    noise = 1.4826 * np.median(np.abs(a.planes[1] - np.median(a.planes[1])))
    change = (b.planes - a.planes)[:, away_from(starry.stars, 8.0)] / noise
    assert np.abs(change).max() < 3.0
    assert np.percentile(np.abs(change), 99.5) < 1.0
    inside = inner(starry.stars)
    before = np.array([aperture(a.planes[1], *p) for p in starry.stars[inside]])
    truth = starry.fluxes[inside]
    bright = truth > 5e4
    assert before[bright] / truth[bright] == pytest.approx(1.0, abs=0.01)
    assert np.median(before / truth) == pytest.approx(1.0, abs=0.002)
    assert b.figures[9].rejected_fraction > 5 * a.figures[9].rejected_fraction


def test_without_rejection_the_trail_stays(starry: Session) -> None:
    matrices = dithers(9, SHAPE)
    images = [starry.expose(m) for m in matrices]
    images[2][90:94, :] += 5000.0
    settings = StackSettings(reject_sigma=0.0)
    image = stack_frames(as_inputs(images, matrices), settings=settings)
    row = 92 + round(matrices[2][1, 2])
    assert image.planes[1][row - 1, 100:200].mean() > SKY_ADU[1] + 200.0


@pytest.mark.parametrize("reach", [0.0, 6.0])
def test_hot_pixels_are_gone_with_and_without_dithers(starry: Session, reach: float) -> None:
    session = Session(SHAPE, starry.stars, starry.fluxes, noise_adu=30.0)
    matrices = [np.eye(2, 3)] * 9 if reach == 0 else dithers(9, SHAPE, reach=reach)
    rng = np.random.default_rng(4)
    hot = rng.integers(6, 194, 40), rng.integers(6, 294, 40)
    clean = [session.expose(m, seed=i) for i, m in enumerate(matrices)]
    dirty = [image.copy() for image in clean]
    for image in dirty:
        image[hot] += 4000.0
    a = stack_frames(as_inputs(clean, matrices))
    b = stack_frames(as_inputs(dirty, matrices))
    assert b.hot_pixels - a.hot_pixels >= 36  # a few lie on stars
    noise = 1.4826 * np.median(np.abs(a.planes[1] - np.median(a.planes[1])))
    sky = away_from(starry.stars, 15.0, margin=3)
    assert np.abs((b.planes - a.planes)[:, sky]).max() < 5 * noise
    assert np.percentile(np.abs((b.planes - a.planes)[:, sky]), 99) < noise


def test_a_variable_star_is_averaged_not_clipped(starry: Session) -> None:
    session = Session(SHAPE, starry.stars, starry.fluxes, noise_adu=30.0)
    matrices = dithers(12, SHAPE)
    star = int(np.argmin(np.hypot(*(starry.stars - [150, 100]).T)))
    images = []
    for i, m in enumerate(matrices):
        fluxes = starry.fluxes.copy()
        fluxes[star] *= 1.0 + 0.1 * np.cos(i * np.pi / 6)
        images.append(session.expose(m, seed=i, fluxes=fluxes))
    image = stack_frames(as_inputs(images, matrices))
    found = aperture(image.planes[1], *starry.stars[star])
    assert found == pytest.approx(starry.fluxes[star], rel=0.01)


def test_scales_and_skies_are_matched(starry: Session) -> None:
    matrices = dithers(8, SHAPE)
    transparency = [1.0, 0.8, 1.0, 0.7, 1.0, 0.9, 1.0, 0.6]
    gradients = [(60.0 * i, -40.0 * i) for i in range(8)]
    images = [
        starry.expose(m, transparency=t, gradient=g) + 50 * i
        for i, (m, t, g) in enumerate(zip(matrices, transparency, gradients, strict=True))
    ]
    frames = as_inputs(images, matrices, scale=[1 / t for t in transparency])
    image = stack_frames(frames)
    inside = inner(starry.stars)
    found = np.array([aperture(image.planes[1], *p) for p in starry.stars[inside]])
    assert found / starry.fluxes[inside] == pytest.approx(1.0, abs=0.003)
    assert max(f.rejected_fraction for f in image.figures) < 0.002
    # the stack's own gradient is the mean of the (scaled) frames'
    right = np.median(image.planes[1][60:140, 280:290])
    left = np.median(image.planes[1][60:140, 10:20])
    mean = np.mean([g[0] / t for g, t in zip(gradients, transparency, strict=True)])
    assert right - left == pytest.approx(mean * 270 / 300, rel=0.03)


def test_the_order_of_the_frames_does_not_matter(starry: Session) -> None:
    session = Session(SHAPE, starry.stars, starry.fluxes, noise_adu=30.0)
    matrices = dithers(10, SHAPE)
    frames = as_inputs([session.expose(m, seed=i) for i, m in enumerate(matrices)], matrices)
    a = stack_frames(frames)
    b = stack_frames(frames[::-1])
    assert np.array_equal(a.planes, b.planes)
    assert [f.label for f in b.figures] == [f.label for f in frames[::-1]]


def test_an_unreadable_frame_is_left_out_and_named(starry: Session) -> None:
    matrices = dithers(4, SHAPE)
    frames = as_inputs([starry.expose(m) for m in matrices], matrices)

    def broken() -> np.ndarray:
        raise UnreadableFrame("the file is truncated", file="b.fit", value=12)

    frames.insert(1, FrameInput(broken, np.eye(2, 3), label="0000b"))
    seen: list[tuple[int, int]] = []
    image = stack_frames(frames, on_frame=lambda i, n: seen.append((i, n)))
    assert [f.used for f in image.figures] == [True, False, True, True, True]
    assert "truncated" in image.figures[1].reason
    assert seen == [(i, 5) for i in range(1, 6)]
    with pytest.raises(NothingToStack, match="could be read"):
        stack_frames([frames[1]])


def test_a_frame_elsewhere_on_the_sky_is_left_out(starry: Session) -> None:
    matrices = [*dithers(3, SHAPE), motion((900, 0), 0, SHAPE)]
    image = stack_frames(as_inputs([starry.expose(m) for m in matrices], matrices))
    assert [f.used for f in image.figures] == [True, True, True, False]
    assert "covers none" in image.figures[3].reason


def test_what_cannot_be_stacked_is_refused() -> None:
    mosaic = np.full(SHAPE, 500, np.uint16)
    good = FrameInput(mosaic.copy, np.eye(2, 3), label="good")
    with pytest.raises(NothingToStack, match="at least one frame"):
        stack_frames([])
    with pytest.raises(StackError, match=r"bad: 0\.0: a weight is finite and positive"):
        stack_frames([FrameInput(good.source, np.eye(2, 3), weight=0.0, label="bad")])
    with pytest.raises(StackError, match="flux scale"):
        stack_frames([FrameInput(good.source, np.eye(2, 3), scale=np.nan, label="bad")])
    with pytest.raises(RegistrationError, match="keeps the scale"):
        stack_frames([FrameInput(good.source, np.eye(2, 3) * 2, label="bad")])
    other = FrameInput(mosaic[:100].copy, np.eye(2, 3), label="other")
    with pytest.raises(StackError, match="one shape"):
        stack_frames([good, other])
    with pytest.raises(StackError, match="Bayer"):
        stack_frames([good], bayer="XYZW")


def test_read_only_mosaics_are_left_alone(starry: Session) -> None:
    mosaic = digital(starry.expose(np.eye(2, 3)))
    mosaic[50, 50] = 60000
    mosaic.flags.writeable = False
    image = stack_frames([FrameInput(lambda: mosaic, np.eye(2, 3))])
    assert image.hot_pixels == 1
    assert mosaic[50, 50] == 60000


def test_the_fixed_pattern_is_learned_and_removed(starry: Session) -> None:
    rng = np.random.default_rng(2)
    pattern = rng.normal(0.0, 20.0, SHAPE)
    session = Session(SHAPE, starry.stars, starry.fluxes, noise_adu=30.0, pattern=pattern)
    bare = Session(SHAPE, starry.stars, starry.fluxes, noise_adu=30.0)
    matrices = dithers(32, SHAPE, reach=5.0)
    exposures = [session.expose(m, seed=i) for i, m in enumerate(matrices)]
    ideal = stack_frames(
        as_inputs([bare.expose(m, seed=i) for i, m in enumerate(matrices)], matrices)
    )
    off = stack_frames(as_inputs(exposures, matrices), settings=StackSettings(n_pattern=0))
    on = stack_frames(as_inputs(exposures, matrices), settings=StackSettings(n_pattern=96))
    assert on.pattern_adu == pytest.approx(20.0, rel=0.15)
    assert ideal.pattern_adu < 8.0
    sky = away_from(starry.stars, 12.0, margin=20)
    before = (off.planes - ideal.planes)[:, sky].std(axis=1)
    after = (on.planes - ideal.planes)[:, sky].std(axis=1)
    assert (after < 0.92 * before).all()
    assert after.mean() < 0.75 * before.mean()
    # of the stars nothing goes with it
    inside = inner(starry.stars)
    a = np.array([aperture(off.planes[1], *p) for p in starry.stars[inside]])
    b = np.array([aperture(on.planes[1], *p) for p in starry.stars[inside]])
    assert np.median(b / a) == pytest.approx(1.0, abs=2e-3)


def test_without_motion_nothing_is_taken_for_a_pattern() -> None:
    """Faint stars that never move over the sensor are not mistaken for its pattern."""
    stars = grid_of_stars(SHAPE)
    session = Session(SHAPE, stars, np.full(len(stars), 300.0), noise_adu=30.0)
    frames = as_inputs(
        [session.expose(np.eye(2, 3), seed=i) for i in range(16)], [np.eye(2, 3)] * 16
    )
    on = stack_frames(frames, settings=StackSettings(n_pattern=96))
    off = stack_frames(frames, settings=StackSettings(n_pattern=0))
    assert on.planes == pytest.approx(off.planes, abs=0.2)


def peak_bytes(n: int, session: Session, matrices: list) -> int:
    mosaics = [digital(session.expose(m)) for m in matrices]
    frames = [
        FrameInput(lambda m=mosaics[i % 8]: m.copy(), matrices[i % 8], label=f"{i:05d}")
        for i in range(n)
    ]
    tracemalloc.start()
    stack_frames(frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_flat_in_the_number_of_frames(starry: Session) -> None:
    matrices = dithers(8, SHAPE)
    peak_bytes(8, starry, matrices)  # whatever is made once
    few, many = peak_bytes(16, starry, matrices), peak_bytes(96, starry, matrices)
    pixels = SHAPE[0] * SHAPE[1]
    # a frame's figures and transform may stay, not its pixels
    assert many - few < 80 * 3000
    assert many < 130 * pixels


@pytest.mark.real
def test_real_frames_with_known_plates(real_frames: list[Path]) -> None:
    """Two real subs of one pointing: their stack is read from the files and is sharp."""
    subs = [p for p in real_frames if "M 94" in p.name][:2]
    image = stack_frames([FrameInput(p, np.eye(2, 3)) for p in subs])
    assert image.planes.shape == (3, 1920, 1080)
    assert image.n_used == 2
    assert 400 < np.median(image.planes[1]) < 3000
