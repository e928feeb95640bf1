"""What must hold of star detection whatever the field."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdsky.stars import StarList, detect_stars
from tests.stars.fields import Field, scattered

SHAPE = (192, 160)
seeds = st.integers(0, 10_000)


def drawn(seed: int, n: int = 12, flux: float = 6e4) -> np.ndarray:
    field = Field(shape=SHAPE)
    rng = np.random.default_rng(seed)
    for x, y in scattered(n, SHAPE, seed, apart_px=24, margin_px=30):
        field.add_star(x, y, flux * rng.uniform(0.5, 3.0), tuple(rng.uniform(0.4, 1.0, 3)))
    return field.mosaic(seed=seed)


def by_place(stars: StarList) -> np.ndarray:
    table = np.stack([stars.x_px, stars.y_px, stars.flux_adu], axis=1)
    return table[np.lexsort((stars.y_px, stars.x_px))]


def bright(stars: StarList, snr: float = 25.0) -> np.ndarray:
    keep = stars.snr > snr
    table = np.stack([stars.x_px, stars.y_px, stars.flux_adu], axis=1)[keep]
    return table[np.lexsort((table[:, 1], table[:, 0]))]


@settings(deadline=None, max_examples=25)
@given(seed=seeds, dx=st.integers(-5, 5), dy=st.integers(-5, 5))
def test_rolling_by_whole_superpixels_moves_the_stars_with_it(seed: int, dx: int, dy: int) -> None:
    mosaic = drawn(seed)
    rolled = np.roll(mosaic, (2 * dy, 2 * dx), axis=(0, 1))
    here, there = bright(detect_stars(mosaic)), bright(detect_stars(rolled))
    assert len(here) == len(there)
    there = there - [2 * dx, 2 * dy, 0]
    np.testing.assert_allclose(here[:, :2], there[:, :2], atol=0.02)
    np.testing.assert_allclose(here[:, 2], there[:, 2], rtol=0.03)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, pedestal=st.integers(1, 20_000))
def test_a_pedestal_changes_nothing(seed: int, pedestal: int) -> None:
    mosaic = drawn(seed)
    here, there = detect_stars(mosaic), detect_stars((mosaic + pedestal).astype(np.uint16))
    a, b = bright(here), bright(there)
    assert len(a) == len(b)
    np.testing.assert_allclose(a[:, :2], b[:, :2], atol=0.005)
    np.testing.assert_allclose(a[:, 2], b[:, 2], rtol=0.01)
    assert there.background_adu - here.background_adu == pytest.approx(pedestal, abs=1)


@settings(deadline=None, max_examples=25)
@given(seed=seeds, factor=st.integers(2, 6))
def test_scaling_the_frame_scales_the_fluxes(seed: int, factor: int) -> None:
    mosaic = np.minimum(drawn(seed, flux=2e4), 9000)
    here, there = detect_stars(mosaic), detect_stars((mosaic * factor).astype(np.uint16))
    a, b = by_place(here), by_place(there)
    assert len(a) == len(b)
    np.testing.assert_allclose(a[:, :2], b[:, :2], atol=0.01)
    np.testing.assert_allclose(a[:, 2] * factor, b[:, 2], rtol=0.01)
    assert there.noise_adu == pytest.approx(factor * here.noise_adu, rel=0.01)


@settings(deadline=None, max_examples=40)
@given(
    ny=st.integers(0, 70),
    nx=st.integers(0, 70),
    seed=seeds,
    kind=st.sampled_from(["noise", "codes", "binary", "ramp"]),
)
def test_any_frame_gives_a_sound_list(ny: int, nx: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    frame = {
        "noise": lambda: rng.normal(1000, 80, (ny, nx)).clip(0, 65535),
        "codes": lambda: rng.integers(0, 65536, (ny, nx)),
        "binary": lambda: 65535 * rng.integers(0, 2, (ny, nx)),
        "ramp": lambda: np.linspace(0, 65535, ny * nx).reshape(ny, nx),
    }[kind]().astype(np.uint16)
    stars = detect_stars(frame)
    assert stars.shape == (ny, nx)
    n = len(stars)
    for column in (
        stars.y_px, stars.flux_adu, stars.fwhm_px, stars.elongation, stars.peak_adu, stars.snr,
        stars.saturated, stars.starlike,
    ):  # fmt: skip
        assert len(column) == n
        assert np.isfinite(column).all()
    assert ((stars.x_px > -0.5) & (stars.x_px < nx - 0.5)).all()
    assert ((stars.y_px > -0.5) & (stars.y_px < ny - 0.5)).all()
    assert (stars.flux_adu > 0).all()
    assert (stars.elongation >= 1).all()
