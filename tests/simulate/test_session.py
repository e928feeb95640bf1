"""Drawn frames against the truth beside them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from crowdsky.errors import SimulationError
from crowdsky.simulate import (
    DrawnFrame,
    Flaw,
    Galaxy,
    Session,
    Transient,
    VariableStar,
    read_truth,
    simulate_session,
)
from tests.simulate.sessions import START, green_flux_adu, lone_stars, plan

Pole = tuple[Session, DrawnFrame]


def centroid(
    mosaic: np.ndarray, x: float, y: float, red: float, blue: float
) -> tuple[float, float]:
    """Gaussian-weighted centroid of a star whose colour is known, so that Bayer pixels agree."""
    pedestal = [np.median(mosaic[j::2, i::2]) for j, i in ((0, 0), (0, 1), (1, 0), (1, 1))]
    for _ in range(12):
        x0, y0 = round(x), round(y)
        yy, xx = np.mgrid[y0 - 7 : y0 + 8, x0 - 7 : x0 + 8]
        place = (yy % 2) * 2 + xx % 2
        light = mosaic[y0 - 7 : y0 + 8, x0 - 7 : x0 + 8] - np.array(pedestal)[place]
        light = light / np.array([1.0, red, blue, 1.0])[place]
        weight = np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / 1.5**2)
        total = (weight * light).sum()
        # The weight halves the step of a profile as wide as itself.
        x += 1.6 * ((weight * light * (xx - x)).sum() / total)
        y += 1.6 * ((weight * light * (yy - y)).sum() / total)
    return x, y


def test_stars_stand_where_the_wcs_says(pole: Pole) -> None:
    session, frame = pole
    stars = session.scene.stars
    chosen = lone_stars(session, 0, 8.5, 11.6)
    assert len(chosen) >= 6
    x, y = frame.truth.wcs.sky_to_pixel(stars.ra_deg[chosen], stars.dec_deg[chosen])
    off = []
    for i, xi, yi in zip(chosen, x, y, strict=True):
        measured = centroid(
            frame.mosaic.astype(float), xi, yi, float(stars.red[i]), float(stars.blue[i])
        )
        off.append((measured[0] - xi, measured[1] - yi))
    assert np.abs(np.mean(off, axis=0)).max() < 0.03
    assert np.hypot(*np.transpose(off)).max() < 0.12


def test_flux_follows_magnitude(pole: Pole) -> None:
    session, frame = pole
    stars = session.scene.stars
    chosen = lone_stars(session, 0, 8.5, 12.0)
    x, y = frame.truth.wcs.sky_to_pixel(stars.ra_deg[chosen], stars.dec_deg[chosen])
    measured = np.array(
        [
            green_flux_adu(frame.mosaic, xi, yi, colour=(stars.red[i], stars.blue[i]))
            for i, xi, yi in zip(chosen, x, y, strict=True)
        ]
    )
    truth = session.truth(Path()).green_adu[chosen] * frame.truth.transparency
    ratio = measured / truth
    # The aperture misses one or two percent, vignetting up to three; a star of magnitude 12 has
    # ten percent of noise, hence the weights.
    assert np.median(ratio) == pytest.approx(0.97, abs=0.03)
    slope = np.polyfit(np.log(truth), np.log(measured), 1, w=truth)[0]
    assert slope == pytest.approx(1.0, abs=0.04)


def test_values_lie_on_the_lattice_of_a_12_bit_camera_with_dark_subtraction(pole: Pole) -> None:
    session, frame = pole
    sensor = session.painter.sensor
    step = (frame.mosaic.astype(float) + sensor.master_dark_adu) % 16
    whole = np.minimum(step, 16 - step) < 1.01
    assert whole.mean() > 0.995
    assert np.unique(frame.mosaic % 16).size > 1


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    sessions = [simulate_session(plan(n_frames=2), tmp_path / name) for name in "ab"]
    first, second = (
        {p.name: p.read_bytes() for p in sorted(truth.folder.iterdir())} for truth in sessions
    )
    assert first == second
    assert len(first) == 4


def test_another_seed_gives_another_night_of_the_same_sky() -> None:
    one, two = Session(plan()), Session(plan(seed=1))
    assert (one.draw(0).mosaic != two.draw(0).mosaic).mean() > 0.5
    shared = {(r, d) for r, d in zip(one.scene.stars.ra_deg, one.scene.stars.dec_deg, strict=True)}
    other = {(r, d) for r, d in zip(two.scene.stars.ra_deg, two.scene.stars.dec_deg, strict=True)}
    assert len(shared & other) > 0.9 * min(len(shared), len(other))


def test_frames_may_be_drawn_in_any_order(pole: Pole) -> None:
    _, frame = pole
    fresh = Session(plan())
    fresh.draw(1)
    np.testing.assert_array_equal(fresh.draw(0).mosaic, frame.mosaic)


def test_a_variable_star_varies_in_the_pixels() -> None:
    base = Session(plan())
    star = lone_stars(base, 0, 9.5, 10.9)[0]
    stars = base.scene.stars
    varying = VariableStar(
        float(stars.ra_deg[star]), float(stars.dec_deg[star]), 9.3, 0.7, 90.0, START
    )
    session = Session(plan(n_frames=6, variables=(varying,)))
    assert len(session.scene.stars) < len(base.scene.stars) + 5
    curve = session.truth(Path()).light_curves[0]
    assert np.ptp(curve.mag) > 1.0
    for index, frame in enumerate(session):
        x, y = frame.truth.wcs.sky_to_pixel(curve.ra_deg, curve.dec_deg)
        measured = green_flux_adu(
            frame.mosaic, float(x), float(y), colour=session.scene.variable_colours[0]
        )
        expected = curve.green_adu[index] * frame.truth.transparency
        assert measured == pytest.approx(0.98 * expected, rel=0.04)


def test_a_transient_appears_and_fades() -> None:
    ra, dec = 192.78 + 0.05, 41.12 + 0.1
    new = Transient(ra, dec, START + timedelta(seconds=15), 9.5, 60.0)
    session = Session(plan(n_frames=3, transients=(new,)))
    curve = session.truth(Path()).light_curves[0]
    assert curve.kind == "transient"
    assert curve.green_adu[0] == 0
    assert curve.mag[0] == float("inf")
    fluxes = []
    for frame in session:
        x, y = frame.truth.wcs.sky_to_pixel(ra, dec)
        fluxes.append(green_flux_adu(frame.mosaic, float(x), float(y)) / frame.truth.transparency)
    assert abs(fluxes[0]) < 0.03 * fluxes[1]
    assert fluxes[2] / fluxes[1] == pytest.approx(curve.green_adu[2] / curve.green_adu[1], rel=0.03)
    assert fluxes[1] == pytest.approx(0.985 * curve.green_adu[1], rel=0.04)


def test_a_galaxy_has_the_light_of_its_magnitude() -> None:
    galaxy = Galaxy("test", 192.78, 41.12, 8.0, 25.0, 0.7, 40.0, arms=2)
    quiet = plan(n_hot_pixels=0)
    without = Session(quiet)
    with_it = Session(plan(n_hot_pixels=0, objects=(galaxy,)))
    # The noise of a frame is seeded, so it all but cancels in the difference.
    more = with_it.draw(0).mosaic.astype(float) - without.draw(0).mosaic
    green = more[0::2, 0::2].sum() * 4
    expected = with_it.instrument.star_electrons(np.array([8.0]), 10.0)[0] / 0.0739
    assert green == pytest.approx(expected * with_it.conditions[0].transparency, rel=0.1)


def test_truth_reads_back_as_it_was_written(tmp_path: Path) -> None:
    made = simulate_session(
        plan(
            n_frames=2,
            satellites=(1,),
            flaws=((0, Flaw.BLACK), (1, Flaw.DARK)),
            transients=(Transient(192.8, 41.1, START + timedelta(seconds=11), 10.0),),
        ),
        tmp_path,
    )
    (read,) = read_truth(made.folder)
    assert read.frames == made.frames
    assert read.light_curves == made.light_curves
    assert read.hot_pixels == made.hot_pixels
    np.testing.assert_array_equal(read.stars.ra_deg, made.stars.ra_deg)
    np.testing.assert_array_equal(read.green_adu, made.green_adu)
    assert read.frame(made.frames[1].file).trails == made.frames[1].trails != ()
    with pytest.raises(SimulationError, match="no such frame"):
        read.frame("nothing.fit")


def test_two_nights_of_one_target_keep_both_truths(tmp_path: Path) -> None:
    for day in (0, 1, 0):
        simulate_session(
            plan(
                n_frames=1,
                flaws=((0, Flaw.BLACK),),
                start_utc=START + timedelta(days=day),
            ),
            tmp_path,
        )
    nights = read_truth(tmp_path / "Pole field_sub")
    assert len(nights) == 2
    assert len(list((tmp_path / "Pole field_sub").glob("*.fit"))) == 2


def test_a_folder_without_truth_says_so(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"truth\.json: the truth cannot be read"):
        read_truth(tmp_path)
    (tmp_path / "truth.json").write_text("{}")
    with pytest.raises(SimulationError, match="not of format"):
        read_truth(tmp_path)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    simulate_session(
        plan(flaws=((0, Flaw.BLACK), (1, Flaw.BLACK))),
        tmp_path,
        progress=lambda done, of: told.append((done, of)),
    )
    assert told == [(1, 2), (2, 2)]
