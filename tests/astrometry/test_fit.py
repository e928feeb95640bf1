"""The fit of a WCS to matched stars, and of the distortion where stars justify it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from crowdsky.astrometry.fit_wcs import (
    first_guess,
    fit_plate,
    fit_sip,
    scale_and_elongation,
)
from crowdsky.astrometry.plate_solution import PlateSolution
from crowdsky.astrometry.tangent_plane import ra_dec_of, unit_vectors
from tests.astrometry.lists import S50_SCALE, S50_SHAPE, corners, plate, separation_arcsec

FloatArray = NDArray[np.float64]
ARCSEC = np.pi / 648000.0
PLACES = [
    (192.8, 41.1), (0.0, 0.0), (359.9999, -60.0), (0.0, 90.0), (0.0, -90.0), (33.0, 89.999),
    (271.0, -89.95),
]  # fmt: skip


class Field:
    """Stars of a known plate, and a first guess that is a few arcsec and arcminutes off."""

    def __init__(self, truth: PlateSolution, n: int, seed: int = 0, noise_arcsec: float = 0.0):
        rng = np.random.default_rng(seed)
        ny, nx = truth.shape
        x, y = rng.uniform(0, nx - 1, n), rng.uniform(0, ny - 1, n)
        self.truth = truth
        self.xyz = unit_vectors(*truth.pixel_to_sky(x, y))
        noise = noise_arcsec / truth.scale_arcsec_per_px
        self.dx = x - truth.crpix[0] + noise * rng.standard_normal(n)
        self.dy = y - truth.crpix[1] + noise * rng.standard_normal(n)
        self.weight = np.ones(n)

    def fit(self, off_arcsec: float = 2.0, turned_deg: float = 0.03) -> int:
        n = len(self.dx)
        ra, dec = self.truth.crval
        xyz = unit_vectors(ra, dec)
        _, _, vh = np.linalg.svd(xyz[None])
        self.centre = xyz + off_arcsec * ARCSEC * vh[1]
        self.centre /= np.linalg.norm(self.centre)
        self.cd = _cd_at(self.truth, self.centre, turned_deg)
        self.pair = np.empty(n, dtype=np.int64)
        self.residual = np.empty((n, 2))
        return int(
            fit_plate(
                self.dx, self.dy, self.xyz, self.weight, self.centre, self.cd, self.pair,
                self.residual,
            )
        )  # fmt: skip

    def solution(self) -> PlateSolution:
        ra, dec = ra_dec_of(self.centre)
        none = np.empty(0, dtype=np.int64)
        return PlateSolution(
            shape=self.truth.shape, ra_deg=float(ra), dec_deg=float(dec), cd=np.degrees(self.cd),
            mode="blind", n_stars=0, star_index=none, catalogue_row=none,
            residual_arcsec=np.empty((0, 2)), log_odds=0.0, n_tried=0,
        )  # fmt: skip

    def error_arcsec(self) -> float:
        x, y = corners(self.truth.shape)
        ours, theirs = self.solution().pixel_to_sky(x, y), self.truth.pixel_to_sky(x, y)
        return float(separation_arcsec(*ours, *theirs).max())


def _cd_at(truth: PlateSolution, centre: FloatArray, turned_deg: float) -> FloatArray:
    """The truth's CD matrix (radians) on the axes of a direction close by, and turned."""
    ra, dec = np.radians(truth.crval)
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    rotation = np.column_stack([east, north]) @ np.radians(truth.cd)
    unit = np.linalg.norm(rotation[:, 1])
    third = np.cross(rotation[:, 0], rotation[:, 1])
    attitude = np.column_stack([rotation / unit, centre])
    assert np.linalg.norm(third) > 0
    _, cd = first_guess(np.ascontiguousarray(attitude), unit, 1)
    angle = np.radians(turned_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.ascontiguousarray(cd @ turn)


@pytest.mark.parametrize(("ra", "dec"), PLACES)
@pytest.mark.parametrize("parity", [1, -1])
def test_a_known_plate_is_recovered(ra: float, dec: float, parity: int) -> None:
    field = Field(plate(ra, dec, 50.0, parity=parity), 40)
    assert field.fit() == 40
    np.testing.assert_array_equal(field.pair, np.arange(40))
    assert field.error_arcsec() < 0.01
    assert np.abs(field.residual).max() / ARCSEC < 1e-3
    assert field.solution().parity == parity


@pytest.mark.parametrize(("ra", "dec"), PLACES)
def test_scale_and_shear_are_fitted_too(ra: float, dec: float) -> None:
    truth = plate(ra, dec, -20.0, scale_arcsec_per_px=S50_SCALE * 1.002)
    truth.cd[0] *= 1.0005
    field = Field(truth, 30)
    assert field.fit(off_arcsec=1.0, turned_deg=0.0) == 30
    assert field.error_arcsec() < 0.01


def test_noise_averages_out_and_residuals_show_it() -> None:
    field = Field(plate(120.0, 20.0, 10.0), 400, noise_arcsec=0.3)
    assert field.fit() > 380
    assert field.error_arcsec() < 0.2
    matched = field.residual[field.pair >= 0] / ARCSEC
    assert matched.std() == pytest.approx(0.3, rel=0.15)


def test_residuals_are_image_minus_catalogue_to_the_east_and_north() -> None:
    field = Field(plate(120.0, 20.0, 70.0), 60)
    ra, dec = ra_dec_of(field.xyz)
    field.xyz[7] = unit_vectors(ra[7], dec[7] + 0.8 / 3600)  # the catalogue has it too far North
    field.weight[7] = 1e-9
    assert field.fit() == 60
    np.testing.assert_allclose(field.residual[7] / ARCSEC, (0.0, -0.8), atol=0.01)


def test_outliers_are_left_out() -> None:
    field = Field(plate(80.0, -10.0, 5.0), 50, noise_arcsec=0.1)
    field.dx[:8] += 5.0 / S50_SCALE
    field.dy[8:12] -= 700.0
    field.fit()
    assert (field.pair[:8] == -1).all()
    good = field.pair[12:]
    np.testing.assert_array_equal(good, np.arange(12, 50))
    assert field.error_arcsec() < 0.15


def test_a_catalogue_star_has_one_image_star() -> None:
    field = Field(plate(80.0, -10.0, 5.0), 20)
    field.dx = np.append(field.dx, field.dx[3] + 0.8)
    field.dy = np.append(field.dy, field.dy[3])
    assert field.fit() == 20
    assert field.pair[3] == 3
    assert field.pair[20] == -1


def test_weights_count() -> None:
    truth = plate(80.0, -10.0, 5.0)
    field = Field(truth, 40)
    field.dx[:20] += 0.5
    field.weight[:20] = 1e-6
    field.fit()
    assert field.error_arcsec() < 0.01


@pytest.mark.parametrize("n", [4, 5])
@pytest.mark.parametrize("parity", [1, -1])
def test_few_stars_get_a_similarity(n: int, parity: int) -> None:
    field = Field(plate(80.0, -10.0, 5.0, parity=parity), n, seed=5, noise_arcsec=0.3)
    assert field.fit() == n
    _, elongation = scale_and_elongation(field.cd)
    assert elongation == pytest.approx(1.0, abs=1e-9)
    assert field.solution().parity == parity
    exact = Field(plate(80.0, -10.0, 5.0, parity=parity), n, seed=5)
    exact.fit()
    assert exact.error_arcsec() < 0.01


def test_six_stars_get_all_constants() -> None:
    field = Field(plate(80.0, -10.0, 5.0), 6, seed=5, noise_arcsec=0.3)
    assert field.fit() == 6
    assert scale_and_elongation(field.cd)[1] > 1 + 1e-6


def test_too_few_pairs_are_counted_not_fitted() -> None:
    assert Field(plate(80.0, -10.0, 5.0), 2).fit() == 2
    nothing = Field(plate(80.0, -10.0, 5.0), 10)
    nothing.dx += 300.0
    assert nothing.fit() < 3


def test_scale_and_elongation_are_the_singular_values() -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        cd = rng.standard_normal((2, 2))
        values = np.linalg.svd(cd, compute_uv=False)
        scale, elongation = scale_and_elongation(cd)
        assert scale == pytest.approx(np.sqrt(values.prod()))
        assert elongation == pytest.approx(values[0] / values[1])


# --- distortion -----------------------------------------------------------------------------------


def bent_field(
    n: int, noise_arcsec: float, seed: int, strength: float = 1.0
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Stars whose pixels are bent by known terms: dx, dy, standard coordinates, CD."""
    rng = np.random.default_rng(seed)
    ny, nx = S50_SHAPE
    dx, dy = rng.uniform(-nx / 2, nx / 2, n), rng.uniform(-ny / 2, ny / 2, n)
    u = dx + strength * (2e-6 * dx * dx - 1e-6 * dx * dy)
    v = dy + strength * (1.5e-6 * dy * dy + 1e-6 * dx * dx)
    cd = plate(0.0, 0.0, 20.0).cd
    standard = np.stack([u, v], axis=1) @ cd.T
    return dx, dy, standard + noise_arcsec / 3600 * rng.standard_normal((n, 2)), cd


def test_a_known_distortion_is_recovered() -> None:
    dx, dy, standard, cd = bent_field(150, 0.0, 1)
    found = fit_sip(dx, dy, standard, S50_SHAPE)
    assert found is not None
    shift, fitted, sip = found
    np.testing.assert_allclose(shift, 0, atol=1e-9)
    np.testing.assert_allclose(fitted, cd, rtol=1e-7)
    np.testing.assert_allclose(sip.a, [[0, 0, 0], [0, -1e-6, 0], [2e-6, 0, 0]], atol=1e-11)
    np.testing.assert_allclose(sip.b, [[0, 0, 1.5e-6], [0, 0, 0], [1e-6, 0, 0]], atol=1e-11)


def test_it_is_found_under_noise_too() -> None:
    dx, dy, standard, _ = bent_field(150, 0.3, 2)
    found = fit_sip(dx, dy, standard, S50_SHAPE)
    assert found is not None
    assert found[2].a[2, 0] == pytest.approx(2e-6, abs=6e-7)
    assert found[2].b[0, 2] == pytest.approx(1.5e-6, abs=3e-7)


def test_the_way_back_leads_back() -> None:
    dx, dy, standard, _ = bent_field(150, 0.0, 3)
    found = fit_sip(dx, dy, standard, S50_SHAPE)
    assert found is not None
    bent = plate(100.0, 0.0, 20.0, sip=found[2])
    x, y = corners(S50_SHAPE)
    np.testing.assert_allclose(bent.sky_to_pixel(*bent.pixel_to_sky(x, y)), (x, y), atol=0.02)


def test_few_stars_never_justify_it() -> None:
    assert fit_sip(*bent_field(39, 0.0, 4)[:3], S50_SHAPE) is None
    assert fit_sip(*bent_field(40, 0.0, 4)[:3], S50_SHAPE) is not None


@pytest.mark.parametrize("n", [40, 60, 100])
def test_a_flat_field_never_justifies_it(n: int) -> None:
    for seed in range(60):
        assert fit_sip(*bent_field(n, 0.4, seed, strength=0.0)[:3], S50_SHAPE) is None


def test_a_distortion_below_the_noise_does_not_justify_it() -> None:
    used = [
        fit_sip(*bent_field(50, 0.5, seed, strength=0.03)[:3], S50_SHAPE) is not None
        for seed in range(20)
    ]
    assert not any(used)
