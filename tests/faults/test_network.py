"""Uploads over a bad network: lines that are cut, answers that are lost, proxies that say 502."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from sqlalchemy import select

from crowdsky.archive.books import books, check_books
from crowdsky.archive.models import FrameRow, Upload
from crowdsky.archive.uploads import expire_uploads
from crowdsky.client import Client, transport, tus
from tests.api.conftest import Running
from tests.api.uploads_process import create, empty, send
from tests.faults.sending import observer, outcome_of, whole_service
from tests.frames.fits_files import sub_bytes

pytestmark = [pytest.mark.enable_socket]

BAD_GATEWAY = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 15\r\n"
    b"Connection: close\r\n\r\n<h1>oh dear</h1>"[:-1]
)
PIECE = 64 * 1024


class Line:
    """A network between a client and the service, connection by connection.

    Parameters
    ----------
    port : int
        Of the service.
    plan : list of str
        What becomes of the connections that carry a file, in turn: ``cut N`` after so many bytes of
        the client's, ``lose N`` carries no more after so many and says nothing, ``502`` answers as
        a proxy does whose service is away, ``deaf`` carries all and cuts before the answer. Then
        and for all others the line is sound.
    """

    def __init__(self, port: int, plan: list[str]) -> None:
        self._to = port
        self.plan = plan
        self.done: list[str] = []
        self.n_bytes = 0
        self.hosts: list[str] = []
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for end in (self._listening, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._ends.append(client)
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        # Every other connection comes from another address, as a telephone's does that changes
        # from one network to the next.
        host = f"127.0.0.{2 + len(self.hosts) % 2}"
        self.hosts.append(host)
        with suppress(OSError):
            service = socket.create_connection(("127.0.0.1", self._to), source_address=(host, 0))
            self._ends.append(service)
            silent = threading.Event()
            back = threading.Thread(target=self._back, args=(service, client, silent), daemon=True)
            back.start()
            self._forth(client, service, silent)

    def _forth(
        self, client: socket.socket, service: socket.socket, silent: threading.Event
    ) -> None:
        deed, left = "", 0
        while piece := client.recv(PIECE):
            if not deed and b"application/offset+octet-stream" in piece:
                with self._lock:
                    deed, _, words = (self.plan.pop(0) if self.plan else "sound").partition(" ")
                    self.done.append(deed)
                left = int(words or 0)
                if deed == "502":
                    client.sendall(BAD_GATEWAY)
                    break
                if deed == "deaf":
                    silent.set()
            if deed in ("cut", "lose"):
                piece, left = piece[:left], left - len(piece[:left])
            service.sendall(piece)
            self.n_bytes += len(piece)
            if deed == "deaf" and piece.endswith(b"\0" * 8):
                break  # the file ends in padding; the answer to all of it is not carried
            if deed in ("cut", "lose") and not left:
                if deed == "lose":  # nobody hears of it
                    silent.set()
                    return
                break
        if deed == "cut":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            service.shutdown(socket.SHUT_WR)
        if deed:
            client.close()

    def _back(self, service: socket.socket, client: socket.socket, silent: threading.Event) -> None:
        with suppress(OSError):
            while piece := service.recv(PIECE):
                if not silent.is_set():
                    client.sendall(piece)
            if not silent.is_set():
                client.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Running]:
    with whole_service(tmp_path_factory.mktemp("network"), sqlite_template) as running:
        yield running


def big_file(folder: Path, word: str) -> tuple[Path, int, str]:
    """A frame of 2 MB; its size and its SHA-256."""
    seed = len(word) + sum(word.encode())
    pixels = np.random.default_rng(seed).integers(0, 65535, (1000, 1000), dtype=np.uint16)
    path = folder / "Light_big.fit"
    path.write_bytes(sub_bytes(pixels=pixels, OBJECT=word))
    return path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()


PLANS = {
    "Wi-Fi that flaps": ["cut 300000", "cut 200000", "cut 500000", "cut 100"],
    "a proxy whose service is away": ["502", "502", "cut 400000", "502"],
    "packets that are lost": ["lose 300000", "lose 1000"],
    "an answer that is lost": ["deaf"],
}


@pytest.mark.parametrize("case", PLANS)
def test_an_upload_outlives_its_network(
    service: Running, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on from its offset: what arrived is not sent again, and one frame results."""
    monkeypatch.setattr(tus, "WHOLE_BYTES", 0)
    # Silence is called a loss after so long; two minutes outside of tests.
    monkeypatch.setattr(transport, "_TIMEOUT", httpx.Timeout(0.6, connect=5.0))
    path, size, sha256 = big_file(tmp_path, case)
    name, plan = f"ann {case}", PLANS[case]
    line = Line(int(service.url.rsplit(":", 1)[1]), list(plan))
    try:
        address = f"http://127.0.0.1:{line.port}"
        with Client(address, service.key_for(name), patience_s=30.0) as client:
            report = client.push(path)
            assert [file.outcome for file in report.files] == ["accepted"]
            (upload,) = client.uploads()
            assert (upload.state, upload.offset, upload.sha256) == ("accepted", size, sha256)
    finally:
        line.close()
    assert line.done[: len(plan)] == [word.split()[0] for word in plan]
    # Once, but for headers and what a broken request had under way.
    assert size <= line.n_bytes < size + len(line.done) * 2 * PIECE
    if "cut" in line.done:
        assert len(set(line.hosts)) == 2
    with service.context.archive.reading() as session:
        frames = session.scalars(select(FrameRow.sha256).where(FrameRow.sha256 == sha256)).all()
        unfinished = session.scalars(select(Upload.id).where(Upload.state != "accepted")).all()
    assert (frames, unfinished) == ([sha256], [])
    assert check_books(service.context.archive) == []
    assert empty(Path(service.context.settings.scratch_dir))
    stored = service.context.store.local_path(sha256)
    assert stored is not None
    assert stored.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("case", PLANS)
