"""Sending files: what is known is not sent, what broke off goes on, and nothing is sent twice."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from crowdsky.client import Client
from crowdsky.errors import NotAuthenticated, NotPermitted, ServiceUnreachable
from tests.api.uploads_process import Nursery, Service, nursery, wait_until
from tests.client.nights import make_night
from tests.frames.fits_files import sub_bytes, write_sub

pytestmark = [pytest.mark.enable_socket]

QUICK = {"CROWDSKY_REQUESTS_PER_MINUTE": "100000"}


@pytest.fixture(scope="module")
def parent() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(parent: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """One service for the tests that do not hurt it."""
    return parent.start(tmp_path_factory.mktemp("shared"), settings=QUICK)


def client_of(service: Service, name: str = "alice", patience_s: float = 30.0) -> Client:
    return Client(service.address, service.keys[name], patience_s=patience_s)


def outcomes(report: object) -> list[str]:
    return [file.outcome for file in report.files]  # type: ignore[attr-defined]


def test_a_night_is_sent_and_a_second_push_sends_nothing(shared: Service, tmp_path: Path) -> None:
    frames = make_night(tmp_path / "night", 12, word="first")
    (tmp_path / "night" / "Light_thn.jpg").write_bytes(b"\xff\xd8")
    seen: list[tuple[int, int, str]] = []
    with client_of(shared) as client:
        report = client.push(tmp_path / "night", on_progress=lambda *words: seen.append(words))
        assert outcomes(report) == ["accepted"] * 12
        assert [file.file for file in report.files] == frames
        assert report.complete
        total = sum(path.stat().st_size for path in frames)
        assert report.n_bytes == report.n_bytes_sent == total
        assert [(item.file.name, item.reason) for item in report.skipped] == [
            ("Light_thn.jpg", "picture or thumbnail")
        ]
        done = [words[0] for words in seen]
        assert done == sorted(done)
        assert seen[-1][:2] == (total, total)
        again = client.push([tmp_path / "night"])
        assert outcomes(again) == ["there"] * 12
        assert again.n_bytes_sent == 0
        # What one observer sent says nothing about what another one has.
        with client_of(shared, "bob") as bob:
            assert outcomes(bob.push(frames[0])) == ["accepted"]


def test_the_same_bytes_twice_in_one_push_are_sent_once(shared: Service, tmp_path: Path) -> None:
    (first,) = make_night(tmp_path / "a", 1, word="twin")
    second = tmp_path / "b" / "renamed.fit"
    second.parent.mkdir()
    second.write_bytes(first.read_bytes())
    with client_of(shared) as client:
        report = client.push(tmp_path)
        assert [(file.outcome, file.reason) for file in report.files] == [
            ("accepted", ""),
            ("there", "the same bytes as Light_twin000.fit"),
        ]
        assert report.n_bytes_sent == first.stat().st_size


def test_equal_names_of_different_frames_are_both_taken(shared: Service, tmp_path: Path) -> None:
    for telescope in ("one", "two"):
        write_sub(tmp_path / telescope / "Light_0001.fit", OBJECT=f"names {telescope}")
    with client_of(shared) as client:
        assert outcomes(client.push(tmp_path)) == ["accepted", "accepted"]


def test_a_bad_file_is_refused_with_its_reason_and_stops_no_other(
    shared: Service, tmp_path: Path
) -> None:
    make_night(tmp_path, 2, word="good")
    (tmp_path / "a_page.fits").write_text("<html>", encoding="utf-8")
    (tmp_path / "an_empty.fit").touch()
    with client_of(shared) as client:
        report = client.push(tmp_path)
    assert outcomes(report) == ["accepted", "accepted", "refused", "refused"]
    assert not report.complete
    page = report.files[2]
    assert page.file.name == "a_page.fits"
    assert "FITS" in page.reason
    assert report.counts == {"accepted": 2, "refused": 2}


def test_archives_are_sent_as_they_are_and_tell_of_their_files(
    shared: Service, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "night.zip", "w") as archive:
        archive.writestr("a.fit", sub_bytes(OBJECT="zipped a"))
        archive.writestr("notes.txt", "clear sky")
        archive.writestr("b.fit", "no frame at all")
    (tmp_path / "c.fit.gz").write_bytes(gzip.compress(sub_bytes(OBJECT="gzipped c")))
    with client_of(shared) as client:
        report = client.push(tmp_path)
    packed, night = report.files
    assert (packed.outcome, night.outcome) == ("accepted", "accepted")
    told = {item.name: item.outcome for item in night.items}
    assert told["a.fit"] == "accepted"
    assert told["b.fit"] == "refused"
    assert [item.outcome for item in packed.items] == ["accepted"]


def test_a_file_that_cannot_be_read_fails_alone(shared: Service, tmp_path: Path) -> None:
    (good,) = make_night(tmp_path, 1, word="readable")
    (tmp_path / "broken.fit").symlink_to(tmp_path / "nowhere")
    with client_of(shared) as client:
        report = client.push(tmp_path)
    assert [file.file for file in report.files] == [good]
    assert [item.reason for item in report.skipped] == [
        "cannot be read (No such file or directory)"
    ]


def test_wrong_and_weak_keys_are_told_at_once(shared: Service, tmp_path: Path) -> None:
    make_night(tmp_path, 3, word="key")
    with (
        Client(shared.address, "csk_" + "x" * 43, patience_s=30.0) as client,
        pytest.raises(NotAuthenticated),
    ):
        client.push(tmp_path)
    with client_of(shared, "reader") as client, pytest.raises(NotPermitted, match="write"):
        client.push(tmp_path)


def test_no_service_is_told_after_the_patience_is_spent(tmp_path: Path) -> None:
    from crowdsky.supervise.ports import free_port

    make_night(tmp_path, 1)
    waits: list[float] = []
    address = f"http://127.0.0.1:{free_port()}"
    with (
        Client(address, "key", patience_s=1.5, on_wait=lambda _, s: waits.append(s)) as client,
        pytest.raises(ServiceUnreachable) as error,
    ):
        client.push(tmp_path)
    assert str(error.value).startswith(f"{address}: the service does not answer (")
    assert waits == []  # shorter ones than a second are not worth a word


class Killer(threading.Thread):
    """Kills a service when a push has come so far, and starts it again on the same port."""

    def __init__(self, parent: Nursery, service: Service, **more: object) -> None:
        super().__init__()
        self.parent, self.service, self.more = parent, service, more
        self.due = threading.Event()
        self.again: Service | None = None

    def run(self) -> None:
        assert self.due.wait(30.0)
        self.service.kill()
        time.sleep(0.3)
        self.again = self.parent.start(self.service.home, port=self.service.port, settings=QUICK)


@pytest.mark.slow
def test_a_push_outlives_a_service_that_is_killed_in_its_middle(
    parent: Nursery, tmp_path: Path
) -> None:
    service = parent.start(tmp_path / "home", settings=QUICK)
    frames = make_night(tmp_path / "night", 30)
    # A frame of some size, so that something is under way when the service dies.
    pixels = np.random.default_rng(1).integers(0, 65535, (1500, 1500), dtype=np.uint16)
    for number in range(4):
        path = tmp_path / "night" / f"Light_large{number}.fit"
        path.write_bytes(sub_bytes(pixels=pixels + np.uint16(number), OBJECT="large"))
        frames.append(path)
    total = sum(path.stat().st_size for path in frames)
    killer = Killer(parent, service)
    killer.start()

    def watch(done: int, _total: int, _name: str) -> None:
        if done > 0.4 * total:
            killer.due.set()

    with client_of(service) as client:
        report = client.push(tmp_path / "night", on_progress=watch)
        killer.join()
        assert sorted(set(outcomes(report))) in (["accepted"], ["accepted", "duplicate"])
        assert report.complete
        # Each request that was under way may have been sent a second time, and nothing else.
        assert report.n_bytes_sent <= total + 4 * frames[-1].stat().st_size
        again = client.push(tmp_path / "night")
        assert outcomes(again) == ["there"] * 34


@pytest.mark.parametrize(
    "step",
    ["upload.opened", "upload.synced", "ingest.stored", "intake.finished"],
)
def test_a_service_that_dies_at_a_step_gets_each_frame_once(
    step: str, parent: Nursery, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    make_night(tmp_path / "night", 3)
    service = parent.start(home, settings=QUICK, kill_at=step, sandbox=False)

    def restart() -> None:
        wait_until(lambda: not service.is_alive() or finished.is_set(), "it does not die")
        if not service.is_alive():
            parent.start(home, port=service.port, settings=QUICK, sandbox=False)

    finished = threading.Event()
    nurse = threading.Thread(target=restart)
    nurse.start()
    try:
        with client_of(service) as client:
            report = client.push(tmp_path / "night", parallel=1)
            assert not service.is_alive()
            assert report.complete
            assert outcomes(client.push(tmp_path / "night")) == ["there"] * 3
    finally:
        finished.set()
        nurse.join()


PUSH = """
import sys
from crowdsky.client import Client
done = 0
def watch(n, total, name):
    if n > 0.5 * total:
        print("half", flush=True)
        sys.stdin.read()
