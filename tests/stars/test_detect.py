"""Detection on fields whose every star is known."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.errors import DetectionError, SettingsError
from crowdsky.stars import DetectionSettings, StarList, detect_stars, detect_stars_image
from tests.stars.fields import NOISE, Field, matches, scattered

WHITE = (0.7, 1.0, 0.7)
RED = (1.2, 0.5, 0.2)
BLUE = (0.3, 0.7, 1.0)


def draw(
    n: int = 40,
    flux: float = 1e5,
    fall: float = 1.0,
    shape: tuple[int, int] = (720, 480),
    seed: int = 3,
    **star: object,
) -> tuple[Field, np.ndarray]:
    """A field of ``n`` stars, each ``fall`` times as bright as the one before, and their places."""
    fwhm = float(star.pop("fwhm_px", 2.9))  # type: ignore[arg-type]
    sky = Field(shape=shape, fwhm_px=fwhm)
    places = scattered(n, shape, seed)
    for k, (x, y) in enumerate(places):
        sky.add_star(x, y, flux * fall**k, **star)  # type: ignore[arg-type]
    return sky, places


def offsets(stars: StarList, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = matches(places, stars.x_px, stars.y_px)
    ok = found >= 0
    return found, np.stack(
        [stars.x_px[found[ok]] - places[ok, 0], stars.y_px[found[ok]] - places[ok, 1]]
    )


@pytest.mark.parametrize("rgb", [WHITE, RED, BLUE], ids=["white", "red", "blue"])
@pytest.mark.parametrize("fwhm_px", [1.5, 2.0, 2.9, 4.0, 7.0])
def test_centroids_are_exact_whatever_the_colour(
    fwhm_px: float, rgb: tuple[float, float, float]
) -> None:
    sky, places = draw(flux=2e5, fwhm_px=fwhm_px, rgb=rgb)
    stars = detect_stars(sky.mosaic())
    found, off = offsets(stars, places)
    assert (found >= 0).all()
    assert np.abs(off.mean(axis=1)).max() < 0.01
    assert np.sqrt((off**2).mean()) < 0.01 * fwhm_px
    assert stars.starlike[found].all()


@pytest.mark.parametrize("bayer", ["GRBG", "RGGB", "BGGR", "GBRG"])
def test_every_bayer_pattern_gives_the_same_place(bayer: str) -> None:
    lattice = np.array([["RGB".index(c) for c in bayer]]).reshape(2, 2)
    sky = Field(shape=(96, 96), lattice=lattice)
    sky.add_star(40.3, 51.8, 2e5, RED)
    stars = detect_stars(sky.mosaic(), bayer)
    assert len(stars) == 1
    assert (stars.x_px[0], stars.y_px[0]) == pytest.approx((40.3, 51.8), abs=0.03)


def test_a_red_star_read_with_the_wrong_pattern_is_off() -> None:
    """So that the test above cannot pass by chance: the colours do matter."""
    sky = Field(shape=(96, 96), fwhm_px=2.0)
    sky.add_star(40.3, 51.8, 2e5, RED)
    right = detect_stars(sky.mosaic(), "GRBG")
    wrong = detect_stars(sky.mosaic(), "RGGB")
    assert np.hypot(right.x_px[0] - 40.3, right.y_px[0] - 51.8) < 0.02
    assert np.hypot(wrong.x_px[0] - 40.3, wrong.y_px[0] - 51.8) > 0.05


@pytest.mark.parametrize("fwhm_px", [2.0, 2.9, 5.0])
def test_fwhm_is_recovered(fwhm_px: float) -> None:
    sky, _ = draw(flux=2e5, fwhm_px=fwhm_px)
    stars = detect_stars(sky.mosaic())
    # A pixel adds 1/12 to the variance of what falls on it.
    seen = np.sqrt(fwhm_px**2 + 2.3548**2 / 12)
    assert np.median(stars.fwhm_px) == pytest.approx(seen, rel=0.03)
    assert np.median(stars.elongation) < 1.06


def test_elongation_is_recovered_and_trailed_stars_remain_stars() -> None:
    sky, places = draw(flux=3e5, elongation=1.8, angle_deg=30.0)
    stars = detect_stars(sky.mosaic())
    found, off = offsets(stars, places)
    assert (found >= 0).all()
    assert np.median(stars.elongation) == pytest.approx(1.8, rel=0.08)
    assert stars.starlike.mean() > 0.95
    assert np.sqrt((off**2).mean()) < 0.05


def test_flux_is_linear_over_a_factor_of_a_hundred() -> None:
    sky, places = draw(n=60, flux=6e5, fall=0.92, shape=(960, 640))
    stars = detect_stars(sky.mosaic())
    found, _ = offsets(stars, places)
    truth = 6e5 * 0.92 ** np.arange(len(places)) * (0.7 + 2 * 1.0 + 0.7) / 4
    ok = (found >= 0) & (truth > 20 * NOISE * 5)
    ratio = stars.flux_adu[found[ok]] / truth[ok]
    assert ok.sum() > 40
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)
    error = (stars.flux_adu / stars.snr)[found[ok]] / truth[ok]
    assert np.mean(((ratio - 1.0) / np.hypot(error, 0.01)) ** 2) < 2.0


def test_the_list_is_ordered_by_flux_with_the_unlikely_behind() -> None:
    sky, places = draw(n=40, flux=3e5, fall=0.95)
    stars = detect_stars(sky.mosaic())
    n = int(stars.starlike.sum())
    assert stars.starlike[:n].all()
    assert (np.diff(stars.flux_adu[:n]) <= 0).all()
    assert (np.diff(stars.flux_adu[n:]) <= 0).all()
    found = matches(places[:10], stars.x_px, stars.y_px)
    assert set(found) == set(range(10))


def test_faint_limit() -> None:
    """Nearly all stars of eight times the noise of their fit are found, few of half of that."""
    sky, places = draw(n=60, flux=8 * NOISE * 4.6 / 0.85, shape=(960, 640))
    found = matches(places, *_xy(detect_stars(sky.mosaic())))
    assert (found >= 0).mean() > 0.9
    sky, places = draw(n=60, flux=3 * NOISE * 4.6 / 0.85, shape=(960, 640))
    found = matches(places, *_xy(detect_stars(sky.mosaic())))
    assert (found >= 0).mean() < 0.2


def _xy(stars: StarList) -> tuple[np.ndarray, np.ndarray]:
    return stars.x_px, stars.y_px


def test_pure_noise_gives_next_to_nothing() -> None:
    counts = [len(detect_stars(Field(shape=(1920, 1080)).mosaic(seed=k))) for k in range(8)]
    assert sum(counts) <= 8


def test_background_and_noise_are_those_of_the_sky() -> None:
    stars = detect_stars(draw()[0].mosaic())
    assert stars.background_adu == pytest.approx((840 + 2 * 995 + 795) / 4, abs=8)
    assert stars.noise_adu == pytest.approx(NOISE, rel=0.06)


def test_double_stars_are_parted() -> None:
    sky = Field(shape=(128, 128))
    sky.add_star(50.0, 60.0, 2e5)
    sky.add_star(60.0, 63.0, 6e4)
    stars = detect_stars(sky.mosaic())
    places = np.array([[50.0, 60.0], [60.0, 63.0]])
    found, off = offsets(stars, places)
    assert (found >= 0).all()
    assert len(stars) == 2
    assert np.abs(off).max() < 0.15


def test_saturated_stars_are_flagged_and_placed_by_their_wings() -> None:
    sky = Field(shape=(256, 256))
    sky.add_star(60.3, 70.7, 1.5e6)
    sky.add_star(180.2, 170.1, 1e7)
    sky.add_star(180.0, 60.0, 1e5)
    stars = detect_stars(sky.mosaic())
    assert len(stars) == 3
    assert stars.saturated.tolist() == [True, True, False]
    assert (stars.x_px[0], stars.y_px[0]) == pytest.approx((180.2, 170.1), abs=0.1)
    assert (stars.x_px[1], stars.y_px[1]) == pytest.approx((60.3, 70.7), abs=0.05)
    assert stars.starlike.all()


def test_stars_at_the_edge_are_found() -> None:
    sky = Field(shape=(128, 128))
    for x, y in [(3.2, 60.0), (124.1, 20.0), (60.0, 3.4), (70.0, 124.0)]:
        sky.add_star(x, y, 2e5)
    stars = detect_stars(sky.mosaic())
    assert len(stars) == 4


def test_detection_is_deterministic_and_leaves_the_frame_alone() -> None:
    mosaic = draw(fall=0.9)[0].mosaic()
    before = mosaic.copy()
    first, second = detect_stars(mosaic), detect_stars(mosaic)
    np.testing.assert_array_equal(first.x_px, second.x_px)
    np.testing.assert_array_equal(first.flux_adu, second.flux_adu)
    np.testing.assert_array_equal(mosaic, before)


def test_results_do_not_share_memory_between_calls() -> None:
    first = detect_stars(draw()[0].mosaic())
    x = first.x_px.copy()
    detect_stars(draw(seed=9)[0].mosaic())
    np.testing.assert_array_equal(first.x_px, x)


def test_max_stars_keeps_the_brightest() -> None:
    sky, places = draw(n=40, flux=3e5, fall=0.95)
    stars = detect_stars(sky.mosaic(), settings=DetectionSettings(max_stars=10))
    assert len(stars) == 10
    assert (matches(places[:8], stars.x_px, stars.y_px) >= 0).all()


def test_an_image_of_one_colour() -> None:
    sky, places = draw(flux=5e4, rgb=(1.0, 1.0, 1.0))
    image = sky.image + np.random.default_rng(1).normal(0.0, 20.0, sky.shape)
    image -= np.asarray(sky.sky_rgb)[sky.colour]
    for pixels in (image.astype(np.float32), image, np.asfortranarray(image)):
        stars = detect_stars_image(pixels)
        found, off = offsets(stars, places)
        assert (found >= 0).all()
        assert np.sqrt((off**2).mean()) < 0.02
        assert np.median(stars.flux_adu[found]) == pytest.approx(5e4, rel=0.02)


def test_nan_in_an_image_is_no_star_and_hides_none_elsewhere() -> None:
    sky, places = draw(flux=5e4, rgb=(1.0, 1.0, 1.0), shape=(480, 480))
    image = sky.image.astype(np.float32)
    image += np.random.default_rng(1).normal(0.0, 20.0, sky.shape).astype(np.float32)
    image -= np.asarray(sky.sky_rgb, np.float32)[sky.colour]
    image[:, :80] = np.nan
    image[300, 300] = np.inf
    stars = detect_stars_image(image)
    inside = places[:, 0] > 92
    found = matches(places[inside], stars.x_px, stars.y_px)
    assert (found >= 0).all()
    assert len(stars) == inside.sum()


def test_wrong_input_is_refused_by_name() -> None:
    frame = np.zeros((64, 64), np.uint16)
    with pytest.raises(SettingsError, match="XYZW: a Bayer pattern has one R, two G and one B"):
        detect_stars(frame, "XYZW")
    with pytest.raises(DetectionError, match="float64: a mosaic must be uint16"):
        detect_stars(frame.astype(float))
    with pytest.raises(DetectionError, match=r"\(2, 8, 8\): an image must have two dimensions"):
        detect_stars_image(np.zeros((2, 8, 8), np.float32))
    with pytest.raises(SettingsError, match="0: max_stars must be at least 1"):
        DetectionSettings(max_stars=0)
    with pytest.raises(SettingsError, match="nan: threshold_sigma must be at least 1"):
        DetectionSettings(threshold_sigma=float("nan"))
