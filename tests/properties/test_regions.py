"""Searches against brute force over random skies, and regions against other ways to tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crowdsky.archive.density import density
from crowdsky.archive.engine import Archive
from crowdsky.archive.positions import cells
from crowdsky.archive.regions import Cone, Polygon, Rectangle, Region
from crowdsky.archive.search import StackQuery, Viewer, count_stacks, search_stacks
from crowdsky.archive.sky_ranges import cell_ranges
from tests.archive.sky_rows import (
    EPOCH,
    FILTERS,
    MODELS,
    NOW,
    NOW_US,
    TARGETS,
    Sky,
    random_sky,
    write_sky,
)

N = 3000
# Other ways to tell round differently; positions so near to an edge are not asked about.
NEAR_DEG = 1e-7

ra = st.one_of(st.sampled_from([0.0, 180.0, 359.999999, 360.0]), st.floats(0, 360))
dec = st.one_of(st.sampled_from([-90.0, 0.0, 45.0, 90.0]), st.floats(-90, 90))


@st.composite
def rectangles(draw: st.DrawFn) -> Rectangle:
    low, high = sorted((draw(dec), draw(dec)))
    if draw(st.booleans()):
        first = draw(ra)
        return Rectangle(first, first + 360.0, low, high)
    return Rectangle(draw(ra), draw(ra), low, high)


@st.composite
def cones(draw: st.DrawFn) -> Cone:
    radius = st.one_of(st.sampled_from([0.0, 90.0, 180.0]), st.floats(0, 180), st.floats(0, 5))
    return Cone(draw(ra), draw(dec), draw(radius))


@st.composite
def polygons(draw: st.DrawFn) -> Polygon:
    """Stars around a middle, convex or not, up to 80 degrees wide to each side."""
    middle = draw(ra), draw(dec)
    n = draw(st.integers(3, 8))
    size = draw(st.floats(0.5, 80))
    radii = [size * draw(st.floats(0.3, 1)) for _ in range(n)]
    turn = draw(st.floats(0, 360))
    corners = [_offset(*middle, turn + 360 * k / n, radius) for k, radius in enumerate(radii)]
    return Polygon(corners if draw(st.booleans()) else corners[::-1])


regions = st.one_of(rectangles(), cones(), polygons())


@st.composite
def queries(draw: st.DrawFn) -> StackQuery:
    days = st.one_of(st.none(), st.integers(0, 1100))
    start, end = draw(days), draw(days)
    maybe = st.booleans()
    return StackQuery(
        region=draw(st.one_of(st.none(), regions)),
        from_utc=None if start is None else NOW - timedelta(days=start),
        to_utc=None if end is None else NOW - timedelta(days=end),
        target=draw(st.sampled_from(["m", "M94", " ngc 7000", "Ω"])) if draw(maybe) else None,
        filter=draw(st.sampled_from(["lp", "IRCUT", "IR"])) if draw(maybe) else None,
        model=draw(st.sampled_from(["seestar s30", "SeestarS50"])) if draw(maybe) else None,
        ids=draw(st.lists(st.integers(-3, N + 9), max_size=30)) if draw(maybe) else None,
        min_exposure_s=draw(st.sampled_from([10.0, 300.0, 455.0])) if draw(maybe) else None,
    )


viewers = st.builds(
    Viewer, st.one_of(st.none(), st.integers(1, 4)), st.sampled_from(["mine", "public", "all"])
)


@dataclass(frozen=True)
class FullArchive:
    archive: Archive
    sky: Sky


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One sky a database, for all examples."""
    import shutil

    from sqlalchemy import create_engine, text

    sky = random_sky(N, seed=11)
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("sky") / "sky.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite:///{path}"
    else:
        server = request.getfixturevalue("postgresql_server")
        maker = create_engine(server, isolation_level="AUTOCOMMIT")
        with maker.connect() as connection:
            connection.execute(text("CREATE DATABASE sky TEMPLATE migrated"))
        maker.dispose()
        url = server.set(database="sky").render_as_string(hide_password=False)
    archive = Archive(url)
    write_sky(archive, sky)
    yield FullArchive(archive, sky)
    archive.close()