Client(sys.argv[1], sys.argv[2]).push(sys.argv[3], parallel=1, on_progress=watch)
"""


def test_a_push_that_was_killed_is_continued_by_the_next(shared: Service, tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 65535, (2000, 2000), dtype=np.uint16)
    path = tmp_path / "Light_long.fit"
    path.write_bytes(sub_bytes(pixels=pixels, OBJECT="continued"))
    with subprocess.Popen(
        [sys.executable, "-c", PUSH, shared.address, shared.key, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "half\n"
        os.kill(first.pid, signal.SIGKILL)
    with client_of(shared) as client:

        def standing() -> int:
            (open_one,) = client.uploads(state="open")
            assert open_one.name == path.name
            return open_one.offset

        wait_until(lambda: standing() > 0, "nothing of it arrived")
        report = client.push(path)
        assert outcomes(report) == ["accepted"]
        assert report.n_bytes_sent < 0.75 * report.n_bytes
        assert client.uploads(state="open") == []


def test_a_quota_is_told_and_not_waited_for(parent: Nursery, tmp_path: Path) -> None:
    service = parent.start(
        tmp_path / "home", settings=QUICK | {"CROWDSKY_QUOTA_GB": "0.001"}, sandbox=False
    )
    pixels = np.zeros((600, 600), np.uint16)
    for number in range(3):
        (tmp_path / f"{number}.fit").write_bytes(sub_bytes(pixels=pixels + np.uint16(number)))
    with client_of(service) as client:
        report = client.push([tmp_path / f"{number}.fit" for number in range(3)], parallel=1)
    assert outcomes(report) == ["accepted", "failed", "failed"]
    assert "the quota of 0.001 GB has room for" in report.files[1].reason


def test_too_many_requests_are_spread_over_time(parent: Nursery, tmp_path: Path) -> None:
    service = parent.start(
        tmp_path / "home", settings={"CROWDSKY_REQUESTS_PER_MINUTE": "60"}, sandbox=False
    )
    said: list[str] = []
    with Client(
        service.address, service.key, on_wait=lambda reason, _: said.append(reason)
    ) as client:
        for _ in range(62):
            client.uploads()
    assert said
    assert "60" in said[0]
