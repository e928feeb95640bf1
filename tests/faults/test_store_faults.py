"""What a store does when its disk is full, its server lies, or the line breaks."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crowdsky.archive import local_store
from crowdsky.archive.diskspace import enough_space, free_bytes
from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import ObjectRow
from crowdsky.archive.object_store import DavStore
from crowdsky.archive.objects import begin_object, keep_object
from crowdsky.archive.open_store import open_store
from crowdsky.archive.scrub import scrub
from crowdsky.archive.store import FileStore
from crowdsky.errors import ObjectRotten, StoreError, StoreFull
from tests.archive.store_servers import (
    BUCKET,
    PASSWORD,
    USER,
    Answer,
    SpoilingProxy,
    dav_server,
    length_of,
    s3_server,
    settings_for,
    spoiling_proxy,
)

pytestmark = [pytest.mark.enable_socket]

MIB = 1 << 20
_number = itertools.count()

Write = Callable[[int], tuple[Path, str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file of some length, and its SHA-256."""

    def written(n_bytes: int) -> tuple[Path, str]:
        content = hashlib.shake_128(b"%d" % next(_number)).digest(n_bytes)
        path = tmp_path / f"sent{next(_number)}.fit"
        path.write_bytes(content)
        return path, hashlib.sha256(content).hexdigest()

    return written


# --- behind a server ------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["s3", "dav"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    opened = s3_server() if request.param == "s3" else dav_server(tmp_path_factory.mktemp("dav"))
    with opened as port:
        yield request.param, port


@pytest.fixture
def proxy(server: tuple[str, int]) -> Iterator[SpoilingProxy]:
    with spoiling_proxy(server[1]) as opened:
        yield opened


@pytest.fixture
def store(server: tuple[str, int], proxy: SpoilingProxy, tmp_path: Path) -> FileStore:
    number = next(_number)
    if server[0] == "s3":
        return open_store(
            settings_for(
                f"s3://{BUCKET}/{number}",
                tmp_path,
                s3_endpoint=f"http://127.0.0.1:{proxy.port}",
                s3_key="key",
                s3_secret="secret",
            )
        )
    return open_store(
        settings_for(
            f"dav://127.0.0.1:{proxy.port}/{number}",
            tmp_path,
            dav_user=USER,
            dav_password=PASSWORD,
        )
    )


def of_files(change: Callable[[Answer], Answer | None]) -> Callable[[Answer], Answer | None]:
    """A fault of the answers that hold a file."""

    def changed(answer: Answer) -> Answer | None:
        return change(answer) if answer.method == "GET" and answer.status < 300 else answer

    return changed


def shorter(answer: Answer) -> Answer:
    """The server believes in a file that is shorter than it was."""
    half = len(answer.body) // 2
    answer.headers, answer.body = length_of(answer, half), answer.body[:half]
    return answer


def another(answer: Answer) -> Answer:
    answer.body = bytes(len(answer.body))
    return answer


def cut(answer: Answer) -> Answer:
    answer.cut = len(answer.body) // 3
    return answer


def status(number: int) -> Callable[[Answer], Answer]:
    return lambda answer: Answer(answer.method, answer.path, number, [("Content-Length", "0")], b"")


