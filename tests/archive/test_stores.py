"""One suite for every kind of store."""

from __future__ import annotations

import hashlib
import itertools
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.object_store import DavStore, S3Files
from crowdsky.archive.open_store import open_store
from crowdsky.archive.store import FileStore
from crowdsky.errors import ObjectMissing, ObjectRotten, SettingsError, StoreError
from tests.archive.store_servers import (
    BUCKET,
    PASSWORD,
    USER,
    dav_server,
    s3_server,
    settings_for,
)

pytestmark = [pytest.mark.enable_socket]

KINDS = ["local", "s3", "dav"]
MIB = 1 << 20
ABSENT = "0" * 64
_number = itertools.count()


@pytest.fixture(scope="module")
def s3_port() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture(scope="module")
def dav_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with dav_server(tmp_path_factory.mktemp("dav")) as port:
        yield port


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """An empty store of each kind."""
    number = next(_number)
    if request.param == "local":
        return open_store(settings_for(str(tmp_path / "a" / "store"), tmp_path))
    if request.param == "s3":
        port = request.getfixturevalue("s3_port")
        return open_store(
            settings_for(
                f"s3://{BUCKET}/a/{number}",
                tmp_path,
                s3_endpoint=f"http://127.0.0.1:{port}",
                s3_key="key",
                s3_secret="secret",
            )
        )
    port = request.getfixturevalue("dav_port")
    return open_store(
        settings_for(
            f"dav://127.0.0.1:{port}/a/{number}",
            tmp_path,
            dav_user=USER,
            dav_password=PASSWORD,
        )
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], tuple[Path, str]]:
    """A file with some content, and its SHA-256."""

    def written(content: bytes) -> tuple[Path, str]:
        path = tmp_path / f"sent {next(_number)}.fit"
        path.write_bytes(content)
        return path, hashlib.sha256(content).hexdigest()

    return written


Write = Callable[[bytes], tuple[Path, str]]


def content(n_bytes: int, seed: int = 1) -> bytes:
    return hashlib.shake_128(bytes([seed])).digest(n_bytes)


@pytest.mark.parametrize("n_bytes", [0, 1, 3 * MIB + 17, 17 * MIB + 1])
def test_a_file_comes_back_as_it_was(
    store: FileStore, write: Write, tmp_path: Path, n_bytes: int
) -> None:
    sent = content(n_bytes)
    path, sha256 = write(sent)
    store.put(path, sha256)
    assert path.read_bytes() == sent
    assert store.size(sha256) == n_bytes
    pieces = list(store.read(sha256))
    assert b"".join(pieces) == sent
    assert max(map(len, pieces), default=0) <= MIB
    store.fetch(sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == sent
    assert [(file.sha256, file.n_bytes) for file in store.files()] == [(sha256, n_bytes)]


def test_parts_of_a_file(store: FileStore, write: Write) -> None:
    sent = content(2 * MIB + 5)
    path, sha256 = write(sent)
    store.put(path, sha256)
    for start, end in [(0, 1), (7, 7), (7, 1000), (MIB - 1, 2 * MIB + 5), (2 * MIB, None)]:
        assert b"".join(store.read(sha256, start, end)) == sent[start:end], (start, end)
    assert b"".join(store.read(sha256, len(sent))) == b""
    with pytest.raises(ObjectRotten, match="is shorter than it was"):
        list(store.read(sha256, 5, len(sent) + 1))


def test_consumed_files_are_gone(store: FileStore, write: Write) -> None:
    path, sha256 = write(b"frame")
    store.put(path, sha256, consume=True)
    assert not path.exists()
    again, _ = write(b"frame")
    store.put(again, sha256, consume=True)
    assert not again.exists()
    assert b"".join(store.read(sha256)) == b"frame"


@pytest.mark.parametrize("consume", [False, True])
@pytest.mark.parametrize("n_bytes", [100, 9 * MIB])
def test_content_that_is_not_what_it_is_said_to_be(
    store: FileStore, write: Write, consume: bool, n_bytes: int
) -> None:
    path, _ = write(content(n_bytes))
    with pytest.raises(ObjectRotten, match="is not the content it is said to be"):
        store.put(path, ABSENT, consume=consume)
    assert path.exists()
    assert store.size(ABSENT) is None
    assert list(store.files()) == []


def test_a_file_that_is_not_there(store: FileStore, tmp_path: Path) -> None:
    assert store.size(ABSENT) is None
    assert store.local_path(ABSENT) is None
    with pytest.raises(ObjectMissing, match=f"^{ABSENT}: is not in the store$"):
        store.read(ABSENT)  # at once, before the first piece
    with pytest.raises(ObjectMissing):
        store.fetch(ABSENT, tmp_path / "back")
    store.delete(ABSENT)
    assert list(store.files()) == []
    assert store.tidy(datetime.now(UTC)) == 0
    assert [path.name for path in tmp_path.iterdir() if "back" in path.name] == []


def test_a_deleted_file_is_gone_and_can_come_back(store: FileStore, write: Write) -> None:
    path, sha256 = write(b"frame")
    other, other_sha256 = write(b"other")
    store.put(path, sha256)
    store.put(other, other_sha256)
    store.delete(sha256)
    store.delete(sha256)
    assert store.size(sha256) is None
    assert {file.sha256 for file in store.files()} == {other_sha256}
    store.put(path, sha256)
    assert b"".join(store.read(sha256)) == b"frame"


def test_many_files_are_listed_once(store: FileStore, write: Write) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    sent = dict(reversed(write(b"%d" % number)) for number in range(40))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: store.put(pair[1], pair[0]), sent.items()))
    found = list(store.files())
    assert len(found) == 40
    assert {file.sha256 for file in found} == set(sent)
    assert all(before < file.modified_utc < before + timedelta(minutes=5) for file in found)