def _unit(ra_deg: Any, dec_deg: Any) -> Any:
    a, d = np.radians(ra_deg), np.radians(dec_deg)
    return np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def _offset(ra_deg: float, dec_deg: float, angle_deg: float, radius_deg: float) -> Any:
    centre = _unit(ra_deg, dec_deg)
    east = np.array([-math.sin(math.radians(ra_deg)), math.cos(math.radians(ra_deg)), 0.0])
    north = np.cross(centre, east)
    a, r = math.radians(angle_deg), math.radians(radius_deg)
    x, y, z = centre * math.cos(r) + (north * math.cos(a) + east * math.sin(a)) * math.sin(r)
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.asin(max(-1, min(1, z))))


def _separation_deg(region: Cone, ra_deg: Any, dec_deg: Any) -> Any:
    """Vincenty's form of the distance to a cone's middle."""
    a = np.radians(ra_deg - region.ra_deg)
    d, c = np.radians(dec_deg), np.radians(region.dec_deg)
    across = np.hypot(
        np.cos(d) * np.sin(a), np.cos(c) * np.sin(d) - np.sin(c) * np.cos(d) * np.cos(a)
    )
    along = np.sin(c) * np.sin(d) + np.cos(c) * np.cos(d) * np.cos(a)
    return np.degrees(np.arctan2(across, along))


def _winding(polygon: Polygon, ra_deg: Any, dec_deg: Any) -> tuple[Any, Any]:
    """Inside by the angles that the edges fill as seen from a position; and how near an edge."""
    points = _unit(ra_deg, dec_deg)
    corners = np.array([_unit(*corner) for corner in polygon.corners])
    total = np.zeros(points.shape[1])
    nearest = np.full(points.shape[1], np.inf)
    for first, last in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        a = first[:, None] - points * (first @ points)
        b = last[:, None] - points * (last @ points)
        total += np.arctan2((points * np.cross(a.T, b.T).T).sum(axis=0), (a * b).sum(axis=0))
        nearest = np.minimum(nearest, np.abs(np.cross(first, last) @ points))
    middle = corners.mean(axis=0)
    return (np.abs(total) > np.pi) & (middle @ points > 0), nearest


def expected_in(region: Region, ra_deg: Any, dec_deg: Any) -> tuple[Any, Any]:
    """Which positions lie in a region, told differently; and which are too near an edge to ask."""
    unclear = np.zeros(len(ra_deg), bool)
    if isinstance(region, Rectangle):
        inside = (dec_deg >= region.dec_from_deg) & (dec_deg <= region.dec_to_deg)
        width = region.ra_to_deg - region.ra_from_deg
        if width < 360:
            west, east = region.ra_from_deg % 360, region.ra_to_deg % 360
            edges = [(west, east)] if west <= east else [(west, 360.0), (0.0, east)]
            across = np.zeros(len(ra_deg), bool)
            for low, high in edges:
                across |= (ra_deg >= low) & (ra_deg <= high)
            inside &= across | (np.abs(dec_deg) == 90)
        return inside, unclear
    if isinstance(region, Cone):
        distance = _separation_deg(region, ra_deg, dec_deg)
        unclear = np.abs(distance - region.radius_deg) < NEAR_DEG
        return distance <= region.radius_deg, unclear
    assert isinstance(region, Polygon)
    inside, nearest = _winding(region, ra_deg, dec_deg)
    return inside, nearest < np.radians(NEAR_DEG)


