"""One archive of any selection: exact, resumable, honest about what is missing."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import socket
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from crowdsky.archive.models import ObjectRow
from tests.api.conftest import Running
from tests.api.product_rows import SERIAL, SITE_LAT, make_stack

pytestmark = [pytest.mark.enable_socket]


def made(client: httpx.Client, **wanted: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/downloads", json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


def opened(data: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


def manifest(data: bytes) -> list[dict[str, str]]:
    text = opened(data).read("manifest.csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_selection_comes_down_whole(service: Running, tmp_path: Path) -> None:
    stacks = [make_stack(service.context, "ann", knows_crc=index > 0) for index in range(3)]
    stacks.append(make_stack(service.context, "bob", credit="Bob's garden", licence="CC0-1.0"))
    make_stack(service.context, "bob", public_utc=None)
    client = service.client_for("ann")
    download = made(client, title="everything")
    assert (download["n_stacks"], download["n_missing"]) == (4, 0)
    answer = client.get(download["url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == download["n_bytes"] == len(answer.content)
    lines = manifest(answer.content)
    assert [line["stack_id"] for line in lines] == [str(stack.id) for stack in stacks]
    archive = opened(answer.content)
    for line, stack in zip(lines, stacks, strict=True):
        assert archive.read(line["file"]) == stack.data
        assert line["sha256"] == hashlib.sha256(stack.data).hexdigest()
        assert line["status"] == "ok"
    citation = archive.read("CITATION.txt").decode()
    assert "Bob's garden: 1 stack, CC0-1.0" in citation
    assert "ann: 3 stacks, CC-BY-4.0" in citation
    assert "Stacks: 4, " in archive.read("README.txt").decode()
    whole = answer.content + answer.headers["content-disposition"].encode()
    assert SERIAL.encode() not in whole
    assert str(SITE_LAT).encode() not in whole
    if shutil.which("unzip"):
        path = tmp_path / "crowdsky.zip"
        path.write_bytes(answer.content)
        done = subprocess.run(["unzip", "-t", str(path)], capture_output=True, check=False)
        assert b"No errors detected" in done.stdout, done.stdout


def test_every_range_is_that_part_of_the_whole(sqlite_service: Running) -> None:
    for index in range(3):
        make_stack(sqlite_service.context, "ann", bytes([index]) * (30 + index))
    client = sqlite_service.client_for("ann")
    url = made(client)["url"]
    answer = client.get(url)
    whole, etag = answer.content, answer.headers["etag"]
    n = len(whole)
    for start in range(0, n, 89):
        part = client.get(url, headers={"Range": f"bytes={start}-{min(start + 123, n - 1)}"})
        assert part.status_code == 206
        assert part.content == whole[start : start + 124]
        assert part.headers["content-range"] == f"bytes {start}-{min(start + 123, n - 1)}/{n}"
        assert part.headers["etag"] == etag
    tail = client.get(url, headers={"Range": "bytes=-7", "If-Range": etag})
    assert (tail.status_code, tail.content) == (206, whole[-7:])
    other = client.get(url, headers={"Range": "bytes=-7", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, whole)
    beyond = client.get(url, headers={"Range": f"bytes={n}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{n}"
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == n


def test_nobody_else_has_it(service: Running) -> None:
    make_stack(service.context, "ann")
    ann, bob = service.client_for("ann"), service.client_for("bob")
    download = made(ann)
    for method in ("GET", "HEAD"):
        assert bob.request(method, download["url"]).status_code == 404
    gone = f"/api/v1/downloads/{download['id']}"
    assert bob.delete(gone).status_code == 404
    assert service.client().get(download["url"]).status_code == 401
    assert ann.delete(gone).status_code == 204
    assert ann.delete(gone).status_code == 404
    assert ann.get(download["url"]).status_code == 404


def test_private_and_unknown_stacks_are_missing_alike(service: Running) -> None:
    mine = make_stack(service.context, "ann", public_utc=None)
    hidden = make_stack(service.context, "bob", public_utc=None)
    later = datetime.now(UTC) + timedelta(days=1)
    embargoed = make_stack(service.context, "bob", public_utc=later)
    client = service.client_for("ann")
    download = made(client, ids=[mine.id, hidden.id, embargoed.id, 10**9])
    assert (download["n_stacks"], download["n_missing"]) == (1, 3)
    lines = manifest(client.get(download["url"]).content)
    assert [line["status"] for line in lines] == ["ok"] + ["missing: no such stack"] * 3
    assert lines[1]["sha256"] == lines[1]["target"] == ""
    refused = client.post("/api/v1/downloads", json={"ids": [hidden.id]})
    assert (refused.status_code, refused.json()["error"]) == (404, "NotFound")


def test_a_frozen_archive_stays_what_it_was(service: Running) -> None:
    first = make_stack(service.context, "ann")
    client = service.client_for("ann")
    download = made(client)
    before = client.get(download["url"]).content
    make_stack(service.context, "ann")
    client.patch("/api/v1/me", json={"licence": "CC0-1.0", "credit": "somebody"})
    assert client.get(download["url"]).content == before
    # The stack goes; what was frozen needs its file, and keeps it.
    assert client.delete(f"/api/v1/stacks/{first.id}").status_code == 204
    assert client.get(download["url"]).content == before
    assert [line["stack_id"] for line in manifest(before)] == [str(first.id)]


def test_what_is_missing_or_damaged_is_told(service: Running) -> None:
    here = service.context
    good, gone, short, rotten, found = (make_stack(here, "ann") for _ in range(5))
    unknown = make_stack(here, "ann", knows_crc=False)
    here.store.delete(gone.sha256)
    _damage(here.store.local_path(short.sha256), short.data[:-1])
    with here.archive.writing() as session:
        session.get_one(ObjectRow, rotten.sha256).state = "rotten"
    _damage(here.store.local_path(unknown.sha256), unknown.data[:-1] + b"?")
    client = service.client_for("ann")
    download = made(client)
    assert (download["n_stacks"], download["n_missing"]) == (2, 4)
    data = client.get(download["url"]).content
    told = {int(line["stack_id"]): line["status"] for line in manifest(data)}
    assert told == {
        good.id: "ok",
        found.id: "ok",
        gone.id: "missing: the file is missing",
        short.id: "missing: the file is damaged",
        rotten.id: "missing: the file is damaged",
        unknown.id: "missing: the file is damaged",
    }
    assert "MISSING: 4 stacks" in opened(data).read("README.txt").decode()
    # And one that vanishes later ends the transfer; the next archive tells.
    here.store.delete(found.sha256)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(download["url"])
    again = made(client)
    assert (again["n_stacks"], again["n_missing"]) == (1, 5)
    _damage(here.store.local_path(good.sha256), b"?" + good.data[1:])
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(again["url"])
    assert client.get("/api/v1/health").status_code == 200


def test_crc32s_are_kept(sqlite_service: Running) -> None:
    stack = make_stack(sqlite_service.context, "ann", knows_crc=False)
    made(sqlite_service.client_for("ann"))
    with sqlite_service.context.archive.reading() as session:
        assert session.get_one(ObjectRow, stack.sha256).crc32 is not None


def test_resumes_after_a_cut_at_60_percent(sqlite_service: Running) -> None:
    for index in range(3):
        make_stack(sqlite_service.context, "ann", bytes([index]) * 3_000_000)
    client = sqlite_service.client_for("ann")
    download = made(client)
    whole = client.get(download["url"]).content
    cut = b""
    with client.stream("GET", download["url"]) as answer:
        for piece in answer.iter_raw(65536):
            cut += piece
            if len(cut) > 0.6 * len(whole):
                break
    rest = client.get(download["url"], headers={"Range": f"bytes={len(cut)}-"})
    assert cut + rest.content == whole
    opened(cut + rest.content)


def test_50_at_once_and_one_that_does_not_read(sqlite_service: Running) -> None:
    for index in range(4):
        make_stack(sqlite_service.context, "ann", bytes([index]) * 1_500_000)
    client = sqlite_service.client_for("ann")
    download = made(client)
    whole = hashlib.sha256(client.get(download["url"]).content).hexdigest()
    key = client.headers["authorization"]
    address = httpx.URL(sqlite_service.url)
    lazy = []
    for _ in range(10):
        idle = socket.create_connection((address.host, address.port))
        idle.sendall(
            f"GET {download['url']} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode()
        )
        lazy.append(idle)

    def fetch(_number: int) -> str:
        with httpx.Client(base_url=sqlite_service.url, timeout=60, trust_env=False) as other:
            answer = other.get(download["url"], headers={"Authorization": key})
        return hashlib.sha256(answer.content).hexdigest()

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(fetch, range(50))) == {whole}
    for idle in lazy:
        idle.close()
    assert client.get("/api/v1/health").status_code == 200


def test_formulas_and_paths_in_names(sqlite_service: Running) -> None:
    make_stack(sqlite_service.context, "ann", target="=cmd()|' /C calc'!A0", label="../../etc/x")
    make_stack(sqlite_service.context, "ann", target="<script>\r\n@x", label="../../etc/x")
    client = sqlite_service.client_for("ann")
    data = client.get(made(client)["url"]).content
    assert sorted(name.rpartition("_")[0] for name in opened(data).namelist()[3:]) == [
        "stacks/etc_x",
        "stacks/etc_x",
    ]
    assert len(set(opened(data).namelist())) == 5
    assert [line["target"] for line in manifest(data)] == [
        "'=cmd()|' /C calc'!A0",
        "<script>  @x",
    ]


def test_refusals_say_the_rule(sqlite_service: Running) -> None:
    client = sqlite_service.client_for("ann")
    none = client.post("/api/v1/downloads", json={})
    assert (none.status_code, none.json()["message"]) == (404, "no stack is selected")
    assert client.post("/api/v1/downloads", json={"ide": [1]}).status_code == 422
    assert client.post("/api/v1/downloads", json={"ids": [0]}).status_code == 400
    assert client.get("/api/v1/downloads/%2e%2e/crowdsky.zip").status_code == 404
    writer = sqlite_service.client_for("ann", scopes=("write",))
    assert writer.post("/api/v1/downloads", json={}).status_code == 403


def _damage(path: Path | None, data: bytes) -> None:
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(data)
