"""Bringing stacks home: whole, right, continued where they broke off."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from crowdsky.archive.accounts import ensure_observer
from crowdsky.client import Client
from crowdsky.client.fetch import part_of
from crowdsky.errors import NotFound, ObjectRotten, ServiceUnreachable
from tests.api.conftest import Running, opened, serving, settings_in
from tests.client.nights import make_stacks
from tests.client.stub import Answer, stub

pytestmark = [pytest.mark.enable_socket]

N_STACKS = 5


@pytest.fixture(scope="module")
def archived(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[Running, list[bytes]]]:
    """A service with five stacks of ada's."""
    home = tmp_path_factory.mktemp("stacks")
    database = home / "crowdsky.db"
    database.write_bytes(sqlite_template.read_bytes())
    with opened(settings_in(home, f"sqlite:///{database}")) as context, serving(context) as running:
        from tests.archive.queue_rows import make_observer

        ada = make_observer(context.archive, "ada")
        assert ensure_observer(context.archive, "ada") == ada
        yield running, make_stacks(context, ada, home / "made", N_STACKS)


@pytest.fixture
def ada(archived: tuple[Running, list[bytes]]) -> Iterator[Client]:
    running, _ = archived
    with Client(running.url, running.key_for("ada"), patience_s=5.0) as client:
        yield client


@pytest.fixture
def contents(archived: tuple[Running, list[bytes]]) -> list[bytes]:
    return archived[1]


def test_search_by_place_time_and_target(ada: Client) -> None:
    everything = ada.stacks(scope="mine")
    assert len(everything) == N_STACKS
    assert everything.meta["total"] == N_STACKS
    assert everything.meta["query"].endswith("/api/v1/stacks?scope=mine")
    # Right ascensions are 359.5, 0.5, 1.5, 2.5 and 3.5: the square reaches across 0 h.
    near = ada.stacks(ra=0.0, dec=41.0, size=1.6, scope="mine")
    assert sorted(near["ra_deg"]) == [0.5, 359.5]
    assert len(ada.stacks(ra=2.5, dec=41.0, radius=0.3)) == 1
    assert list(ada.stacks(target="M 51")["target"]) == ["M 51", "M 51"]
    assert len(ada.stacks(to_utc="2001-01-01")) == 0
    assert len(ada.stacks(ra=100.0, dec=-41.0, size=1.0)) == 0


def test_density_counts_every_stack(ada: Client) -> None:
    table = ada.density(order=3, scope="mine")
    assert table["n_stacks"].sum() == N_STACKS
    assert table.meta["order"] == 3


def test_stacks_come_whole_and_are_not_fetched_twice(
    ada: Client, contents: list[bytes], tmp_path: Path
) -> None:
    seen: list[tuple[int, int, str]] = []
    stacks = ada.stacks(scope="mine")
    stacks.sort("id")
    paths = ada.download(stacks, tmp_path / "new", on_progress=lambda *words: seen.append(words))
    assert [path.read_bytes() for path in paths] == contents
    assert [path.name for path in paths] == [f"block_{n}.fits" for n in range(N_STACKS)]
    total = sum(map(len, contents))
    assert seen[-1][:2] == (total, total)
    before = [path.stat().st_mtime_ns for path in paths]
    assert ada.download(stacks, tmp_path / "new") == paths
    assert [path.stat().st_mtime_ns for path in paths] == before
    # One that was spoilt at home is fetched again.
    paths[2].write_bytes(b"spoilt")
    ada.download(stacks[2], tmp_path / "new")
    assert paths[2].read_bytes() == contents[2]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        path.name for path in paths
    )


def test_equal_names_of_stacks_are_told_apart(ada: Client, tmp_path: Path) -> None:
    stacks = ada.stacks(scope="mine")[:2]
    stacks["label"] = ["../Same", "same"]
    names = [path.name for path in ada.download(stacks, tmp_path)]
    assert names == [
        f"{word}_{number}.fits" for word, number in zip(("Same", "same"), stacks["id"], strict=True)
    ]
    assert all((tmp_path / name).is_file() for name in names)


def test_others_stacks_are_not_found(
    archived: tuple[Running, list[bytes]], ada: Client, tmp_path: Path
) -> None:
    running, _ = archived
    stacks = ada.stacks(scope="mine")
    ids = [int(number) for number in stacks["id"]]
    with Client(running.url, running.key_for("bob"), patience_s=5.0) as bob:
        assert len(bob.stacks(scope="mine")) == 0
        stacks["id"] = [10_000 + number for number in ids]
        with pytest.raises(NotFound):
            bob.download(stacks, tmp_path)
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_zip_comes_whole_with_its_manifest(
    ada: Client, contents: list[bytes], tmp_path: Path
) -> None:
    zipped = ada.download_zip(ada.stacks(scope="mine"), tmp_path / "a.zip")
    assert (zipped.n_stacks, zipped.n_missing) == (N_STACKS, 0)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        inside = {hashlib.sha256(archive.read(name)).digest() for name in archive.namelist()}
    assert {hashlib.sha256(content).digest() for content in contents} <= inside
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_zip_that_broke_off_is_continued_in_another_run(
    archived: tuple[Running, list[bytes]], tmp_path: Path
) -> None:
    running, _ = archived
    key = running.key_for("ada")

    class Enough(Exception):
        pass

    def breaks(done: int, total: int, name: str) -> None:
        if done > total // 2:
            raise Enough

    path = tmp_path / "b.zip"
    with Client(running.url, key) as client:
        ids = [int(number) for number in client.stacks(scope="mine")["id"]]
        with pytest.raises(Enough):
            client.download_zip(ids, path, on_progress=breaks)
    have = part_of(path).stat().st_size
    assert have > 0
    seen: list[int] = []
    with Client(running.url, key) as client:
        client.download_zip(ids, path, on_progress=lambda done, *_: seen.append(done))
    assert seen[0] == have
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def test_a_zip_that_has_expired_meanwhile_is_made_anew(
    archived: tuple[Running, list[bytes]], tmp_path: Path
) -> None:
    running, _ = archived
    path = tmp_path / "c.zip"
    with Client(running.url, running.key_for("ada")) as client:
        ids = [int(number) for number in client.stacks(scope="mine")["id"]]
        note = {
            "server": running.url,
            "asked": {"ids": ids},
            "download": {
                "url": "/api/v1/downloads/gone/crowdsky.zip", "n_bytes": 5000, "n_stacks": 5,
            },
        }  # fmt: skip
        (tmp_path / ".c.zip.json").write_text(json.dumps(note), encoding="utf-8")
        part_of(path).write_bytes(b"of another archive")
        assert client.download_zip(ids, path).n_stacks == N_STACKS
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


