"""What a search finds follows what is committed, and shows nobody what is not theirs to see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError

from crowdsky.archive import sky_index as sky_index_module
from crowdsky.archive.density import density
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Observer, StackChange, StackRow
from crowdsky.archive.regions import BadQuery, Cone, Rectangle
from crowdsky.archive.search import StackQuery, Viewer, count_stacks, search_stacks
from crowdsky.archive.sky_columns import SkyColumns
from crowdsky.archive.sky_index import index_of, prune_changes, sky_index, warm_up
from tests.archive.sky_rows import NOW, random_sky, write_sky

ALL_OF_1 = Viewer(1, "mine")
PUBLIC = Viewer(None, "public")
LATER = NOW + timedelta(days=10_000)


@pytest.fixture
def full(archive: Archive) -> Archive:
    write_sky(archive, random_sky(200, seed=5, n_observers=2))
    with archive.writing() as session:
        session.add(Observer(id=9, name="nobody yet", created_utc=NOW))
    return archive


def ids(archive: Archive, viewer: Viewer, **asked: Any) -> list[int]:
    with archive.reading() as session:
        page = search_stacks(
            session, StackQuery(**asked), viewer, limit=10_000, order="id", now=NOW
        )
        assert (page.total, page.n_bytes) == count_stacks(
            session, StackQuery(**asked), viewer, now=NOW
        )
    assert page.total == len(page.rows)
    return [row.id for row in page.rows]


def seen_in_rows(archive: Archive, viewer: Viewer) -> list[int]:
    """What the rows themselves say."""
    with archive.reading() as session:
        rows = session.scalars(select(StackRow).order_by(StackRow.id)).all()
    own = [row.id for row in rows if row.observer_id == viewer.observer_id]
    public = [row.id for row in rows if row.public_utc is not None and row.public_utc <= NOW]
    return {"mine": own, "public": public, "all": sorted({*own, *public})}[viewer.scope]


VIEWERS = [Viewer(n, scope) for n in (None, 1, 2, 9) for scope in ("mine", "public", "all")]  # type: ignore[arg-type]

CHANGES: dict[str, Callable[[Any], Any]] = {
    "one goes": lambda s: s.execute(delete(StackRow).where(StackRow.id == 7)),
    "the last goes": lambda s: s.execute(delete(StackRow).where(StackRow.id == 200)),
    "all of one observer go": lambda s: s.execute(
        delete(StackRow).where(StackRow.observer_id == 1)
    ),
    "all go": lambda s: s.execute(delete(StackRow)),
    "one observer hides": lambda s: s.execute(
        update(StackRow).where(StackRow.observer_id == 2).values(public_utc=None)
    ),
    "one observer shows": lambda s: s.execute(
        update(StackRow).where(StackRow.observer_id == 2).values(public_utc=StackRow.start_utc)
    ),
    "one changes hands": lambda s: s.execute(
        update(StackRow).where(StackRow.id == 3).values(observer_id=9)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_index_follows_every_change(full: Archive, change: str) -> None:
    before = [ids(full, viewer) for viewer in VIEWERS]
    assert before == [seen_in_rows(full, viewer) for viewer in VIEWERS]
    # Another process: another engine, so that nothing but the database tells of it.
    with closing(Archive(full.url)) as other, other.writing() as session:
        CHANGES[change](session)
    after = [ids(full, viewer) for viewer in VIEWERS]
    assert after == [seen_in_rows(full, viewer) for viewer in VIEWERS]
    assert after != before


def test_what_is_rolled_back_was_never_there(full: Archive) -> None:
    before = ids(full, PUBLIC)
    with full.reading() as session:
        session.execute(delete(StackRow))
        session.rollback()
    assert ids(full, PUBLIC) == before


def test_what_becomes_public_with_time_is_seen(full: Archive) -> None:
    with full.reading() as session:
        now = search_stacks(session, StackQuery(), PUBLIC, now=NOW).total
        later = search_stacks(session, StackQuery(), PUBLIC, now=LATER).total
        ever = session.query(StackRow).filter(StackRow.public_utc.is_not(None)).count()
    assert now < later == ever


def test_a_row_that_the_index_does_not_know_to_be_hidden_is_not_handed_out(full: Archive) -> None:
    """Should the index lag, the rows are asked again in SQL."""
    shown = ids(full, PUBLIC)
    with full.writing() as session:
        session.execute(update(StackRow).values(public_utc=None))
        session.execute(delete(StackChange).where(StackChange.id > 200))
    with full.reading() as session:
        page = search_stacks(session, StackQuery(), PUBLIC, now=NOW)
    assert shown
    assert page.rows == []


def test_changes_that_were_pruned_are_not_missed(full: Archive) -> None:
    before = ids(full, ALL_OF_1)
    with full.writing() as session:
        session.execute(delete(StackRow).where(StackRow.id.in_(before[:5])))
        session.execute(update(StackRow).where(StackRow.id == before[7]).values(n_stars=1))
    assert prune_changes(full, keep=1) > 200
    with full.reading() as session:
        assert session.query(StackChange).count() == 1
    assert ids(full, ALL_OF_1) == before[5:]


def test_numbers_of_changes_follow_the_order_of_commits(full: Archive) -> None:
    """Of two writers at once the second waits, so no number appears below one that was read."""
    if full.is_sqlite:
        pytest.skip("one writer at a time")
    ids(full, ALL_OF_1)
    first_in = threading.Event()
    release = threading.Event()

    def slow() -> None:
        with full.writing() as session:
            session.execute(delete(StackRow).where(StackRow.id == 1))
            first_in.set()
            release.wait(30)

    def quick() -> None:
        with full.writing() as session:
            session.execute(delete(StackRow).where(StackRow.id == 2))

    one, two = threading.Thread(target=slow), threading.Thread(target=quick)
    one.start()
    assert first_in.wait(30)
    two.start()
    two.join(0.3)
    assert two.is_alive()
    assert {1, 2} <= {*ids(full, Viewer(1, "mine")), *ids(full, Viewer(2, "mine"))}
    release.set()
    one.join()
    two.join()
    assert not {1, 2} & {*ids(full, Viewer(1, "mine")), *ids(full, Viewer(2, "mine"))}


def test_searches_while_stacks_go_see_whole_states(full: Archive) -> None:
    totals: set[tuple[int, int]] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            with full.reading() as session:
                totals.add(count_stacks(session, StackQuery(), ALL_OF_1, now=NOW))

    sizes = {}
    with full.reading() as session:
        for row in session.scalars(select(StackRow).where(StackRow.observer_id == 1)):
            sizes[row.id] = row.n_bytes
    possible = {(len(sizes), sum(sizes.values()))}
    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in list(sizes)[:20]:
        with full.writing() as session:
            session.execute(delete(StackRow).where(StackRow.id == number))
        del sizes[number]
        possible.add((len(sizes), sum(sizes.values())))
    stop.set()
    for thread in threads:
        thread.join()
    assert totals <= possible


def test_many_deletions_free_their_room(archive: Archive) -> None:
    write_sky(archive, random_sky(3000, seed=6, n_observers=2))
    ids(archive, ALL_OF_1)
    with archive.writing() as session:
        session.execute(delete(StackRow).where(StackRow.id > 1000))
    assert ids(archive, ALL_OF_1) == seen_in_rows(archive, ALL_OF_1)
    with archive.reading() as session, sky_index(session).looking() as columns:
        assert len(columns) == 1000


def test_a_million_stacks_take_less_than_100_mb(full: Archive) -> None:
    with full.reading() as session, sky_index(session).looking() as columns:
        assert columns.n_bytes / len(columns) * 1e6 < 100e6


def test_pages_go_on_where_the_last_one_ended_also_if_it_is_gone(full: Archive) -> None:
    with full.reading() as session:
        whole = search_stacks(session, StackQuery(), ALL_OF_1, now=NOW)
        first = search_stacks(session, StackQuery(), ALL_OF_1, limit=5, now=NOW)
    assert first.next_after == whole.rows[4].id
    with full.writing() as session:
        session.execute(delete(StackRow).where(StackRow.id == first.next_after))
    with full.reading() as session:
        second = search_stacks(
            session, StackQuery(), ALL_OF_1, limit=5, after=first.next_after, now=NOW
        )
    assert [row.id for row in second.rows] == [row.id for row in whole.rows[5:10]]


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"limit": 0}, "0: a page has 1 to 10000 stacks"),
        ({"limit": 10_001}, "10001: a page has 1 to 10000 stacks"),
        ({"after": 10**30}, "the stack to go on after is gone: begin anew"),
        ({"after": -1}, "the stack to go on after is gone: begin anew"),
    ],
)
def test_questions_without_a_meaning_are_refused(
    full: Archive, asked: dict[str, int], rule: str
) -> None:
    with full.reading() as session, pytest.raises(BadQuery, match=rule):
        search_stacks(session, StackQuery(), ALL_OF_1, **asked)  # type: ignore[arg-type]


def test_absurd_numbers_find_nothing(full: Archive) -> None:
    assert ids(full, ALL_OF_1, ids=[-1, 0, 10**30]) == []
    assert ids(full, ALL_OF_1, ids=[]) == []
    assert ids(full, ALL_OF_1, tile=10**30) == []
    assert ids(full, ALL_OF_1, target="'; DROP TABLE stacks") == []
    assert ids(full, ALL_OF_1, from_utc=LATER, to_utc=NOW) == []


def test_a_tile_is_found_and_a_window_is_half_open(full: Archive) -> None:
    with full.reading() as session:
        row = session.scalars(
            select(StackRow).where(StackRow.observer_id == 1, StackRow.tile.is_not(None))
        ).first()
    assert row is not None
    assert row.id in ids(full, ALL_OF_1, tile=row.tile)
    second = timedelta(seconds=1)
    assert row.id in ids(full, ALL_OF_1, from_utc=row.start_utc, to_utc=row.start_utc + second)
    assert row.id not in ids(full, ALL_OF_1, from_utc=row.start_utc - second, to_utc=row.start_utc)


def test_the_whole_sky_is_the_whole_sky(full: Archive) -> None:
    placed = ids(full, ALL_OF_1, region=Rectangle(0, 360, -90, 90))
    assert placed == ids(full, ALL_OF_1, region=Cone(33.0, -12.0, 180.0))
    everything = ids(full, ALL_OF_1)
    assert 0 < len(everything) - len(placed) < 10  # the rest has no position


@pytest.mark.parametrize("order", [-1, 10])
def test_there_are_no_such_orders(full: Archive, order: int) -> None:
    with full.reading() as session, pytest.raises(BadQuery, match=f"{order}: orders are 0 to 9"):
        density(session, StackQuery(), PUBLIC, order=order)


def test_density_of_an_empty_archive(archive: Archive) -> None:
    with archive.reading() as session:
        cells, counts = density(session, StackQuery(), PUBLIC, order=3)
    assert cells.dtype == counts.dtype == np.int64
    assert len(cells) == len(counts) == 0


@pytest.fixture
def slow_load(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The index is loaded by a thread of its own, which waits to be let on."""
    go_on = threading.Event()
    load = sky_index_module.load_all

    def waiting(connection: Any) -> SkyColumns:
        assert go_on.wait(30)
        return load(connection)

    monkeypatch.setattr(sky_index_module, "load_all", waiting)
    monkeypatch.setattr(sky_index_module, "_LOAD_INLINE", 0)
    yield go_on
    go_on.set()


