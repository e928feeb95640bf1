"""Stars, colours and painted objects of a scene."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.astrometry.catalogue import bundled_catalogue
from crowdsky.simulate import Nebula, TanWcs
from crowdsky.simulate.deep_sky import DEEP_SKY, objects_near
from crowdsky.simulate.hashing import generator, hashed_normals, hashed_uniforms, keys_of
from crowdsky.simulate.starfield import field_stars


def test_catalogue_stars_are_all_there() -> None:
    listed = bundled_catalogue().cone(192.78, 41.12, 0.6, epoch_jyear=2025.0)
    stars = field_stars(192.78, 41.12, 0.65, epoch_jyear=2025.0)
    for ra, dec, mag in zip(listed.ra_deg, listed.dec_deg, listed.mag, strict=True):
        off = np.hypot((stars.ra_deg - ra) * np.cos(np.radians(dec)), stars.dec_deg - dec) * 3600
        nearest = int(np.argmin(off))
        assert off[nearest] < 1.5
        assert stars.catalogue_mag[nearest] == pytest.approx(float(mag), abs=1e-4)
        assert abs(stars.mag[nearest] - mag) < 0.9


def test_neighbouring_fields_show_the_same_stars() -> None:
    left = field_stars(100.0, 20.0, 0.5, epoch_jyear=2025.0)
    right = field_stars(100.3, 20.1, 0.5, epoch_jyear=2025.0)
    assert np.isnan(left.catalogue_mag).sum() > 50

    def within_both(stars: object) -> set[tuple[float, ...]]:
        ra, dec = stars.ra_deg, stars.dec_deg  # type: ignore[attr-defined]
        near = np.ones(len(ra), dtype=bool)
        for ra0, dec0 in ((100.0, 20.0), (100.3, 20.1)):
            near &= np.hypot((ra - ra0) * np.cos(np.radians(dec)), dec - dec0) < 0.49
        values = (ra, dec, stars.mag, stars.red, stars.blue)  # type: ignore[attr-defined]
        return {tuple(np.round(row, 9)) for row in np.column_stack(values)[near]}

    assert within_both(left) == within_both(right) != set()


@pytest.mark.parametrize(("ra", "dec"), [(192.86, 27.13), (290.0, 10.0), (0.0, 89.9), (0.0, 0.0)])
def test_counts_rise_smoothly_past_the_limit_of_the_catalogue(ra: float, dec: float) -> None:
    counts = np.zeros(5)
    for step in range(4):
        stars = field_stars(ra, max(dec - step, -89.0), 1.0, epoch_jyear=2025.0)
        counts += np.histogram(stars.mag, bins=[10, 11, 12, 13, 14, 15])[0]
    ratio = counts[1:] / counts[:-1]
    assert ratio.min() > 1.25
    assert ratio.max() < 3.2


def test_the_milky_way_is_richer_than_the_pole() -> None:
    pole = field_stars(192.86, 27.13, 0.7, epoch_jyear=2025.0)
    plane = field_stars(290.0, 10.0, 0.7, epoch_jyear=2025.0)
    assert len(plane) > 4 * len(pole)


def test_cool_stars_are_red_and_lack_blue() -> None:
    stars = field_stars(290.0, 10.0, 0.7, epoch_jyear=2025.0)
    assert np.corrcoef(stars.red, stars.blue)[0, 1] < -0.9
    assert 0.4 < stars.red.min() < stars.red.max() < 1.4


def test_objects_lie_where_they_are_looked_for() -> None:
    assert "M 31" in {thing.name for thing in objects_near(10.7, 41.3, 0.7)}
    assert objects_near(192.8, 27.1, 0.7) == ()
    assert set(DEEP_SKY) >= {"M 51", "M 94", "NGC 7023"}


def test_a_painting_is_finite_bright_in_the_middle_and_dark_at_the_rim() -> None:
    for name in ("M 51", "M 94", "NGC 7023"):
        light = DEEP_SKY[name].paint().light
        n = light.shape[1]
        assert np.isfinite(light).all()
        assert light.min() >= 0
        assert (
            light[1, n // 2 - 3 : n // 2 + 4, n // 2 - 3 : n // 2 + 4].mean() > 20 * light[1].mean()
        )
        assert light[:, 0].max() < 1e-3 * light.max()


def test_a_nebula_is_the_same_in_every_session() -> None:
    nebula = Nebula("some cloud", 10.0, 20.0, 300.0, 21.0)
    np.testing.assert_array_equal(nebula.paint().light, nebula.paint().light)
    other = Nebula("another cloud", 10.0, 20.0, 300.0, 21.0)
    assert not np.array_equal(nebula.paint().light, other.paint().light)


def test_the_homography_of_two_tangent_planes_is_exact() -> None:
    wcs = TanWcs(315.4, 68.1, 33.0, 2.374, 1080, 1920)
    x, y = np.array([0.0, 1079.0, 200.0, 540.0]), np.array([0.0, 3.0, 1919.0, 960.0])
    from crowdsky.astrometry.tangent_plane import project

    expected = project(*wcs.pixel_to_sky(x, y), 316.2, 67.6)
    mapped = wcs.homography_to(316.2, 67.6) @ np.array([x, y, np.ones(4)])
    np.testing.assert_allclose(mapped[:2] / mapped[2], expected, atol=1e-12)


def test_hashes_are_uniform_and_depend_on_key_and_salt() -> None:
    keys = keys_of(np.arange(20_000), 7)
    values = hashed_uniforms(keys, 1)
    assert 0 < values.min() < values.max() < 1
    np.testing.assert_allclose(np.histogram(values, 10, (0, 1))[0], 2000, atol=250)
    assert abs(np.corrcoef(values, hashed_uniforms(keys, 2))[0, 1]) < 0.03
    assert hashed_normals(keys, 3).std() == pytest.approx(1.0, abs=0.02)
    assert generator("a", 1).random() == generator("a", 1).random() != generator("a", 2).random()
