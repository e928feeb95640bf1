"""Uploads while the database deadlocks, is being migrated, or has no connection to spare."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.books import books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.ingest import take_frame
from crowdsky.archive.migrate import migrate
from crowdsky.errors import ArchiveUnavailable
from tests.api.conftest import Running, service, settings, sqlite_service, sqlite_settings
from tests.api.product_rows import make_stack
from tests.api.uploads_process import send, upload
from tests.faults.sending import observer, outcome_of, send_file
from tests.frames.fits_files import sub_bytes

__all__ = ["service", "settings", "sqlite_service", "sqlite_settings"]

pytestmark = [pytest.mark.enable_socket]


def only_postgresql(running: Running) -> Archive:
    archive = running.context.archive
    if archive.is_sqlite:
        pytest.skip("SQLite has one writer, who waits for nobody")
    return archive


def test_a_deadlock_is_an_answer_to_come_again(service: Running) -> None:
    """FAULTS 19: the database ends one of two that wait for each other; nothing is half done."""
    archive = only_postgresql(service)
    made = make_stack(service.context, "ann")
    client = service.client_for("ann")
    assert client.get("/api/v1/me").status_code == 200
    answers: list[httpx.Response] = []
    with archive.engine.connect() as connection:
        # The other side looks for a deadlock first, and is the one that is ended.
        connection.execute(text("SET deadlock_timeout = '30s'"))
        connection.execute(text("SELECT id FROM stacks WHERE id = :id FOR UPDATE"), {"id": made.id})
        ask = threading.Thread(
            target=lambda: answers.append(client.patch("/api/v1/me", json={"credit": "Ann O."}))
        )
        ask.start()
        _until(lambda: _waiting(archive) == 1)
        connection.execute(
            text("SELECT id FROM observers WHERE id = :id FOR UPDATE"), {"id": made.observer_id}
        )
        connection.rollback()
        ask.join(30)
    (refused,) = answers
    assert refused.status_code == 503
    assert refused.json()["error"] == "ArchiveUnavailable"
    assert refused.headers["retry-after"] == "5"
    assert client.get("/api/v1/me").json()["credit"] != "Ann O."
    assert client.patch("/api/v1/me", json={"credit": "Ann O."}).status_code == 200
    assert client.get("/api/v1/me").json()["credit"] == "Ann O."


def test_a_migration_during_uploads(service: Running) -> None:
    """FAULTS 19: a table that changes is waited for; no frame and no Finalise is lost.

    PostgreSQL may end a transaction that waits for the migration while the migration waits for it.
    Then a client is told to come again, or, after the last byte, has to do nothing.
    """
    archive, n = service.context.archive, 12
    object.__setattr__(service.context.settings, "retry_after_s", 0.5)
    client = observer(service, "ann")
    assert outcome_of(upload(client, sub_bytes(OBJECT="before"), "0.fit"))[0] == "accepted"
    outcomes: list[str] = []
    begun = threading.Event()

    def send_all(number: int) -> None:
        with httpx.Client(
            base_url=service.url, headers=client.headers, timeout=60.0, trust_env=False
        ) as own:
            for part in range(n // 3):
                content = sub_bytes(OBJECT=f"during {number} {part}")
                outcomes.append(_patiently_sent(own, content))
                begun.set()

    senders = [threading.Thread(target=send_all, args=(number,)) for number in range(3)]
    for one in senders:
        one.start()
    assert begun.wait(30)
    other = create_engine(archive.engine.url)
    with other.connect() as connection:
        if not archive.is_sqlite:
            # The other side looks for a deadlock first, and is the one that is ended.
            connection.execute(text("SET deadlock_timeout = '30s'"))
        for table in ("uploads", "frames", "objects", "upload_items"):
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN of_tomorrow INTEGER"))
        time.sleep(0.3)  # a copy of a large table
        connection.commit()
    other.dispose()
    migrate(archive.url)  # as each part of the platform does when it starts
    for one in senders:
        one.join(60)
    assert len(outcomes) == n
    assert set(outcomes) <= {"accepted", "received"}
    _until(lambda: books(archive, None).pending == n + 1)
    assert client.post("/api/v1/finalise").json()["n_frames"] == n + 1
    assert check_books(archive) == []


def test_no_connection_to_spare_is_the_databases_fault(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a database waits for a free connection as well."""

    def none_left(*_: Any, **__: Any) -> None:
        raise PoolTimeout("QueuePool limit of size 10 overflow 10 reached")

    monkeypatch.setattr(archive.engine, "connect", none_left)
    for way in (archive.reading, archive.writing):
        with (
            pytest.raises(ArchiveUnavailable, match=r"^every connection is in use \(QueuePool"),
            way(),
        ):
            pass
    monkeypatch.undo()
    assert ensure_observer(archive, "ann")