CONTENT = np.random.default_rng(3).bytes(3_000_000)
STACK = {
    "id": 1, "label": "m94", "sha256": hashlib.sha256(CONTENT).hexdigest(), "n_bytes": len(CONTENT)
}  # fmt: skip


class Ranges:
    """Sends a file in pieces, breaking off after each; notes what was asked for."""

    def __init__(self, content: bytes, *, most: int = 1_000_000, ranges: bool = True) -> None:
        self.content, self.most, self.ranges = content, most, ranges
        self.asked: list[tuple[str | None, str | None]] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> Answer:
        wanted = request.headers.get("Range")
        self.asked.append((wanted, request.headers.get("If-Range")))
        start = 0
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        rest = self.content[start:]
        head = {"Content-Length": str(len(rest)), "Connection": "close"}
        if start:
            size = len(self.content)
            head["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        most = self.most if self.ranges or len(self.asked) < 3 else len(rest)
        return (206 if start else 200), head, rest[:most]


def download(address: str, folder: Path, patience_s: float = 10.0) -> Path:
    from crowdsky.client.downloads import download_stacks
    from crowdsky.client.transport import Transport

    transport = Transport(address, "key", patience_s=patience_s)
    try:
        (path,) = download_stacks(transport, [STACK], folder, None)
        return path
    finally:
        transport.close()


def test_a_download_that_breaks_off_goes_on_where_it_stood(tmp_path: Path) -> None:
    ranges = Ranges(CONTENT)
    with stub(ranges) as address:
        assert download(address, tmp_path).read_bytes() == CONTENT
    etag = f'"{STACK["sha256"]}"'
    assert ranges.asked == [
        (None, None),
        ("bytes=1000000-", etag),
        ("bytes=2000000-", etag),
    ]


def test_a_download_of_an_earlier_run_is_continued(tmp_path: Path) -> None:
    part_of(tmp_path / "m94.fits").write_bytes(CONTENT[:2_500_000])
    ranges = Ranges(CONTENT)
    with stub(ranges) as address:
        assert download(address, tmp_path).read_bytes() == CONTENT
    assert [asked for asked, _ in ranges.asked] == ["bytes=2500000-"]


def test_a_server_without_ranges_is_read_from_the_start(tmp_path: Path) -> None:
    with stub(Ranges(CONTENT, ranges=False)) as address:
        assert download(address, tmp_path).read_bytes() == CONTENT


def test_a_part_of_something_else_is_found_and_fetched_again(tmp_path: Path) -> None:
    part_of(tmp_path / "m94.fits").write_bytes(b"x" * 1_000_000)
    ranges = Ranges(CONTENT, most=len(CONTENT))
    with stub(ranges) as address:
        assert download(address, tmp_path).read_bytes() == CONTENT
    assert [asked for asked, _ in ranges.asked] == ["bytes=1000000-", None]


def test_wrong_bytes_never_get_the_name(tmp_path: Path) -> None:
    wrong = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with stub(Ranges(wrong, most=len(wrong))) as address, pytest.raises(ObjectRotten) as error:
        download(address, tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'm94.fits'}: the bytes that came are not those of the stack"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_stays_away_is_told_and_what_came_is_kept(tmp_path: Path) -> None:
    answers = [
        (200, {"Content-Length": str(len(CONTENT)), "Connection": "close"}, CONTENT[:5000]),
    ]

    def answer(_: BaseHTTPRequestHandler) -> Answer:
        return answers.pop() if answers else (503, {}, b"")

    with stub(answer) as address, pytest.raises(ServiceUnreachable, match="503"):
        download(address, tmp_path, patience_s=0.1)
    assert part_of(tmp_path / "m94.fits").stat().st_size == 5000


@pytest.mark.parametrize("status", [429, 503, 507])
def test_a_busy_service_is_asked_again_when_it_says(status: int, tmp_path: Path) -> None:
    refusals = [(status, {"Retry-After": "1"}, b"{}")]
    good = Ranges(CONTENT, most=len(CONTENT))

    def answer(request: BaseHTTPRequestHandler) -> Answer:
        return refusals.pop() if refusals else good(request)

    # Its own word counts for more than our patience with one that is silent.
    with stub(answer) as address:
        assert download(address, tmp_path, patience_s=0.1).read_bytes() == CONTENT
