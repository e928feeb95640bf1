"""Files of a stack: whole, in parts, unchanged, or not at all."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from crowdsky.api.context import Context
from crowdsky.api.files_check import CheckedFiles
from crowdsky.archive.models import ObjectRow
from crowdsky.errors import ObjectMissing, ObjectRotten
from tests.api.conftest import Running, opened
from tests.api.product_rows import PNG, make_stack

pytestmark = [pytest.mark.enable_socket]


def test_whole_and_in_parts(service: Running) -> None:
    made = make_stack(service.context, "ann", label="M 94 — π/κόσμος")
    client = service.client_for("bob")
    url = f"/api/v1/stacks/{made.id}/file"
    answer = client.get(url)
    assert (answer.status_code, answer.content) == (200, made.data)
    headers = answer.headers
    assert headers["content-type"] == "application/fits"
    assert headers["etag"] == f'"{made.sha256}"'
    assert headers["accept-ranges"] == "bytes"
    digest = base64.b64encode(hashlib.sha256(made.data).digest()).decode()
    assert headers["repr-digest"] == f"sha-256=:{digest}:"
    assert headers["content-disposition"] == (
        f'attachment; filename="M_94_{made.id}.fits"; '
        f"filename*=UTF-8''M%2094%20%E2%80%94%20%CF%80_%CE%BA%CF%8C%CF%83%CE%BC%CE%BF%CF%82"
        f"_{made.id}.fits"
    )
    n = len(made.data)
    for asked, start, end in (
        ("0-0", 0, 1),
        ("100-", 100, n),
        ("-100", n - 100, n),
        ("0-9,10-19", 0, 20),
    ):
        part = client.get(url, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, made.data[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{n}"
    several = client.get(url, headers={"Range": "bytes=0-1,5-6"})
    assert (several.status_code, several.json()["error"]) == (416, "RangeNotSatisfiable")
    assert several.headers["content-range"] == f"bytes */{n}"
    assert client.get(url, headers={"Range": "bytes=5-2"}).content == made.data
    head = client.head(url, headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.headers["content-length"]) == (200, str(n))
    same = client.get(url, headers={"If-None-Match": f'W/"{made.sha256}", "x"'})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == headers["etag"]
    assert client.get(url, headers={"If-Match": '"x"'}).status_code == 412
    kept = client.get(url, headers={"Range": "bytes=0-3", "If-Range": headers["etag"]})
    assert kept.content == made.data[:4]
    changed = client.get(url, headers={"Range": "bytes=0-3", "If-Range": '"x"'})
    assert changed.content == made.data


def test_pictures(service: Running) -> None:
    made = make_stack(service.context, "ann")
    for part in ("preview", "thumbnail"):
        answer = service.client().get(f"/api/v1/stacks/{made.id}/{part}")
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(PNG)
        assert "content-disposition" not in answer.headers
        again = service.client().get(
            f"/api/v1/stacks/{made.id}/{part}", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert again.status_code == 304


@pytest.mark.parametrize("what", ["gone", "short", "longer", "flipped", "unknown", "known rotten"])
def test_a_damaged_file_is_never_a_fits_file(sqlite_service: Running, what: str) -> None:
    here = sqlite_service.context
    made = make_stack(here, "ann")
    client = sqlite_service.client_for("ann")
    url = f"/api/v1/stacks/{made.id}/file"
    if what == "flipped":  # after it was sent once, and found right
        assert client.get(url).content == made.data
    _spoil(here, made.sha256, made.data, what)
    status = 410 if what in ("gone",) else 502
    for headers in ({}, {"Range": "bytes=0-9"}):
        answer = client.get(url, headers=headers)
        assert answer.status_code == status, what
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"] == ("ObjectMissing" if status == 410 else "ObjectRotten")
        assert "content-disposition" not in answer.headers
        assert str(here.settings.home) not in answer.text
    with here.archive.reading() as session:
        state = session.get_one(ObjectRow, made.sha256).state
    assert state == ("stored" if what == "gone" else "rotten")


def _spoil(here: Context, sha256: str, data: bytes, what: str) -> None:
    if what == "gone":
        here.store.delete(sha256)
        return
    if what == "known rotten":
        with here.archive.writing() as session:
            session.get_one(ObjectRow, sha256).state = "rotten"
        return
    path = here.store.local_path(sha256)
    assert path is not None
    path.chmod(0o644)
    wrong = {"short": data[:-1], "longer": data + b"0", "unknown": b"x" * len(data)}
    path.write_bytes(wrong.get(what, data[:100] + bytes([data[100] ^ 1]) + data[101:]))


class FarStore:
    """A store whose files do not lie on this machine."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def local_path(self, sha256: str) -> Path | None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_files_of_a_remote_store_are_hashed_on_the_way(sqlite_settings: Any) -> None:
    data = bytes(3_000_000)
    with opened(sqlite_settings) as here:
        made = make_stack(here, "ann", data)
        checked = CheckedFiles(FarStore(here.store))
        assert b"".join(checked.pieces(made.sha256, len(data))) == data
        assert b"".join(checked.pieces(made.sha256, len(data), 5, 9)) == data[5:9]
        _spoil(here, made.sha256, data, "flipped")
        got: list[bytes] = []
        with pytest.raises(ObjectRotten, match="content has changed"):
            got.extend(checked.pieces(made.sha256, len(data)))
        assert 0 < sum(map(len, got)) < len(data)
        with pytest.raises(ObjectRotten, match="has 3000000 bytes in the store, not 7"):
            checked.check(made.sha256, 7)
        here.store.delete(made.sha256)
        with pytest.raises(ObjectMissing):
            next(checked.pieces(made.sha256, len(data)))


def test_a_store_that_sends_less_or_more(sqlite_settings: Any) -> None:
    class Odd(FarStore):
        by = 0

        def read(self, sha256: str, start: int = 0, end: int | None = None) -> Any:
            assert end is not None
            yield bytes(end - start + self.by)

    with opened(sqlite_settings) as here:
        made = make_stack(here, "ann", bytes(100))
        store = Odd(here.store)
        for store.by, said in ((-1, "less than was asked for"), (1, "more than was asked for")):
            with pytest.raises(ObjectRotten, match=said):
                list(CheckedFiles(store).pieces(made.sha256, 100, 5, 50))


def test_a_key_that_is_no_good(sqlite_service: Running) -> None:
    made = make_stack(sqlite_service.context, "ann")
    client = sqlite_service.client({"Authorization": "Bearer csk_" + "x" * 43})
    for part in ("", "/file", "/preview"):
        assert client.get(f"/api/v1/stacks/{made.id}{part}").status_code == 401
    huge = sqlite_service.client_for("ann").get(f"/api/v1/stacks/{10**30}/file")
    assert isinstance(huge, httpx.Response)
    assert huge.status_code == 422
