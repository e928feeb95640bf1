"""Fluxes of stacks are true: of constant stars, and of one that varies from block to block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from crowdsky.pipeline import stack_paths
from crowdsky.simulate import Mount, Truth, VariableStar, simulate_session
from tests.pipeline.nights import START, plan

N_BLOCKS = 4
IN_BLOCK = 3
VARIABLE = (351.21, 61.62)


@dataclass(frozen=True)
class Series:
    """Star tables of successive blocks, matched to the truth."""

    truth: Truth
    stars: NDArray[np.intp]
    flux: NDArray[np.float64]
    error: NDArray[np.float64]
    variable: NDArray[np.float64]
    variable_error: NDArray[np.float64]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    folder = tmp_path_factory.mktemp("variable")
    truth = simulate_session(
        plan(
            n_frames=N_BLOCKS * IN_BLOCK,
            overhead_s=290.0,
            dither_every=0,
            mount=Mount.EQUATORIAL,
            variables=(VariableStar(*VARIABLE, 10.8, 0.35, 3000.0, START),),
        ),
        folder / "in",
    )
    report = stack_paths([folder / "in"], folder / "out")
    assert [len(block.frames) for block in report.blocks] == [IN_BLOCK] * N_BLOCKS
    assert all(block.n_used == IN_BLOCK for block in report.blocks)
    curve = truth.light_curves[0]
    known = truth.stars
    bright = np.flatnonzero((known.mag > 8.0) & (known.mag < 11.5))
    tables = [np.asarray(fits.getdata(str(b.output), "STAR-TAB")) for b in report.blocks]
    sky = (
        np.append(known.ra_deg[bright], curve.ra_deg),
        np.append(known.dec_deg[bright], curve.dec_deg),
    )
    found = [_nearest(*sky, table) for table in tables]
    lonely = _lonely(known.ra_deg[bright], known.dec_deg[bright], bright, truth)
    clean = np.all([ok[:-1] for _, ok in found], axis=0) & lonely
    assert all(ok[-1] for _, ok in found)
    flux = np.array([t["flux_green"][place] for t, (place, _) in zip(tables, found, strict=True)])
    error = np.array(
        [t["flux_green_err"][place] for t, (place, _) in zip(tables, found, strict=True)]
    )
    return Series(
        truth,
        bright[clean],
        flux[:, :-1][:, clean],
        error[:, :-1][:, clean],
        flux[:, -1],
        error[:, -1],
    )


def _nearest(
    ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], table: NDArray[np.void]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Row of a table for each place, and whether it is that star, whole and unsaturated."""
    east = (table["ra"][None] - ra_deg[:, None]) * np.cos(np.radians(dec_deg))[:, None]
    away = np.hypot(east, table["dec"][None] - dec_deg[:, None]) * 3600
    place = np.argmin(away, axis=1)
    row = table[place]
    central = (np.abs(row["x"] - 540) < 420) & (np.abs(row["y"] - 960) < 700)
    ok = (away.min(axis=1) < 2.0) & (row["flag"] == 0) & (row["peak"] < 40_000) & central
    return place, ok


def _lonely(
    ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], own: NDArray[np.intp], truth: Truth
) -> NDArray[np.bool_]:
    """Stars without a neighbour of more than half a per cent within 25 arcsec."""
    stars = truth.stars
    alone = []
    for ra, dec, i in zip(ra_deg, dec_deg, own, strict=True):
        away = np.hypot((stars.ra_deg - ra) * np.cos(np.radians(dec)), stars.dec_deg - dec) * 3600
        near = (away < 25) & (np.arange(len(away)) != i)
        alone.append(truth.green_adu[near].sum() < 0.005 * truth.green_adu[i])
    return np.array(alone)


def test_constant_stars_follow_the_truth(series: Series) -> None:
    assert len(series.stars) >= 10
    ratio = series.flux / series.truth.green_adu[series.stars]
    for block in ratio:
        scatter = 1.4826 * np.median(np.abs(block / np.median(block) - 1))
        assert scatter < 0.02


def test_constant_stars_are_constant_within_their_errors(series: Series) -> None:
    ratio = series.flux / np.median(series.flux, axis=1, keepdims=True)
    relative = ratio / ratio.mean(axis=0) - 1
    sigma = np.hypot(series.error / series.flux, 0.002)
    chi2 = np.sum((relative / sigma) ** 2, axis=0) / (N_BLOCKS - 1)
    assert 0.1 < np.median(chi2) < 3.0
    assert 1.4826 * np.median(np.abs(relative)) < 0.015


def test_a_variable_star_varies_as_it_should(series: Series) -> None:
    curve = series.truth.light_curves[0]
    green = np.array(curve.green_adu).reshape(N_BLOCKS, IN_BLOCK).mean(axis=1)
    assert green.max() / green.min() > 1.3  # there is something to see
    comparison = np.median(series.flux / series.truth.green_adu[series.stars], axis=1)
    seen = series.variable / comparison
    shape = seen / green
    relative = shape / shape.mean() - 1
    sigma = np.hypot(series.variable_error / series.variable, 0.004)
    assert np.sum((relative / sigma) ** 2) / (N_BLOCKS - 1) < 4.0
    assert np.abs(relative).max() < 0.03
