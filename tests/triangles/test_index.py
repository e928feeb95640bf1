"""A small index of triangles against all triangles there are."""

from __future__ import annotations

import threading
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from crowdsky.astrometry.tangent_plane import unit_vectors
from crowdsky.errors import CatalogueError
from crowdsky.triangles import TriangleIndex
from crowdsky.triangles import index as index_module
from crowdsky.triangles.index import (
    PAIR_START,
    ROW_LIMIT,
    build_index,
    load_index,
    save_index,
    vertices,
    words_like,
)
from crowdsky.triangles.sides import chord_arcsec, orientation, sort_triangle

REACH = np.array([1900.0] * 20 + [1200.0] * 20 + [600.0] * 15)
ROUNDING = 0.26  # half a step of the remainders, and float32
Triangle = tuple[tuple[int, int, int], int, float, float, float]


def patch(ra: float, dec: float, n: int = 55, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ra_width = 1.0 / max(0.02, np.cos(np.radians(dec)))
    sky = unit_vectors(ra + ra_width * rng.uniform(0, 1, n), dec + rng.uniform(-1, 0, n))
    return sky.astype(np.float32)


def built(stars: np.ndarray) -> TriangleIndex:
    n = len(stars)
    start = np.concatenate([[0], np.cumsum(np.arange(n - 1, -1, -1))]).astype(np.int64)
    later = np.concatenate([np.arange(i + 1, n) for i in range(n)]).astype(np.int64)
    cells = np.array([0, n], dtype=np.int32)
    return build_index(stars, cells, np.arange(n), REACH, later, start)


def every_triangle(stars: np.ndarray) -> list[Triangle]:
    """Vertices, orientation and sides of each triangle whose sides its faintest star allows."""
    found = []
    for i, j, k in combinations(range(len(stars)), 3):
        jk, ik, ij = (chord_arcsec(stars, p, stars, q) for p, q in ((j, k), (i, k), (i, j)))
        if max(jk, ik, ij) < REACH[k]:
            va, vb, vc, a, b, c = sort_triangle(i, j, k, jk, ik, ij)
            found.append(((va, vb, vc), orientation(stars, va, vb, vc), a, b, c))
    return found


@pytest.fixture(scope="module", params=[(10.0, 30.0), (0.0, 90.0)], ids=["sky", "pole"])
def small(request: pytest.FixtureRequest) -> tuple[TriangleIndex, list[Triangle]]:
    stars = patch(*request.param)
    return built(stars), every_triangle(stars)


def like(
    index: TriangleIndex, a: float, b: float, c: float, turn: int, slack: float, room: int = 100_000
) -> list[tuple[int, int, int]]:
    out = np.empty(room, dtype=np.uint64)
    n = words_like(a, b, c, turn, slack, slack, slack, index.first, index.words, PAIR_START, out)
    return [tuple(int(v) for v in vertices(word)) for word in out[:n]]


def test_every_triangle_within_reach_is_on_file(
    small: tuple[TriangleIndex, list[Triangle]],
) -> None:
    index, triangles = small
    on_file = [tuple(int(v) for v in vertices(word)) for word in index.words]
    assert len(triangles) > 400
    assert index.n_triangles == len(triangles)
    assert sorted(on_file) == sorted(t[0] for t in triangles)


def test_each_is_found_by_its_own_sides(small: tuple[TriangleIndex, list[Triangle]]) -> None:
    index, triangles = small
    for corner, turn, a, b, c in triangles[:: max(1, len(triangles) // 300)]:
        assert corner in like(index, a, b, c, turn, 0.3)
        assert corner not in like(index, a, b, c, 1 - turn, 0.3)


@pytest.mark.parametrize("slack", [0.5, 3.0, 11.0, 60.0])
def test_those_found_are_those_within_the_slack(
    small: tuple[TriangleIndex, list[Triangle]], slack: float
) -> None:
    index, triangles = small
    rng = np.random.default_rng(7)
    sides = np.array([t[2:] for t in triangles])
    turns = np.array([t[1] for t in triangles])
    hits = 0
    for seed in rng.integers(0, len(triangles), 60):
        a, b, c = np.sort(sides[seed] + rng.uniform(-slack, slack, 3))
        found = like(index, a, b, c, int(turns[seed]), slack)
        assert len(set(found)) == len(found)
        off = np.abs(sides - (a, b, c)).max(axis=1)
        same = turns == turns[seed]
        surely = {triangles[t][0] for t in np.flatnonzero(same & (off < slack - ROUNDING))}
        perhaps = {triangles[t][0] for t in np.flatnonzero(same & (off < slack + ROUNDING))}
        assert surely <= set(found) <= perhaps
        hits += len(found)
    assert hits > 30


def test_it_stops_where_there_is_no_more_room(
    small: tuple[TriangleIndex, list[Triangle]],
) -> None:
    index, _ = small
    full = like(index, 500.0, 600.0, 700.0, 1, 400.0)
    assert len(full) > 5
    assert like(index, 500.0, 600.0, 700.0, 1, 400.0, room=5) == full[:5]


@pytest.mark.parametrize(
    ("a", "b", "c"), [(0.0, 0.0, 0.0), (1919.9, 1919.9, 1919.9), (5.0, 1900.0, 1903.0),
                      (1e6, 1e6, 1e6), (900.0, 900.0, 1919.0)]
)  # fmt: skip
def test_sides_at_the_ends_of_the_file(
    small: tuple[TriangleIndex, list[Triangle]], a: float, b: float, c: float
) -> None:
    index, triangles = small
    found = like(index, a, b, c, 0, 10.0)
    sides = {t[0]: t[2:] for t in triangles}
    for corner in found:
        assert np.abs(np.array(sides[corner]) - (a, b, c)).max() < 10 + ROUNDING


def test_more_stars_than_a_word_can_address_are_refused() -> None:
    stars = np.zeros((ROW_LIMIT, 3), dtype=np.float32)
    none = np.zeros(0, dtype=np.int64)
    with pytest.raises(CatalogueError, match=r"2\*\*20"):
        build_index(stars, none.astype(np.int32), none, REACH, none, none)


# --- on disk --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index() -> TriangleIndex:
    return built(patch(10.0, 30.0))


def test_saved_and_loaded(index: TriangleIndex, tmp_path: Path) -> None:
    folder = tmp_path / "deeper" / "triangles"
    save_index(index, folder)
    again = load_index(folder)
    for name in ("stars", "cell_start", "first", "words"):
        ours, theirs = getattr(index, name), getattr(again, name)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert again.n_bytes == index.n_bytes > 0
    assert [p.name for p in folder.parent.iterdir()] == ["triangles"]


def test_a_build_that_breaks_off_leaves_nothing(
    index: TriangleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index_module.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_index(index, tmp_path / "triangles")
    assert list(tmp_path.iterdir()) == []


def test_builders_that_race_all_find_a_whole_index(index: TriangleIndex, tmp_path: Path) -> None:
    folder = tmp_path / "triangles"
    failures: list[BaseException] = []
    gate = threading.Barrier(6)

    def build() -> None:
        try:
            gate.wait()
            save_index(index, folder)
            np.testing.assert_array_equal(load_index(folder).words, index.words)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=build) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [p.name for p in tmp_path.iterdir()] == ["triangles"]


@pytest.mark.parametrize("name", ["stars", "cell_start", "first", "words"])
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "cut", "short"])
def test_a_damaged_index_is_refused(
    index: TriangleIndex, tmp_path: Path, name: str, damage: str
) -> None:
    folder = tmp_path / "triangles"
    save_index(index, folder)
    file = folder / f"{name}.npy"
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "short":
        np.save(file, np.load(file)[:-1])
    else:
        file.write_bytes({"empty": b"", "garbage": b"x" * 300, "cut": content[:-3]}[damage])
    with pytest.raises(CatalogueError) as caught:
        load_index(folder)
    assert caught.value.file == str(folder)
    assert "\n" not in str(caught.value)