def loader_ends() -> None:
    for thread in threading.enumerate():
        if thread.name == "sky-index":
            thread.join(30)
            assert not thread.is_alive()


def test_the_first_search_does_not_wait_for_the_index(
    full: Archive, slow_load: threading.Event
) -> None:
    asked = {"region": Cone(10, 20, 30)}
    expected = None
    for loaded in (False, False, True):
        if loaded:
            slow_load.set()
            loader_ends()
        with full.reading() as session:
            assert index_of(session).is_ready(session) is loaded
        found = ids(full, ALL_OF_1, **asked)
        assert found
        assert expected in (None, found)
        expected = found


def test_what_only_the_index_can_tell_waits_for_it(
    full: Archive, slow_load: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = seen_in_rows(full, ALL_OF_1)
    monkeypatch.setattr("crowdsky.archive.search.MAX_CANDIDATES", 20)
    threading.Timer(0.1, slow_load.set).start()
    assert ids(full, ALL_OF_1) == expected
    loader_ends()


def test_an_index_far_behind_is_loaded_anew_and_not_waited_for(
    full: Archive, slow_load: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_load.set()
    ids(full, ALL_OF_1)
    loader_ends()
    slow_load.clear()
    monkeypatch.setattr(sky_index_module, "_MAX_CHANGES", 10)
    with full.writing() as session:
        session.execute(update(StackRow).values(public_utc=None))
    assert ids(full, PUBLIC) == []
    with full.reading() as session:
        assert not index_of(session).is_ready(session)
    slow_load.set()
    loader_ends()
    assert ids(full, PUBLIC) == []


def test_a_load_that_fails_is_tried_again(
    full: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load = sky_index_module.load_all

    def fail(connection: Any) -> SkyColumns:
        raise OperationalError("SELECT", {}, Exception("gone away"))

    monkeypatch.setattr(sky_index_module, "load_all", fail)
    monkeypatch.setattr(sky_index_module, "_LOAD_INLINE", 0)
    found = ids(full, ALL_OF_1)
    assert found == seen_in_rows(full, ALL_OF_1)
    warm_up(full)
    loader_ends()
    assert "the index of the sky is loaded later" in caplog.text
    monkeypatch.setattr(sky_index_module, "load_all", load)
    warm_up(full)
    with full.reading() as session:
        assert index_of(session).is_ready(session)
    assert ids(full, ALL_OF_1) == found


def test_a_page_after_a_stack_that_is_not_selected(full: Archive) -> None:
    """The index and the database's own ways go on from the same place."""
    with full.reading() as session:
        theirs = session.scalars(
            select(StackRow.id).where(StackRow.observer_id == 2).order_by(StackRow.start_utc)
        ).all()[40]
        one, other = (
            search_stacks(session, StackQuery(), ALL_OF_1, after=theirs, now=NOW, by=by)
            for by in ("index", "sql")
        )
        whole = search_stacks(session, StackQuery(), ALL_OF_1, now=NOW)
    assert one == other
    assert 0 < len(one.rows) < len(whole.rows)
    assert one.rows == whole.rows[-len(one.rows) :]


def test_rows_of_a_page_are_what_the_table_holds(full: Archive) -> None:
    with full.reading() as session:
        page = search_stacks(session, StackQuery(), ALL_OF_1, now=NOW)
        objects = {row.id: row for row in session.scalars(select(StackRow))}
    for row in page.rows:
        for name, value in row._mapping.items():
            assert getattr(objects[row.id], name) == value
    assert {"block_id", "sha256", "corners", "public_utc"} <= set(page.rows[0]._mapping)


@pytest.mark.parametrize("path", ["cell_start_utc", "observer_id_cell_start_utc", "start_utc"])
def test_the_database_is_asked_by_an_index(full: Archive, path: str) -> None:
    """A field, a field of one's own, a night: none walks through the table (SQLite tells how)."""
    if not full.is_sqlite:
        pytest.skip("PostgreSQL chooses by its statistics")
    query, viewer = {
        "cell_start_utc": (StackQuery(region=Cone(10, 20, 3)), PUBLIC),
        "observer_id_cell_start_utc": (StackQuery(region=Cone(10, 20, 3)), ALL_OF_1),
        "start_utc": (StackQuery(from_utc=NOW - timedelta(days=3), to_utc=NOW), PUBLIC),
    }[path]
    asked: list[str] = []
    with full.reading() as session:
        driver = session.connection().connection.driver_connection
        assert driver is not None
        driver.set_trace_callback(asked.append)
        search_stacks(session, query, viewer, now=NOW, by="sql")
        driver.set_trace_callback(None)
        statement = next(text for text in asked if text.startswith("SELECT id, observer_id"))
        plan = driver.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    assert f"stacks USING INDEX ix_stacks_{path} (" in str(plan)
    assert "SCAN stacks" not in str(plan)