def test_the_same_bytes_from_many_sides_at_once(store: FileStore, write: Write) -> None:
    sent = content(3 * MIB)
    paths = [write(sent)[0] for _ in range(6)]
    sha256 = hashlib.sha256(sent).hexdigest()
    begin = threading.Barrier(len(paths))

    def put(path: Path) -> None:
        begin.wait()
        store.put(path, sha256, consume=path == paths[0])

    with ThreadPoolExecutor(len(paths)) as pool:
        list(pool.map(put, paths))
    assert b"".join(store.read(sha256)) == sent
    assert [file.n_bytes for file in store.files()] == [3 * MIB]
    # Nobody left anything aside.
    assert store.tidy(datetime.now(UTC) + timedelta(days=1)) == 0


def test_a_name_that_is_no_digest_is_refused(store: FileStore, write: Write) -> None:
    path, sha256 = write(b"frame")
    for name in ("", "../../etc/passwd", sha256.upper(), sha256 + "\n", "a/" + sha256[2:]):
        with pytest.raises(StoreError, match="a file's name is its SHA-256 in hexadecimal"):
            store.put(path, name)
        with pytest.raises(StoreError):
            store.read(name)
        with pytest.raises(StoreError):
            store.delete(name)


def test_rot_is_seen_on_the_way_and_can_be_mended(
    store: FileStore, write: Write, tmp_path: Path
) -> None:
    path, sha256 = write(b"frame")
    store.put(path, sha256)
    rot(store, sha256, b"frbme")
    with pytest.raises(ObjectRotten, match="other bytes than were stored"):
        store.fetch(sha256, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert [p for p in tmp_path.iterdir() if p.name.endswith(".part")] == []
    store.put(path, sha256)  # whoever has the right bytes puts them in its place
    store.fetch(sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"frame"


def rot(store: FileStore, sha256: str, content: bytes) -> None:
    """Change what lies in a store, behind its back."""
    import obstore

    if isinstance(store, LocalStore):
        path = store.local_path(sha256)
        assert path is not None
        path.chmod(0o644)
        path.write_bytes(content)
    else:
        assert isinstance(store, S3Files | DavStore)
        key = f"{sha256[:2]}/{sha256}"
        obstore.put(store._store, key, content, use_multipart=False)


@pytest.mark.slow
def test_large_files_do_not_fill_the_memory(store: FileStore, write: Write, tmp_path: Path) -> None:
    # The servers share this process, so what is measured is an upper bound; moto keeps in memory
    # what is sent to it.
    if isinstance(store, S3Files):
        pytest.skip("the S3 server of the tests keeps its files in the memory of this process")
    path, sha256 = write(b"")
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for number in range(192):
            stream.write(piece := content(MIB, number))
            digest.update(piece)
    sha256 = digest.hexdigest()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store.put(path, sha256)
    store.fetch(sha256, tmp_path / "back")
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 64
    assert (tmp_path / "back").stat().st_size == 192 * MIB


def test_stored_files_cannot_be_written_to(tmp_path: Path, write: Write) -> None:
    store = LocalStore(tmp_path / "store")
    for consume in (False, True):
        path, sha256 = write(b"%d" % consume)
        store.put(path, sha256, consume=consume)
        lies = store.local_path(sha256)
        assert lies is not None
        assert lies == tmp_path / "store" / sha256[:2] / sha256
        assert lies.stat().st_mode & 0o777 == 0o444


def test_leftovers_are_tidied_away(store: FileStore, tmp_path: Path) -> None:
    if isinstance(store, S3Files):
        pytest.skip("there are none: a bucket shows a file when it is complete")
    if isinstance(store, LocalStore):
        (store.root / ".aside" / "half.part").write_bytes(b"ha")
    else:
        assert isinstance(store, DavStore)
        (tmp_path / "half").write_bytes(b"ha")
        store._sender.put(tmp_path / "half", "aside/half.part")
    assert store.tidy(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert store.tidy(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert store.tidy(datetime.now(UTC) + timedelta(hours=1)) == 0
    assert list(store.files()) == []


@pytest.mark.parametrize("url", ["", "store", "ftp://host/x", "s3://", "dav:///x", "http://h/x"])
def test_a_store_that_is_none_of_these(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="CROWDSKY_STORE_URL must be an absolute path"):
        open_store(settings_for(url, tmp_path))
