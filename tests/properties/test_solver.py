"""What holds of the solver for any attitude, triangle and list."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crowdsky.astrometry import ScaleMemory, bundled_catalogue, solve_stars
from crowdsky.astrometry.tangent_plane import deproject, project, unit_vectors
from crowdsky.errors import NoSolution
from crowdsky.simulate import simulate_star_list
from crowdsky.stars import StarList
from crowdsky.triangles import apply_map, fit_affine, fit_similarity, register_stars
from crowdsky.triangles.sides import chord_arcsec, orientation, sort_triangle
from tests.astrometry.lists import (
    S50_SCALE,
    S50_SHAPE,
    corners,
    is_right,
    moved,
    plate,
    random_list,
    separation_arcsec,
)

ra_dec = st.tuples(st.floats(0.0, 360.0), st.floats(-90.0, 90.0))
angles = st.floats(-180.0, 180.0)
seeds = st.integers(0, 2**31)
quick = settings(max_examples=60, deadline=None)
slow = settings(max_examples=15, deadline=None)


@quick
@given(ra_dec, st.floats(-30.0, 30.0), st.floats(-30.0, 30.0))
def test_the_tangent_plane_and_back(centre: tuple[float, float], xi: float, eta: float) -> None:
    ra, dec = deproject(xi, eta, *centre)
    assert 0 <= ra < 360
    np.testing.assert_allclose(project(ra, dec, *centre), (xi, eta), atol=1e-7)


@quick
@given(ra_dec, st.floats(-10.0, 10.0), st.floats(-10.0, 10.0))
def test_distance_from_the_tangent_point_is_the_tangent(
    centre: tuple[float, float], xi: float, eta: float
) -> None:
    away = separation_arcsec(*deproject(xi, eta, *centre), *centre) / 3600
    expected = np.degrees(np.arctan(np.radians(np.hypot(xi, eta))))
    np.testing.assert_allclose(away, expected, atol=1e-9)


@quick
@given(ra_dec, angles, st.sampled_from([1, -1]), st.floats(-500, 1600), st.floats(-500, 2400))
def test_pixels_to_sky_and_back(
    centre: tuple[float, float], rotation: float, parity: int, x: float, y: float
) -> None:
    solution = plate(*centre, rotation, parity=parity)
    back = solution.sky_to_pixel(*solution.pixel_to_sky(x, y))
    np.testing.assert_allclose(back, (x, y), atol=2e-6)


@quick
@given(ra_dec, angles, st.sampled_from([1, -1]))
def test_the_wcs_agrees_everywhere(
    centre: tuple[float, float], rotation: float, parity: int
) -> None:
    solution = plate(*centre, rotation, parity=parity)
    x, y = corners(S50_SHAPE)
    off = separation_arcsec(*solution.pixel_to_sky(x, y), *solution.wcs.all_pix2world(x, y, 0))
    assert off.max() < 2e-5


@quick
@given(seeds)
def test_triangles_do_not_depend_on_the_order_of_their_stars(seed: int) -> None:
    rng = np.random.default_rng(seed)
    u = unit_vectors(rng.uniform(0, 360), rng.uniform(-90, 90)) + rng.normal(0, 0.003, (3, 3))
    u /= np.linalg.norm(u, axis=1)[:, None]

    def described(i: int, j: int, k: int) -> tuple[object, ...]:
        jk, ik, ij = (chord_arcsec(u, p, u, q) for p, q in ((j, k), (i, k), (i, j)))
        va, vb, vc, a, b, c = sort_triangle(i, j, k, jk, ik, ij)
        return va, vb, vc, a, b, c, orientation(u, va, vb, vc)

    assert described(0, 1, 2) == described(2, 0, 1) == described(1, 0, 2) == described(2, 1, 0)


@quick
@given(angles, st.floats(0.5, 2.0), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), seeds)
def test_similarities_are_recovered(
    rotation: float, scale: float, dx: float, dy: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    c, s = scale * np.cos(np.radians(rotation)), scale * np.sin(np.radians(rotation))
    truth = np.array([[c, -s, dx], [s, c, dy]])
    points, weight = rng.uniform(0, 2000, (12, 2)), rng.uniform(0.1, 10, 12)
    target = apply_map(truth, points)
    np.testing.assert_allclose(fit_similarity(points, target, weight), truth, atol=1e-6)
    np.testing.assert_allclose(fit_affine(points, target, weight), truth, atol=1e-6)


@slow
@given(ra_dec, st.floats(0.01, 3.0))
def test_a_wider_cone_holds_the_narrower(centre: tuple[float, float], radius: float) -> None:
    catalogue = bundled_catalogue()
    inner = catalogue.cone(*centre, radius)
    outer = catalogue.cone(*centre, radius * 1.5)
    assert (separation_arcsec(inner.ra_deg, inner.dec_deg, *centre) <= radius * 3600 + 1e-3).all()
    assert ((inner.ra_deg >= 0) & (inner.ra_deg < 360)).all()
    ours = set(zip(inner.ra_deg, inner.dec_deg, strict=True))
    assert ours <= set(zip(outer.ra_deg, outer.dec_deg, strict=True))


@slow
@given(ra_dec, angles, seeds, st.booleans())
def test_any_attitude_is_solved_rightly_or_not_at_all(
    centre: tuple[float, float], rotation: float, seed: int, blind: bool
) -> None:
    stars, truth = simulate_star_list("S50", *centre, rotation, np.random.default_rng(seed))
    try:
        solution = solve_stars(
            stars, scale_arcsec_per_px=S50_SCALE, hint=(truth.ra_deg, truth.dec_deg), blind=blind
        )
    except NoSolution:
        assert len(stars) < 20 or blind  # twenty stars and a hint are always enough
        return
    assert is_right(solution, truth, 20.0)
    assert (solution.mode == "blind") or not blind


def _frames(seed: int, rotation: float, dx: float, dy: float) -> tuple[StarList, StarList]:
    rng = np.random.default_rng(seed)
    reference = random_list(rng, 60)
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    middle = np.array([539.5, 959.5])
    points = np.column_stack([reference.x_px, reference.y_px]) - middle
    x, y = (points @ np.array([[c, s], [-s, c]]) + middle + [dx, dy]).T
    x, y = x + rng.normal(0, 0.05, 60), y + rng.normal(0, 0.05, 60)
    return reference, moved(reference, x, y)


@slow
@given(seeds, angles, st.floats(-100, 100), st.floats(-100, 100))
def test_there_and_back_again_is_nowhere(seed: int, rotation: float, dx: float, dy: float) -> None:
    reference, moving = _frames(seed, rotation, dx, dy)
    there, back = register_stars(reference, moving), register_stars(moving, reference)
    points = np.column_stack(corners(S50_SHAPE))
    np.testing.assert_allclose(
        apply_map(back.matrix, apply_map(there.matrix, points)), points, atol=0.05
    )
    np.testing.assert_array_equal(
        np.unique(there.pairs, axis=0), np.unique(back.pairs[:, ::-1], axis=0)
    )


@slow
@given(seeds, angles, angles)
def test_two_steps_are_one(seed: int, first: float, second: float) -> None:
    a, b = _frames(seed, first, 10.0, -5.0)
    c = _frames(seed, second, -20.0, 8.0)[1]
    points = np.column_stack(corners(S50_SHAPE))
    step = apply_map(register_stars(a, b).matrix, apply_map(register_stars(b, c).matrix, points))
    whole = apply_map(register_stars(a, c).matrix, points)
    np.testing.assert_allclose(step, whole, atol=0.15)


@quick
@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 60)), max_size=40), st.floats(1, 5))
def test_no_history_leads_the_scale_astray(
    history: list[tuple[float, int]], nominal: float
) -> None:
    memory = ScaleMemory()
    for scale, n_matched in history:
        memory.learn("one", scale, n_matched)
    assert abs(memory.guess("one", nominal) / nominal - 1) <= 0.01 + 1e-12
    assert memory.guess("another", nominal) == nominal