@pytest.mark.parametrize("spoil", [shorter, another])
def test_wrong_bytes_never_become_a_file(
    store: FileStore, proxy: SpoilingProxy, write: Write, tmp_path: Path, spoil: Any
) -> None:
    path, sha256 = write(2 * MIB)
    store.put(path, sha256)
    proxy.fault = of_files(spoil)
    with pytest.raises(ObjectRotten, match="other bytes than were stored"):
        store.fetch(sha256, tmp_path / "back")
    assert not [p.name for p in tmp_path.iterdir() if "back" in p.name]
    # Wrong once, right when asked again.
    faults = iter([of_files(spoil)])
    proxy.fault = lambda answer: (
        next(faults, lambda a: a)(answer) if answer.method == "GET" else answer
    )
    store.fetch(sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_a_part_that_is_too_short_is_told(
    store: FileStore, proxy: SpoilingProxy, write: Write
) -> None:
    path, sha256 = write(2 * MIB)
    store.put(path, sha256)
    proxy.fault = of_files(shorter)
    with pytest.raises(StoreError):
        list(store.read(sha256, 100, MIB))


def test_a_line_that_breaks_while_a_file_comes(
    store: FileStore, proxy: SpoilingProxy, write: Write, tmp_path: Path
) -> None:
    path, sha256 = write(2 * MIB)
    store.put(path, sha256)
    breaks = itertools.count()
    proxy.fault = of_files(lambda answer: cut(answer) if next(breaks) < 2 else answer)
    store.fetch(sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert next(breaks) >= 2


@pytest.mark.parametrize("number", [401, 403])
def test_a_store_that_refuses(
    store: FileStore, proxy: SpoilingProxy, write: Write, tmp_path: Path, number: int
) -> None:
    path, sha256 = write(100)
    store.put(path, sha256)
    other, other_sha256 = write(100)
    proxy.before = status(number)
    for attempt in (
        lambda: store.read(sha256),
        lambda: store.fetch(sha256, tmp_path / "back"),
        lambda: store.put(other, other_sha256, consume=True),
        lambda: store.size(sha256),
        lambda: store.delete(sha256),
        lambda: list(store.files()),
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        # Refused is not the same as not there, or rotten.
        assert type(caught.value) is StoreError
        assert "refuses access" in caught.value.rule
    assert other.exists()
    proxy.before = None
    store.put(other, other_sha256, consume=True)
    assert {file.sha256 for file in store.files()} == {sha256, other_sha256}


def test_a_line_that_breaks_while_a_file_goes(
    store: FileStore, proxy: SpoilingProxy, write: Write
) -> None:
    path, sha256 = write(9 * MIB)
    breaks = itertools.count()

    def hang_up(asked: Answer) -> Answer | None:
        return None if asked.method in ("PUT", "POST", "MOVE") and next(breaks) % 3 == 0 else asked

    proxy.before = hang_up
    store.put(path, sha256)
    proxy.before = None
    assert b"".join(store.read(sha256)) == path.read_bytes()
    assert next(breaks) >= 2


def test_an_answer_that_is_lost_after_the_deed(
    store: FileStore, proxy: SpoilingProxy, write: Write
) -> None:
    path, sha256 = write(100)
    lost = itertools.count()
    proxy.fault = lambda answer: (
        None if answer.method in ("PUT", "MOVE") and next(lost) < 2 else answer
    )
    store.put(path, sha256)
    proxy.fault = None
    assert b"".join(store.read(sha256)) == path.read_bytes()
    assert [file.sha256 for file in store.files()] == [sha256]


def test_a_body_that_is_changed_on_its_way_is_not_taken(
    store: FileStore, proxy: SpoilingProxy, write: Write
) -> None:
    if not isinstance(store, DavStore):
        pytest.skip("S3 compares what comes with the checksum it is sent; the test server does not")
    path, sha256 = write(1000)

    def change(asked: Answer) -> Answer:
        if asked.method == "PUT":
            asked.body = b"?" + asked.body[1:]
        return asked

    proxy.before = change
    with pytest.raises(StoreError, match="did not take the file as it is"):
        store.put(path, sha256)
    proxy.before = None
    assert store.size(sha256) is None


def test_the_server_is_sent_checksums(store: FileStore, write: Write) -> None:
    if isinstance(store, DavStore):
        pytest.skip("of S3")
    import obstore

    path, sha256 = write(100)
    store.put(path, sha256)
    assert store._store.config["checksum_algorithm"].lower() == "sha256"  # type: ignore[attr-defined]
    assert obstore.head(store._store, f"{sha256[:2]}/{sha256}")["size"] == 100  # type: ignore[attr-defined]


def test_a_server_that_is_full(store: FileStore, proxy: SpoilingProxy, write: Write) -> None:
    path, sha256 = write(100)

    def full(asked: Answer) -> Answer:
        if asked.method != "PUT":
            return asked
        return Answer("PUT", asked.path, 507, [("Content-Length", "0")], b"")

    proxy.before = full
    with pytest.raises(StoreFull, match="no space left in the file store; what was accepted is"):
        store.put(path, sha256, consume=True)
    assert path.exists()
    proxy.before = None
    store.put(path, sha256, consume=True)
    assert store.size(sha256) == 100


def test_the_scrubber_tells_a_silent_store_from_a_rotten_one(
    archive: Archive, store: FileStore, proxy: SpoilingProxy, write: Write
) -> None:
    path, sha256 = write(1000)
    _keep(archive, store, path, sha256)
    proxy.fault = status(403)
    report = scrub(archive, store)
    assert (report.n_checked, report.n_damaged, report.n_unreadable) == (0, 0, 1)
    assert _state(archive, sha256) == "stored"
    once = itertools.count()
    proxy.fault = of_files(lambda answer: shorter(answer) if next(once) == 0 else answer)
    assert scrub(archive, store).n_damaged == 0
    assert _state(archive, sha256) == "stored"
    proxy.fault = of_files(another)
    report = scrub(archive, store)
    assert (report.n_checked, report.n_damaged, report.n_unreadable) == (1, 1, 0)
    assert _state(archive, sha256) == "rotten"
    proxy.fault = None
    # The right bytes are welcome again.
    _keep(archive, store, path, sha256)
    assert _state(archive, sha256) == "stored"


def _keep(archive: Archive, store: FileStore, path: Path, sha256: str) -> None:
    if begin_object(archive, sha256, path.stat().st_size, "raw"):
        store.put(path, sha256)
    with archive.writing() as session:
        keep_object(session, sha256)


def _state(archive: Archive, sha256: str) -> str:
    with archive.reading() as session:
        return session.get_one(ObjectRow, sha256).state


# --- on a disk ------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system; skips where that is not permitted."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip("no file system can be mounted here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_and_its_end(small_disk: Callable[[str], Path], write: Write) -> None:
    disk = small_disk("size=3m")
    store = LocalStore(disk / "store")
    first, first_sha256 = write(2 * MIB)
    store.put(first, first_sha256)
    second, second_sha256 = write(2 * MIB)
    for consume in (False, True):  # on another disk it has to be copied in any case
        with pytest.raises(StoreFull, match="no space left in the file store; what was accepted"):
            store.put(second, second_sha256, consume=consume)
        assert second.stat().st_size == 2 * MIB
    assert [file.sha256 for file in store.files()] == [first_sha256]
    assert b"".join(store.read(first_sha256)) == first.read_bytes()
    assert list((disk / "store" / ".aside").iterdir()) == []
    store.delete(first_sha256)
    store.put(second, second_sha256)  # recovers without hands
    assert store.size(second_sha256) == 2 * MIB


def test_no_inodes_left(small_disk: Callable[[str], Path], write: Write) -> None:
    disk = small_disk("size=8m,nr_inodes=8")
    store = LocalStore(disk)
    stored: list[str] = []

    def fill() -> None:
        for _ in range(9):
            path, sha256 = write(10)
            store.put(path, sha256)
            stored.append(sha256)

    with pytest.raises(StoreFull):
        fill()
    assert store.free_bytes() == 0
    assert free_bytes(disk) == 0
    assert not enough_space(settings_for(str(disk), disk), 1)
    assert {file.sha256 for file in store.files()} == set(stored)
    store.delete(stored[0])
    assert (store.free_bytes() or 0) > MIB


def test_a_disk_that_became_read_only(small_disk: Callable[[str], Path], write: Write) -> None:
    disk = small_disk("size=4m")
    store = LocalStore(disk)
    path, sha256 = write(1000)
    store.put(path, sha256)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    other, other_sha256 = write(1000)
    for attempt in (lambda: store.put(other, other_sha256), lambda: store.delete(sha256)):
        with pytest.raises(StoreError, match=r"the file store failed \(Read-only file system\)"):
            attempt()
    assert b"".join(store.read(sha256)) == path.read_bytes()
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    store.put(other, other_sha256)
    assert {file.sha256 for file in store.files()} == {sha256, other_sha256}


def test_a_reserve_is_kept(small_disk: Callable[[str], Path], tmp_path: Path) -> None:
    disk = small_disk("size=100m")
    settings = settings_for(str(disk / "not" / "made" / "yet"), tmp_path)
    assert enough_space(settings, 90 * MIB)
    assert not enough_space(settings, 99 * MIB + MIB // 2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["mkdir", "open", "write", "fsync", "chmod", "replace"])
def test_every_call_may_fail(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """Whichever call of a put the disk fails at, nothing is stored and the next try succeeds."""
    store = LocalStore(tmp_path / "store")
    path, sha256 = write(1000)

    def fail(*args: Any, **options: Any) -> Any:
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patch:
        if call == "fsync":
            patch.setattr(os, "fsync", fail)
        elif call == "write":
            patch.setattr(local_store, "_copy", fail)
        elif call == "open":
            opened = Path.open
            patch.setattr(
                Path, "open", lambda p, mode="r": fail() if "w" in mode else opened(p, mode)
            )
        else:
            patch.setattr(Path, call, fail)
        kind = StoreError if number == errno.EIO else StoreFull
        with pytest.raises(kind) as caught:
            store.put(path, sha256)
        assert type(caught.value) is kind
    assert store.size(sha256) is None
    assert list((tmp_path / "store" / ".aside").iterdir()) == []
    store.put(path, sha256)
    assert b"".join(store.read(sha256)) == path.read_bytes()
