"""Downloads while things change: keys revoked, stacks deleted, listeners gone, files lost."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest
from sqlalchemy import select

from crowdsky.api import files_send
from crowdsky.archive.models import Download
from crowdsky.archive.sweep import sweep
from tests.api.conftest import (
    Running,
    opened,
    service,
    serving,
    settings,
    sqlite_service,
    sqlite_settings,
    wait_until,
)
from tests.api.product_rows import make_stack

__all__ = ["service", "settings", "sqlite_service", "sqlite_settings", "wait_until"]

pytestmark = [pytest.mark.enable_socket]

MB = 1_000_000


def slowly(running: Running, url: str, key: str, first: int) -> tuple[socket.socket, bytes]:
    """Ask for a file, take its first bytes, and then take no more."""
    address = httpx.URL(running.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(30)
    connection.connect((address.host, address.port))
    connection.sendall(
        f"GET {url} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    )
    got = b""
    while len(got) < first:
        got += connection.recv(65536)
    return connection, got


def rest(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def test_a_key_revoked_on_the_way(sqlite_service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_send, "ASK_AGAIN_S", 0.0)
    made = make_stack(sqlite_service.context, "ann", bytes(40 * MB))
    client = sqlite_service.client_for("ann")
    key = client.post("/api/v1/keys", json={"name": "soon gone"}).json()
    urls = [
        f"/api/v1/stacks/{made.id}/file",
        client.post("/api/v1/downloads", json={}).json()["url"],
    ]
    under_way = [slowly(sqlite_service, url, key["key"], 100_000) for url in urls]
    assert client.delete(f"/api/v1/keys/{key['id']}").status_code == 204
    for connection, got in under_way:
        with closing(connection):
            assert len(got) + len(rest(connection)) < 20 * MB
    again = sqlite_service.client({"Authorization": f"Bearer {key['key']}"})
    for url in urls:
        assert again.get(url).status_code == 401
        assert client.get(url).status_code == 200


def test_deleted_while_it_is_sent(service: Running) -> None:
    """The stack, then the download, then the account: the transfer ends as it began, or is cut."""
    data = bytes(range(256)) * 100_000
    made = make_stack(service.context, "ann", data)
    client = service.client_for("ann")
    key = client.headers["authorization"].removeprefix("Bearer ")
    download = client.post("/api/v1/downloads", json={}).json()
    connection, got = slowly(service, download["url"], key, 100_000)
    with closing(connection):
        assert client.delete(f"/api/v1/stacks/{made.id}").status_code == 204
        assert client.delete(f"/api/v1/downloads/{download['id']}").status_code == 204
        # Its file is needed no more, and goes, but whoever has begun to read it has it.
        sweep(service.context.archive, service.context.store, keep_raws_days=0, grace_s=0)
        head, _, body = (got + _until(connection, download["n_bytes"])).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == download["n_bytes"]
    assert data in body
    assert service.context.store.size(made.sha256) is None
    assert client.get(download["url"]).status_code == 404


def _until(connection: socket.socket, n_bytes: int) -> bytes:
    got = b""
    connection.settimeout(2)
    try:
        while len(got) < n_bytes + 1000 and (part := connection.recv(1 << 20)):
            got += part
    except TimeoutError:
        pass
    return got


def test_the_sweeper_leaves_what_a_download_holds(service: Running) -> None:
    here = service.context
    made = make_stack(here, "ann")
    client = service.client_for("ann")
    download = client.post("/api/v1/downloads", json={}).json()
    assert client.delete(f"/api/v1/stacks/{made.id}").status_code == 204
    sweep(here.archive, here.store, keep_raws_days=0, grace_s=0)
    answer = client.get(download["url"])
    assert len(answer.content) == download["n_bytes"]
    with here.archive.writing() as session:
        row = session.get_one(Download, download["id"])
        row.expires_utc = row.created_utc
    assert client.get(download["url"]).status_code == 404
    sweep(here.archive, here.store, keep_raws_days=0, grace_s=0)
    assert here.store.size(made.sha256) is None
    make_stack(here, "ann")
    client.post("/api/v1/downloads", json={})
    with here.archive.reading() as session:
        assert download["id"] not in session.scalars(select(Download.id)).all()


def test_whoever_hangs_up_is_not_read_for(
    sqlite_service: Running, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_stack(sqlite_service.context, "ann", bytes(60 * MB))
    client = sqlite_service.client_for("ann")
    key = client.headers["authorization"].removeprefix("Bearer ")
    read: list[int] = []
    closed = threading.Event()
    store = sqlite_service.context.store
    plain = type(store).read

    def counted(self: object, *asked: object) -> Iterator[bytes]:
        try:
            for piece in plain(self, *asked):  # type: ignore[arg-type]
                read.append(len(piece))
                yield piece
        finally:
            closed.set()

    monkeypatch.setattr(type(store), "read", counted)
    connection, _ = slowly(sqlite_service, f"/api/v1/stacks/{made.id}/file", key, 100_000)
    connection.close()
    wait_until(closed.is_set, "the file is closed")
    assert sum(read) < 20 * MB


def test_a_listener_that_waits_costs_two_pieces(
    sqlite_service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_stack(sqlite_service.context, "ann", bytes(60 * MB))
    client = sqlite_service.client_for("ann")
    key = client.headers["authorization"].removeprefix("Bearer ")
    read: list[int] = []
    plain = files_send._batch

    def counted(pieces: Iterator[bytes]) -> list[bytes]:
        batch = plain(pieces)
        read.append(sum(map(len, batch)))
        return batch

    monkeypatch.setattr(files_send, "_batch", counted)
    url = f"/api/v1/stacks/{made.id}/file"
    waiting = [slowly(sqlite_service, url, key, 100_000)[0] for _ in range(4)]
    before = -1
    while before != sum(read):  # until nothing moves any more
        before = sum(read)
        time.sleep(0.3)
    # Two batches of 1 MiB each, and what the sockets hold.
    assert sum(read) < 4 * 12 * MB
    # And they keep nobody waiting.
    assert len(client.get(url).content) == 60 * MB
    for connection in waiting:
        connection.close()


@pytest.mark.slow
def test_10_000_stacks(sqlite_settings: object) -> None:
    """One file behind all of them: what counts is the archive, not the bytes."""
    import io
    import zipfile

    from sqlalchemy import insert

    from crowdsky.archive.models import BlockRow, StackRow

    with opened(sqlite_settings) as here, serving(here) as running:  # type: ignore[arg-type]
        made = make_stack(here, "ann", b"SIMPLE  =" + bytes(300))
        with here.archive.writing() as session:
            stack = session.get_one(StackRow, made.id)
            block = session.get_one(BlockRow, stack.block_id)
            columns = {c.name: getattr(stack, c.name) for c in StackRow.__table__.columns}
            kept = {c.name: getattr(block, c.name) for c in BlockRow.__table__.columns}
            numbers = range(10_000, 19_999)
            session.execute(
                insert(BlockRow), [kept | {"id": n, "key": f"{n:064d}"} for n in numbers]
            )
            session.execute(insert(StackRow), [columns | {"id": n, "block_id": n} for n in numbers])
        client = running.client_for("ann")
        download = client.post("/api/v1/downloads", json={}).json()
        assert (download["n_stacks"], download["n_missing"]) == (10_000, 0)
        data = client.get(download["url"]).content
        assert len(data) == download["n_bytes"]
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert len(archive.namelist()) == 10_003
            assert archive.testzip() is None
        with ThreadPoolExecutor(4) as pool:  # resumed near its end, by four at once
            ask = {"Range": "bytes=-100"}
            parts = list(pool.map(lambda _: client.get(download["url"], headers=ask), range(4)))
        assert {part.content for part in parts} == {data[-100:]}
        with here.archive.writing() as session:
            session.execute(insert(BlockRow), [kept | {"id": 20_000, "key": f"{20_000:064d}"}])
            session.execute(insert(StackRow), [columns | {"id": 20_000, "block_id": 20_000}])
        refused = client.post("/api/v1/downloads", json={})
        assert refused.status_code == 413
        assert (refused.json()["limit"], refused.json()["error"]) == (10_000, "LimitExceeded")