def expected_rows(sky: Sky, query: StackQuery, viewer: Viewer) -> tuple[Any, Any]:
    public = (sky.public_us >= 0) & (sky.public_us <= NOW_US)
    own = sky.observer == (viewer.observer_id or 0)
    keep = {"mine": own, "public": public, "all": own | public}[viewer.scope].copy()
    if query.from_utc is not None:
        keep &= sky.start_us >= (query.from_utc - EPOCH) // timedelta(microseconds=1)
    if query.to_utc is not None:
        keep &= sky.start_us < (query.to_utc - EPOCH) // timedelta(microseconds=1)
    for wanted, numbers, texts in (
        (query.target, sky.target, TARGETS),
        (query.filter, sky.filter, FILTERS),
        (query.model, sky.model, MODELS),
    ):
        if wanted is not None:
            plain = wanted.casefold().replace(" ", "")
            known = [text.casefold().replace(" ", "") for text in texts]
            right = [plain in text if texts is TARGETS else plain == text for text in known]
            keep &= np.array(right)[numbers]
    if query.ids is not None:
        keep &= np.isin(sky.ids, query.ids)
    if query.min_exposure_s is not None:
        keep &= sky.exposure_s >= query.min_exposure_s
    unclear = np.zeros(len(sky), bool)
    if query.region is not None:
        with np.errstate(invalid="ignore"):
            inside, unclear = expected_in(query.region, sky.ra_deg, sky.dec_deg)
        unclear &= keep
        keep &= inside & np.isfinite(sky.ra_deg)
    return keep, unclear


@pytest.mark.parametrize("by", ["index", "sql"])
@given(query=queries(), viewer=viewers)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_search_is_a_brute_force_selection(
    full: FullArchive, by: Any, query: StackQuery, viewer: Viewer
) -> None:
    keep, unclear = expected_rows(full.sky, query, viewer)
    with full.archive.reading() as session:
        page = search_stacks(session, query, viewer, limit=10_000, now=NOW, by=by)
        counted = count_stacks(session, query, viewer, now=NOW, by=by)
    found = np.array([row.id for row in page.rows], int)
    clear = ~unclear[found - 1] if len(found) else found.astype(bool)
    wanted = full.sky.ids[keep & ~unclear]
    assert sorted(found[clear]) == wanted.tolist()
    assert page.total == len(found) == counted[0]
    assert page.n_bytes == int(full.sky.n_bytes[found - 1].sum()) == counted[1]
    newest_first = [(row.start_utc, row.id) for row in page.rows]
    assert newest_first == sorted(newest_first, reverse=True)


@given(query=queries(), viewer=viewers)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_ways_find_the_very_same(full: FullArchive, query: StackQuery, viewer: Viewer) -> None:
    """Also at the edges, where other ways to tell are not asked."""
    with full.archive.reading() as session:
        one = search_stacks(session, query, viewer, limit=50, now=NOW, by="index")
        other = search_stacks(session, query, viewer, limit=50, now=NOW, by="sql")
        assert one == other
        if one.next_after is not None:
            after = one.next_after
            one, other = (
                search_stacks(session, query, viewer, limit=50, after=after, now=NOW, by=by)
                for by in ("index", "sql")
            )
            assert one == other
        dense, same = (
            density(session, query, viewer, order=6, now=NOW, by=by) for by in ("index", "sql")
        )
    assert np.array_equal(dense, same)


@given(region=regions, seed=st.integers(0, 99), most=st.integers(12, 64))
def test_ranges_of_cells_enclose_a_region(region: Region, seed: int, most: int) -> None:
    sky = random_sky(500, seed)
    with np.errstate(invalid="ignore"):
        inside = np.flatnonzero(region.contains(sky.ra_deg, sky.dec_deg))
    ranges = cell_ranges(region, max_ranges=most)
    assert len(ranges) <= most
    assert (ranges[:, 0] <= ranges[:, 1]).all()
    assert (ranges[1:, 0] > ranges[:-1, 1] + 1).all()
    at = cells(sky.ra_deg[inside], sky.dec_deg[inside])
    place = np.searchsorted(ranges[:, 0], at, side="right") - 1
    assert (place >= 0).all()
    assert (at <= ranges[place, 1]).all()


