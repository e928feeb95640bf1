"""The star table: positions, fluxes, errors, names, zero point."""

from __future__ import annotations

import numpy as np
import pytest

from crowdsky.stacking import StackedImage, measure_stars
from crowdsky.stacking.product import STAR_COLUMNS, empty_star_table
from tests.stacking.fields import COLOURS, SIGMA_PX, SKY_ADU, Session
from tests.stacking.products import SHAPE, FakeCatalogue, image_of, session, solution

FIRST = (
    *("x", "y", "flux", "a", "b", "theta", "flag", "peak", "ra", "dec"),
    *("gaia_id", "gaia_gmag", "match_dist_arcsec"),
)


def paired(stars: np.ndarray, one: Session) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the table and of the truth that belong together, edges left out."""
    d = np.hypot(stars["x"][:, None] - one.stars[:, 0], stars["y"][:, None] - one.stars[:, 1])
    rows = np.flatnonzero(d.min(axis=1) < 1.0)
    x, y = stars["x"][rows], stars["y"][rows]
    rows = rows[(x > 20) & (x < SHAPE[1] - 20) & (y > 20) & (y < SHAPE[0] - 20)]
    return rows, d[rows].argmin(axis=1)


def test_the_columns_come_in_their_order() -> None:
    assert [c[0] for c in STAR_COLUMNS][: len(FIRST)] == list(FIRST)
    empty = empty_star_table(2)
    assert (empty["gaia_id"] == 0).all()
    assert np.isnan(empty["gaia_gmag"]).all()


def test_positions_and_fluxes_are_true() -> None:
    one = session()
    stars, quality = measure_stars(image_of(one))
    assert (np.diff(stars["flux"]) <= 0).all()
    rows, truth = paired(stars, one)
    assert len(rows) >= 12
    assert np.abs(stars["x"][rows] - one.stars[truth, 0]).max() < 0.12
    for name, colour in zip(("red", "green", "blue"), COLOURS, strict=True):
        pull = stars[f"flux_{name}"][rows] - colour * one.fluxes[truth]
        pull /= np.hypot(stars[f"flux_{name}_err"][rows], 0.005 * one.fluxes[truth])
        assert np.abs(pull).max() < 5
        assert np.std(pull) < 2
    assert quality.sky_level_adu == pytest.approx(SKY_ADU, abs=3.0)
    assert quality.fwhm_px[1] == pytest.approx(2.3548 * SIGMA_PX, rel=0.12)
    assert np.isnan(stars["ra"]).all()
    assert (stars["n_frames"][rows] == 6).all()


def test_errors_are_those_of_repeated_measurement() -> None:
    """The scatter of the faintest star over many noise realisations is its quoted error."""
    fluxes, errors = [], []
    for seed in range(12):
        one = Session(SHAPE, np.array([[150.3, 100.2]]), np.array([6e3]), noise_adu=40.0)
        image = image_of(_seeded(one, seed), n=4)
        stars, _ = measure_stars(image)
        fluxes.append(stars["flux_green"][0])
        errors.append(stars["flux_green_err"][0])
    assert np.std(fluxes) == pytest.approx(np.mean(errors), rel=0.6)


def _seeded(one: Session, seed: int) -> Session:
    class Reseeded(Session):
        def expose(self, matrix: np.ndarray, **kw: object) -> np.ndarray:
            kw["seed"] = 1000 * (seed + 1) + int(kw.get("seed", 0))  # type: ignore[call-overload]
            return super().expose(matrix, **kw)  # type: ignore[arg-type]

    return Reseeded(one.shape, one.stars, one.fluxes, one.noise_adu)


def test_catalogue_stars_are_named_once_and_give_a_zero_point() -> None:
    one = session()
    catalogue = FakeCatalogue(one)
    stars, quality = measure_stars(image_of(one), solution(), catalogue, epoch_jyear=2025.2)
    named = stars["gaia_id"] > 0
    assert named.sum() >= 10
    assert len(set(stars["gaia_id"][named])) == named.sum()
    assert (stars["match_dist_arcsec"][named] < 1.0).all()
    assert np.isnan(stars["match_dist_arcsec"][~named]).all()
    assert np.isnan(stars["gaia_gmag"][~named]).all()
    assert quality.zero_point_mag == pytest.approx(22.0, abs=0.01)
    assert quality.zero_point_rms_mag < 0.02
    assert catalogue.asked["epoch"] == 2025.2
    assert catalogue.asked["ra"] == pytest.approx(192.77, abs=0.05)
    rows, truth = paired(stars, one)
    _, dec = solution().pixel_to_sky(*one.stars[truth].T)
    assert np.abs(stars["dec"][rows] - dec).max() * 3600 < 0.5
    # every second star is in the catalogue, the others are not taken for it
    assert (named[rows] == (truth % 2 == 0)).mean() > 0.9


def test_an_empty_sky_has_an_empty_table() -> None:
    image = image_of(Session(SHAPE, noise_adu=30.0))
    stars, quality = measure_stars(image, solution(), FakeCatalogue(session()))
    assert len(stars) <= 1
    assert np.isnan(quality.zero_point_mag)
    assert np.isfinite(quality.sky_rms_adu).all()


def test_pixels_nobody_saw_hold_no_stars() -> None:
    image = image_of(session())
    footprint = image.footprint.copy()
    footprint[:, 150:] = 0
    planes = image.planes.copy()
    planes[:, :, 150:] = 0.0
    stars, quality = measure_stars(StackedImage(planes, footprint, (), 0, (1.0, 1.0, 1.0)))
    assert len(stars) >= 4
    assert stars["x"].max() < 152
    assert quality.sky_level_adu == pytest.approx(SKY_ADU, abs=5.0)