def test_a_frame_in_one_request_outlives_its_network(
    service: Running, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows where it stood, so it is sent again; nothing is left of the tries before."""
    monkeypatch.setattr(transport, "_TIMEOUT", httpx.Timeout(0.6, connect=5.0))
    path, size, sha256 = big_file(tmp_path, f"whole {case}")
    plan = PLANS[case]
    line = Line(int(service.url.rsplit(":", 1)[1]), list(plan))
    name = f"bob {case}"
    try:
        with Client(f"http://127.0.0.1:{line.port}", service.key_for(name)) as client:
            report = client.push(path)
            assert [file.outcome for file in report.files] == ["accepted"]
    finally:
        line.close()
    # The service hears of a loss when the line is gone, or gives up after some minutes.
    mine = service.client_for(name)
    end = time.monotonic() + 30.0
    while len(uploads := mine.get("/api/v1/uploads").json()["uploads"]) > 1:
        assert time.monotonic() < end
        time.sleep(0.05)
    (one,) = uploads
    assert (one["state"], one["offset"], one["sha256"]) == ("accepted", size, sha256)
    assert line.done[: len(plan)] == [word.split()[0] for word in plan]
    assert line.n_bytes < size * len(line.done) + len(line.done) * 2 * PIECE
    if case == "an answer that is lost":
        assert line.done == ["deaf"]  # it is asked for, not sent again
    assert check_books(service.context.archive) == []
    assert empty(Path(service.context.settings.scratch_dir))


@pytest.mark.parametrize("hours", [1.0, -48.0], ids=["an hour asleep", "a clock set back"])
def test_an_upload_outlives_sleep_and_clocks(service: Running, hours: float) -> None:
    """A laptop sleeps in the middle, or a clock jumps: the upload waits and goes on."""
    here = service.context
    client = observer(service, f"sleeper {hours}")
    content = sub_bytes(OBJECT=f"asleep {hours}")
    path = create(client, len(content))
    assert send(client, path, 0, content[:3000]).status_code == 204
    later = datetime.now(UTC) + timedelta(hours=hours)
    assert expire_uploads(here.archive, here.settings, now=later) == 0
    assert client.head(path).headers["Upload-Offset"] == "3000"
    assert outcome_of(send(client, path, 3000, content[3000:]))[0] == "accepted"
    assert books(here.archive, None).balances


def test_a_session_that_ends_in_the_middle_pauses_the_upload(service: Running) -> None:
    """FAULTS 23 and regression 9: 401 with a reason, not a broken line; then on from the offset."""
    client = observer(service, "expired")
    content = sub_bytes(OBJECT="expired")
    path = create(client, len(content))
    assert send(client, path, 0, content[:3000]).status_code == 204
    keys = client.get("/api/v1/keys").json()["keys"]
    own = [key for key in keys if key["name"].startswith("test")]
    assert client.delete(f"/api/v1/keys/{own[0]['id']}").status_code == 204
    refused = send(client, path, 3000, content[3000:])
    assert refused.status_code == 401
    assert refused.json()["error"] == "NotAuthenticated"
    again = observer(service, "expired")
    assert again.head(path).headers["Upload-Offset"] == "3000"
    assert outcome_of(send(again, path, 3000, content[3000:]))[0] == "accepted"