@given(query=queries(), viewer=viewers, order=st.integers(0, 9))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_densities_add_up_to_what_is_found(
    full: FullArchive, query: StackQuery, viewer: Viewer, order: int
) -> None:
    with full.archive.reading() as session:
        page = search_stacks(session, query, viewer, limit=10_000, now=NOW)
        pixels, counts = density(session, query, viewer, order=order, now=NOW)
    places = [(row.ra_deg, row.dec_deg) for row in page.rows if row.ra_deg is not None]
    if not places:
        assert len(pixels) == 0
        return
    at = cells(*np.array(places, float).T, order=order)
    expected, expected_counts = np.unique(at, return_counts=True)
    assert pixels.tolist() == expected.tolist()
    assert counts.tolist() == expected_counts.tolist()


@given(
    query=queries(),
    viewer=viewers,
    limit=st.integers(150, 900),
    order=st.sampled_from(["time", "id"]),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_pages_are_the_whole_cut_into_pieces(
    full: FullArchive, query: StackQuery, viewer: Viewer, limit: int, order: Any
) -> None:
    with full.archive.reading() as session:
        whole = search_stacks(session, query, viewer, limit=10_000, order=order, now=NOW)
        found: list[int] = []
        after = None
        while True:
            page = search_stacks(
                session, query, viewer, limit=limit, after=after, order=order, now=NOW
            )
            assert page.total == whole.total
            found.extend(row.id for row in page.rows)
            after = page.next_after
            if after is None:
                break
            assert len(page.rows) == limit
    assert found == [row.id for row in whole.rows]


@given(region=polygons())
def test_corners_and_edges_belong_to_a_polygon(region: Polygon) -> None:
    corners = np.array(region.corners)
    assert region.contains(*corners.T).all()
    vectors = _unit(*corners.T).T
    halves = vectors + np.roll(vectors, -1, axis=0)
    halves /= np.linalg.norm(halves, axis=1)[:, None]
    middles = (
        np.degrees(np.arctan2(halves[:, 1], halves[:, 0])),
        np.degrees(np.arcsin(halves[:, 2])),
    )
    steep = np.abs(middles[1]) > 89.0  # degrees lose digits there
    assert region.contains(*middles)[~steep].all()


@given(region=cones(), angle=st.floats(0, 360))
def test_the_rim_belongs_to_a_cone(region: Cone, angle: float) -> None:
    assert region.contains(np.array([region.ra_deg]), np.array([region.dec_deg])).all()
    rim = _offset(region.ra_deg, region.dec_deg, angle, max(0.0, region.radius_deg - NEAR_DEG))
    assert region.contains(np.array([rim[0]]), np.array([rim[1]])).all()


@given(region=regions, seed=st.integers(0, 99))
def test_a_region_lies_in_its_bounds(region: Region, seed: int) -> None:
    sky = random_sky(500, seed)
    with np.errstate(invalid="ignore"):
        inside = region.contains(sky.ra_deg, sky.dec_deg)
    bounds = region.bounds
    assert (sky.dec_deg[inside] >= bounds.dec_from_deg).all()
    assert (sky.dec_deg[inside] <= bounds.dec_to_deg).all()
    if bounds.centre is not None:
        cosine = np.array(bounds.centre) @ _unit(sky.ra_deg[inside], sky.dec_deg[inside])
        assert (cosine >= bounds.cos_radius - 1e-12).all()
        outside = ~inside & np.isfinite(sky.ra_deg)
        cosine = np.array(bounds.centre) @ _unit(sky.ra_deg[outside], sky.dec_deg[outside])
        assert (cosine <= bounds.cos_inner + 1e-12).all()
    assert not inside[np.isnan(sky.ra_deg)].any()


@pytest.mark.parametrize("region", [Cone(0, 0, 180), Rectangle(0, 360, -90, 90)])
def test_the_whole_sky_is_one_range(region: Region) -> None:
    """And is not refined to the last cell, of which there are 200 millions."""
    assert cell_ranges(region).tolist() == [[0, 12 * 4**12 - 1]]
