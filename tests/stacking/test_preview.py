"""The picture: sizes, a dark neutral sky, stars in their colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crowdsky.errors import StackError
from crowdsky.stacking import StackedImage, StackProduct, write_previews
from crowdsky.stacking.preview import preview_pixels, star_gains
from crowdsky.stacking.product import StackFacts, StackQuality, empty_star_table
from tests.stacking.fields import Session
from tests.stacking.products import SHAPE, image_of, product, session


@pytest.fixture(scope="module")
def made() -> StackProduct:
    return product()


def large(made: StackProduct) -> StackProduct:
    """The same picture, tall like a Seestar's and larger than a thumbnail."""
    planes = np.tile(made.image.planes, (1, 4, 2)).copy()
    footprint = np.tile(made.footprint, (4, 2)).copy()
    image = StackedImage(planes, footprint, (), 0, (1.0, 1.0, 1.0))
    return StackProduct(image, made.stars, None, made.quality, StackFacts())


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_sizes(made: StackProduct, tmp_path: Path, suffix: str) -> None:
    full, small = tmp_path / f"p{suffix}", tmp_path / f"p_512{suffix}"
    write_previews(large(made), full, small)
    with Image.open(full) as picture:
        assert picture.size == (600, 800)
        assert picture.mode == "RGB"
    with Image.open(small) as picture:
        assert max(picture.size) == 512
        assert picture.size == (384, 512)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([full.name, small.name])


def test_the_sky_is_dark_and_neutral_and_stars_are_bright(made: StackProduct) -> None:
    pixels = preview_pixels(made.image.planes, made.footprint, gains=star_gains(made.stars))
    sky = np.median(pixels[20:-20, 20:-20].reshape(-1, 3), axis=0)
    assert sky.max() < 30
    assert np.ptp(sky) <= 2
    star = made.stars[0]
    y, x = round(float(star["y"])), round(float(star["x"]))
    assert pixels[y, x].min() > 200


def test_colours_survive_the_stretch() -> None:
    one = session()
    image = image_of(one)
    pixels = preview_pixels(image.planes, image.footprint).astype(int)
    x, y = np.rint(one.stars[len(one.stars) // 2]).astype(int)
    red, green, blue = pixels[y, x + 2]  # on the flank: not saturated
    assert green > red > blue  # 1 : 0.8 : 0.6


def test_pixels_without_data_are_black(made: StackProduct) -> None:
    footprint = made.footprint.copy()
    footprint[:50] = 0
    assert (preview_pixels(made.image.planes, footprint)[:50] == 0).all()
    assert (preview_pixels(made.image.planes, np.zeros(SHAPE, np.int32)) == 0).all()


def test_an_empty_sky_stays_dark() -> None:
    image = image_of(Session(SHAPE, noise_adu=30.0))
    pixels = preview_pixels(image.planes, image.footprint)
    assert np.percentile(pixels[20:-20, 20:-20], 99) < 90


def test_without_stars_the_balance_is_neutral() -> None:
    assert star_gains(empty_star_table(0)) == (1.0, 1.0, 1.0)


def test_other_formats_are_refused(made: StackProduct, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"\.bmp: a preview is \.webp or \.png"):
        write_previews(made, tmp_path / "a.bmp")
    with pytest.raises(StackError, match="could not be written"):
        write_previews(made, tmp_path / "nowhere" / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_quality_is_a_plain_record() -> None:
    nothing = StackQuality((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    assert nothing.n_zero_point == 0