def test_an_upload_that_finds_no_connection_is_taken_later(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 19: what was received is not forgotten; it is looked at again without hands."""
    from crowdsky.api import intake

    monkeypatch.setattr(intake, "take_frame", _fails_once(take_frame))
    client = observer(service, "ann")
    object.__setattr__(service.context.settings, "retry_after_s", 0.5)
    state = send_file(client, sub_bytes(OBJECT="later"), "later.fit")
    assert state["state"] == "accepted"
    assert client.get("/api/v1/books").json()["pending"] == 1


def test_a_database_without_room_loses_nothing(sqlite_service: Running) -> None:
    """FAULTS 18: it is said to wait; what was accepted stays, and then all goes on by itself."""
    archive = sqlite_service.context.archive
    client = observer(sqlite_service, "ann")
    object.__setattr__(sqlite_service.context.settings, "retry_after_s", 0.5)
    contents = [sub_bytes(OBJECT=f"room {number}") for number in range(200)]
    assert outcome_of(upload(client, contents[0]))[0] == "accepted"

    def no_room(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # it keeps what it has

    event.listen(archive.engine, "connect", no_room)
    archive.engine.dispose()
    accepted, refused = 1, None
    for content in contents[1:]:
        answer = client.post("/api/v1/uploads", headers={"Upload-Length": str(len(content))})
        if answer.status_code != 201:
            refused = answer
            break
        path = answer.headers["Location"]
        answer = client.patch(
            path, content=content,
            headers={"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
        )  # fmt: skip
        if answer.headers.get("Upload-Outcome") != "accepted":
            refused = answer
            break
        accepted += 1
    assert refused is not None
    # Before the last byte it is told to come again; after it nobody has to do anything.
    waits = refused.headers.get("Upload-Outcome") == "received"
    told = (refused.status_code, refused.headers.get("retry-after"))
    assert told == ((204, None) if waits else (503, "5"))
    assert client.get("/api/v1/books").json()["accepted"] == accepted
    event.remove(archive.engine, "connect", no_room)
    archive.engine.dispose()
    assert outcome_of(upload(client, contents[-1]))[0] == "accepted"
    accepted += 2 if waits else 1
    _until(lambda: client.get("/api/v1/books").json()["accepted"] == accepted)
    assert check_books(archive) == []


def _patiently_sent(client: httpx.Client, content: bytes) -> str:
    """What came of a file that is sent as tus clients do: at 503 they ask where to go on."""

    def asked(ask: Callable[[], httpx.Response]) -> httpx.Response:
        end = time.monotonic() + 30.0
        while (answer := ask()).status_code == 503:
            assert time.monotonic() < end
            time.sleep(0.1)
        return answer

    length = str(len(content))
    created = asked(lambda: client.post("/api/v1/uploads", headers={"Upload-Length": length}))
    assert created.status_code == 201
    path = created.headers["Location"]

    def go_on() -> httpx.Response:
        offset = int(asked(lambda: client.head(path)).headers["Upload-Offset"])
        return send(client, path, offset, content[offset:])

    return outcome_of(asked(go_on))[0]


def _fails_once(whole: Callable[..., Any]) -> Callable[..., Any]:
    """As it is, but the first time there is no connection for it."""
    tries = [0]

    def take(archive: Archive, *args: Any, **options: Any) -> Any:
        tries[0] += 1
        if tries[0] > 1:
            return whole(archive, *args, **options)
        connect = archive.engine.connect

        def none_left(*_: Any, **__: Any) -> None:
            raise PoolTimeout("QueuePool limit of size 10 overflow 10 reached")

        archive.engine.connect = none_left  # type: ignore[assignment, method-assign]
        try:
            return whole(archive, *args, **options)
        finally:
            archive.engine.connect = connect  # type: ignore[method-assign]

    return take


def _waiting(archive: Archive) -> int:
    with archive.reading() as session:
        return int(
            session.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
            )
            or 0
        )


def _until(done: Callable[[], bool], within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)
