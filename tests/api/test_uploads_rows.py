"""Rows of uploads, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from crowdsky.api.uploads_commits import GroupCommits
from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.engine import Archive
from crowdsky.archive.uploads import (
    ItemFacts,
    commit_offset,
    create_upload,
    expire_uploads,
    find_upload,
    finish_upload,
    list_uploads,
    open_bytes,
    received_uploads,
    remove_upload,
    scratch_path,
    shorten_life,
    upload_items,
)
from crowdsky.errors import ArchiveUnavailable, Conflict, NotFound
from crowdsky.settings import ServerSettings, load_server_settings

NOW = datetime(2026, 3, 27, 1, 20, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
FAR = LATER + timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return load_server_settings({"CROWDSKY_HOME": str(tmp_path)})


def begin(session: Session, observer_id: int, number: int, **changed: object) -> str:
    upload_id = f"{number:032x}"
    facts: dict[str, object] = {
        "name": f"{number}.fit", "length": 100, "sha256": None, "upload_metadata": "",
        "concat": "", "expires_utc": LATER, "now": NOW + timedelta(seconds=number),
    }  # fmt: skip
    create_upload(session, upload_id=upload_id, observer_id=observer_id, **{**facts, **changed})  # type: ignore[arg-type]
    return upload_id


def test_the_life_of_an_upload(archive: Archive) -> None:
    alice, bob = ensure_observer(archive, "alice"), ensure_observer(archive, "bob")
    with archive.writing() as session:
        one = begin(session, alice, 1)
    with archive.writing() as session:
        commit_offset(session, one, before=0, after=40, expires_utc=LATER)
        with pytest.raises(Conflict, match="was ended or continued from elsewhere"):
            commit_offset(session, one, before=0, after=50, expires_utc=LATER)
        commit_offset(session, one, before=40, after=100, expires_utc=LATER, received=True)
    with archive.writing() as session:
        assert received_uploads(session) == [one]
        assert open_bytes(session, alice) == 100
        with pytest.raises(Conflict, match="is being looked at"):
            remove_upload(session, alice, one)
        with pytest.raises(NotFound):
            find_upload(session, bob, one)
        items = [ItemFacts("a.fit", "refused", "why"), ItemFacts("2 files", "skipped", "video")]
        assert finish_upload(session, one, state="refused", reason="why", items=items)
        assert not finish_upload(session, one, state="accepted")
        with pytest.raises(Conflict):
            commit_offset(session, one, before=100, after=100, expires_utc=LATER)
        assert upload_items(session, one) == items
        assert find_upload(session, alice, one).state == "refused"
        assert open_bytes(session, alice) == 0
        with pytest.raises(NotFound):
            remove_upload(session, bob, one)
        remove_upload(session, alice, one)
        assert list_uploads(session, alice) == []


def test_the_database_itself_refuses_an_offset_beyond_the_length(archive: Archive) -> None:
    alice = ensure_observer(archive, "alice")
    with archive.writing() as session:
        one = begin(session, alice, 1)
    with pytest.raises(SQLAlchemyError, match="offset_in_length"), archive.writing() as session:
        commit_offset(session, one, before=0, after=101, expires_utc=LATER)


def test_only_unfinished_uploads_expire(archive: Archive, settings: ServerSettings) -> None:
    alice = ensure_observer(archive, "alice")
    with archive.writing() as session:
        old, young, done, part = (
            begin(session, alice, 1),
            begin(session, alice, 2, expires_utc=FAR),
            begin(session, alice, 3, state="received", offset=100),
            begin(
                session,
                alice,
                4,
                concat="partial",
                offset=100,
                expires_utc=FAR,
            ),
        )
        shorten_life(session, [young, done, part], LATER + timedelta(hours=1))
    for upload_id in (old, young, done, part):
        path = scratch_path(settings, upload_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert expire_uploads(archive, settings, now=LATER) == 0
    assert expire_uploads(archive, settings, now=LATER + timedelta(seconds=1)) == 1
    left = {path.stem for path in scratch_path(settings, old).parent.iterdir()}
    assert left == {young, done, part}
    assert expire_uploads(archive, settings, now=LATER + timedelta(hours=2)) == 2
    with archive.reading() as session:
        assert [one.id for one in list_uploads(session, alice)] == [done]


def test_one_wish_that_fails_spoils_no_other(archive: Archive) -> None:
    alice = ensure_observer(archive, "alice")

    async def all_at_once() -> list[object]:
        commits = GroupCommits(archive)
        try:
            return await asyncio.gather(
                *(
                    commits.write(lambda session, number=number: wish(session, number))
                    for number in range(6)
                ),
                return_exceptions=True,
            )
        finally:
            commits.close()

    def wish(session: Session, number: int) -> str:
        if number == 2:
            raise NotFound("no such thing")
        if number == 4:
            session.execute(text("SELECT nonsense"))
        return begin(session, alice, number)

    results = asyncio.run(all_at_once())
    assert isinstance(results[2], NotFound)
    assert isinstance(results[4], ArchiveUnavailable)
    with archive.reading() as session:
        kept = {one.id for one in list_uploads(session, alice)}
    assert kept == {f"{number:032x}" for number in (0, 1, 3, 5)}
    assert kept == {one for one in results if isinstance(one, str)}
