"""Detection where the sky or the sensor misbehaves."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.stars import detect_stars, detect_stars_image
from tests.stars.fields import NOISE, Field, matches, scattered

SHAPE = (960, 640)


@pytest.fixture
def sky() -> tuple[Field, np.ndarray]:
    field = Field(shape=SHAPE)
    places = scattered(40, SHAPE, 1)
    for k, (x, y) in enumerate(places):
        field.add_star(x, y, 2e5 * 0.95**k)
    return field, places


def first_real(field: np.ndarray, places: np.ndarray, n: int = 20) -> int:
    """How many of the first ``n`` detections are true stars."""
    stars = detect_stars(field)
    return int(np.isin(np.arange(n), matches(places, stars.x_px, stars.y_px)).sum())


def grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return x.astype(float), y.astype(float)


def test_thousands_of_hot_pixels_come_behind_the_stars(sky: tuple[Field, np.ndarray]) -> None:
    field, places = sky
    rng = np.random.default_rng(5)
    mosaic = field.mosaic().astype(int)
    n = 1000
    np.add.at(
        mosaic,
        (rng.integers(0, SHAPE[0], n), rng.integers(0, SHAPE[1], n)),
        rng.exponential(6000, n).astype(int),
    )
    frame = np.clip(mosaic, 0, 65535).astype(np.uint16)
    stars = detect_stars(frame)
    assert first_real(frame, places, 30) >= 29
    found = matches(places, stars.x_px, stars.y_px)
    assert (found >= 0).sum() >= 37
    assert stars.starlike.sum() <= len(places) + 4
    assert len(stars) > 300, "hot pixels are listed, only behind"


def test_cosmic_rays_are_not_starlike(sky: tuple[Field, np.ndarray]) -> None:
    field, places = sky
    frame = field.mosaic()
    for x, y in scattered(20, SHAPE, 77, apart_px=12):
        if np.hypot(*(places - (x, y)).T).min() < 15:
            continue
        frame[int(y), int(x) : int(x) + 2] = 30000
    assert first_real(frame, places, 30) == 30


@pytest.mark.parametrize("height_adu", [500, 3000, 20000])
def test_a_satellite_trail_does_not_lead_the_list(
    sky: tuple[Field, np.ndarray], height_adu: float
) -> None:
    field, places = sky
    x, y = grid()
    away = ((x - 20) * 0.85 - y * 0.45) / np.hypot(0.85, 0.45)
    field.image += height_adu * np.exp(-0.5 * (away / 1.5) ** 2)
    frame = field.mosaic()
    clear = np.abs((places[:, 0] - 20) * 0.85 - places[:, 1] * 0.45) > 12
    stars = detect_stars(frame)
    assert first_real(frame, places, 20) >= 19
    assert (matches(places[clear], stars.x_px, stars.y_px) >= 0).mean() > 0.95
    assert stars.starlike.sum() <= len(places) + 3


def test_a_steep_gradient_costs_no_star(sky: tuple[Field, np.ndarray]) -> None:
    field, places = sky
    plain = detect_stars(field.mosaic())
    x, y = grid()
    field.image += 8 * x + 2 * y
    stars = detect_stars(field.mosaic())
    assert len(stars) >= len(plain) - 2
    assert len(stars) <= len(plain) + 2
    assert first_real(field.mosaic(), places, 30) == 30


def test_nebulosity_yields_few_false_stars(sky: tuple[Field, np.ndarray]) -> None:
    field, places = sky
    x, y = grid()
    rng = np.random.default_rng(2)
    nebula = np.zeros(SHAPE)
    for _ in range(40):
        cx, cy, width = rng.uniform(0, 640), rng.uniform(0, 960), rng.uniform(25, 80)
        nebula += rng.uniform(500, 3000) * np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / width**2)
    field.image += nebula
    noise = np.random.default_rng(1).normal(0.0, 1.0, SHAPE) * NOISE
    frame = np.clip(field.image + noise * np.sqrt(field.image / 900), 0, 65535).astype(np.uint16)
    stars = detect_stars(frame)
    assert first_real(frame, places, 30) == 30
    assert stars.starlike.sum() <= len(places) + 2


def test_the_nucleus_of_a_galaxy_is_ranked_behind(sky: tuple[Field, np.ndarray]) -> None:
    field, _ = sky
    x, y = grid()
    r = np.hypot(x - 320, y - 480)
    field.image += 9000 * np.exp(-r / 8) + 3000 * np.exp(-r / 40)
    stars = detect_stars(field.mosaic())
    nucleus = int(np.hypot(stars.x_px - 320, stars.y_px - 480).argmin())
    assert np.hypot(stars.x_px[nucleus] - 320, stars.y_px[nucleus] - 480) < 1.0
    assert not stars.starlike[nucleus]
    assert nucleus >= stars.starlike.sum()
    assert stars.flux_adu[nucleus] > np.median(stars.flux_adu)


def test_a_frame_clipped_at_zero_still_has_its_stars(sky: tuple[Field, np.ndarray]) -> None:
    field, places = sky
    field.image[field.colour == 2] -= field.sky_rgb[2] - NOISE
    frame = field.mosaic()
    assert 0.12 < (frame[field.colour == 2] == 0).mean() < 0.2
    assert first_real(frame, places, 30) == 30


def test_a_dense_field(sky: tuple[Field, np.ndarray]) -> None:
    rng = np.random.default_rng(6)
    field = Field(shape=SHAPE)
    places = rng.uniform(4, np.array(SHAPE[::-1]) - 5, (1200, 2))
    flux = np.minimum(2000 * (1 + rng.pareto(0.9, len(places))), 6e5)
    for (x, y), f in zip(places, flux, strict=True):
        field.add_star(x, y, f)
    stars = detect_stars(field.mosaic())
    brightest = places[np.argsort(-flux)[:60]]
    assert (matches(brightest, stars.x_px, stars.y_px, 2.0) >= 0).sum() >= 57
    near = matches(np.stack([stars.x_px, stars.y_px], 1), places[:, 0], places[:, 1], 2.0)
    assert (near >= 0).mean() > 0.95
    assert stars.starlike.mean() > 0.85


@pytest.mark.parametrize("value", [0, 1000, 65535])
def test_a_constant_frame_is_empty(value: int) -> None:
    stars = detect_stars(np.full((256, 200), value, np.uint16))
    assert len(stars) == 0
    assert stars.background_adu == pytest.approx(value)
    assert len(stars.fwhm_px) == len(stars.starlike) == 0


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (8, 8), (16, 16), (17, 33), (3, 4000)])
def test_tiny_frames_give_a_list(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(900, 1100, shape).astype(np.uint16)
    stars = detect_stars(noise)
    assert stars.shape == shape
    assert len(stars) <= 1


def test_an_odd_frame_is_no_trouble() -> None:
    field = Field(shape=(127, 93))
    field.add_star(40.3, 51.8, 2e5)
    stars = detect_stars(field.mosaic())
    assert len(stars) == 1
    assert stars.x_px[0] == pytest.approx(40.3, abs=0.03)


def test_white_noise_over_all_codes_does_not_break_it() -> None:
    rng = np.random.default_rng(0)
    stars = detect_stars(rng.integers(0, 65536, (256, 200), dtype=np.uint16))
    assert stars.starlike.sum() <= 2


def test_an_image_without_a_single_number_is_empty() -> None:
    assert len(detect_stars_image(np.full((64, 64), np.nan, np.float32))) == 0


def test_a_frame_without_noise_is_no_trouble() -> None:
    field = Field(shape=(128, 128))
    field.add_star(40.3, 51.8, 1e5)
    stars = detect_stars(field.mosaic(seed=None))
    assert len(stars) == 1
    assert (stars.x_px[0], stars.y_px[0]) == pytest.approx((40.3, 51.8), abs=0.01)
