"""The tus protocol, request by request, against a real server."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import unquote

import httpx
import pytest

from tests.api.uploads_process import (
    OCTETS,
    Service,
    create,
    metadata,
    nursery,
    send,
    wait_until,
)
from tests.frames.fits_files import sub_bytes

pytestmark = [pytest.mark.enable_socket]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with nursery() as parent:
        yield parent.start(
            tmp_path_factory.mktemp("service"),
            settings={
                "CROWDSKY_MAX_FILE_MB": "1",
                "CROWDSKY_MAX_ARCHIVE_MB": "20",
                "CROWDSKY_REQUESTS_PER_MINUTE": "100000",
            },
        )


@pytest.fixture
def alice(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def frame(number: int) -> bytes:
    """A frame that no other test sends."""
    return sub_bytes(OBJECT=f"frame {number}")


def offset_of(client: httpx.Client, path: str) -> int:
    response = client.head(path)
    assert response.status_code == 200
    return int(response.headers["Upload-Offset"])


def state_of(client: httpx.Client, path: str) -> dict[str, object]:
    return dict(client.get(path).json())


# --- what the server speaks -----------------------------------------------------------------------


def test_options_need_no_login(service: Service) -> None:
    response = httpx.options(f"{service.address}/api/v1/uploads")
    assert response.status_code == 204
    assert response.headers["Tus-Resumable"] == "1.0.0"
    assert response.headers["Tus-Version"] == "1.0.0"
    assert response.headers["Tus-Max-Size"] == "20000000"
    assert response.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,sha512,md5"
    assert set(response.headers["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "creation-defer-length", "checksum",
        "concatenation", "expiration", "termination",
    }  # fmt: skip


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1"])
def test_another_version_is_refused(alice: httpx.Client, version: str | None) -> None:
    del alice.headers["Tus-Resumable"]
    headers = {"Upload-Length": "3"} | ({"Tus-Resumable": version} if version else {})
    response = alice.post("/api/v1/uploads", headers=headers)
    assert response.status_code == 412
    assert response.headers["Tus-Version"] == "1.0.0"


def test_the_protocol_is_in_the_api_page(alice: httpx.Client) -> None:
    paths = alice.get("/api/openapi.json").json()["paths"]
    assert set(paths["/api/v1/uploads"]) == {"get", "post", "options"}
    assert set(paths["/api/v1/uploads/{upload_id}"]) == {"get", "head", "patch", "delete"}


# --- creation -------------------------------------------------------------------------------------


def test_an_upload_in_one_piece(alice: httpx.Client) -> None:
    content = frame(1)
    announced = metadata("Light_M 94.fit", hashlib.sha256(content).hexdigest())
    response = alice.post(
        "/api/v1/uploads", headers={"Upload-Length": str(len(content)), **announced}
    )
    assert response.status_code == 201
    assert "Upload-Expires" in response.headers
    path = response.headers["Location"]
    response = alice.head(path)
    assert response.headers["Upload-Offset"] == "0"
    assert response.headers["Upload-Length"] == str(len(content))
    assert response.headers["Upload-Metadata"] == announced["Upload-Metadata"]
    assert response.headers["Cache-Control"] == "no-store"
    response = send(alice, path, 0, content)
    assert response.status_code == 204
    assert response.headers["Upload-Offset"] == str(len(content))
    assert response.headers["Upload-Outcome"] == "accepted"
    state = state_of(alice, path)
    assert state["state"] == "accepted"
    assert state["sha256"] == hashlib.sha256(content).hexdigest()
    (item,) = state["items"]  # type: ignore[misc]
    assert (item["name"], item["outcome"], item["reason"]) == ("Light_M 94.fit", "accepted", "")
    assert isinstance(item["frame_id"], int)
    again = alice.head(path)
    assert (again.headers["Upload-Offset"], again.headers["Upload-Outcome"]) == (
        str(len(content)),
        "accepted",
    )


def test_creation_with_upload_in_one_request(alice: httpx.Client) -> None:
    content = frame(2)
    headers = {"Upload-Length": str(len(content)), **metadata("a.fit"), **OCTETS}
    response = alice.post("/api/v1/uploads", headers=headers, content=content)
    assert response.status_code == 201
    assert response.headers["Upload-Offset"] == str(len(content))
    assert response.headers["Upload-Outcome"] == "accepted"


def test_creation_with_a_first_part(alice: httpx.Client) -> None:
    content = frame(3)
    headers = {"Upload-Length": str(len(content)), **metadata("a.fit"), **OCTETS}
    response = alice.post("/api/v1/uploads", headers=headers, content=content[:1000])
    assert response.headers["Upload-Offset"] == "1000"
    assert "Upload-Outcome" not in response.headers
    response = send(alice, response.headers["Location"], 1000, content[1000:])
    assert response.headers["Upload-Outcome"] == "accepted"


def test_many_small_parts(alice: httpx.Client) -> None:
    content = frame(4)
    path = create(alice, len(content))
    for start in range(0, len(content), 999):
        assert offset_of(alice, path) == start
        response = send(alice, path, start, content[start : start + 999])
        assert response.status_code == 204
    assert response.headers["Upload-Outcome"] == "accepted"
    assert state_of(alice, path)["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_length_that_is_told_later(alice: httpx.Client) -> None:
    content = frame(5)
    response = alice.post(
        "/api/v1/uploads", headers={"Upload-Defer-Length": "1", **metadata("a.fit")}
    )
    path = response.headers["Location"]
    assert alice.head(path).headers["Upload-Defer-Length"] == "1"
    send(alice, path, 0, content[:500])
    assert "Upload-Length" not in alice.head(path).headers
    length = {"Upload-Length": str(len(content))}
    response = send(alice, path, 500, content[500:], **length)
    assert response.headers["Upload-Outcome"] == "accepted"


def test_an_unknown_length_has_an_end(alice: httpx.Client) -> None:
    response = alice.post(
        "/api/v1/uploads", headers={"Upload-Defer-Length": "1", **metadata("a.fit")}
    )
    path = response.headers["Location"]
    response = send(alice, path, 0, bytes(1_000_001))
    assert response.status_code == 413
    assert response.json()["limit"] == 1_000_000
    assert offset_of(alice, path) == 0


def test_an_empty_file_is_refused_in_plain_words(alice: httpx.Client) -> None:
    response = alice.post("/api/v1/uploads", headers={"Upload-Length": "0", **metadata("a.fit")})
    assert response.status_code == 201
    assert response.headers["Upload-Outcome"] == "refused"
    assert unquote(response.headers["Upload-Reason"]) == "not a FITS file: it is empty"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "the header Upload-Length is needed"),
        ({"Upload-Length": "-1"}, "-1: Upload-Length is a whole number of bytes"),
        ({"Upload-Length": "1e3"}, "1e3: Upload-Length is a whole number of bytes"),
        ({"Upload-Length": "9" * 30}, f"{'9' * 30}: Upload-Length is a whole number of bytes"),
        (
            {"Upload-Length": "1", "Upload-Defer-Length": "1"},
            "either Upload-Length or Upload-Defer-Length: 1 is needed",
        ),
        (
            {"Upload-Defer-Length": "2"},
            "either Upload-Length or Upload-Defer-Length: 1 is needed",
        ),
        (
            {"Upload-Length": "1", "Upload-Metadata": "filename ###"},
            "###: Upload-Metadata holds values in Base64",
        ),
        (
            {"Upload-Length": "1", "Upload-Metadata": "a YQ==,a YQ=="},
            "a YQ==: Upload-Metadata has keys, each once",
        ),
        (
            {"Upload-Length": "1", "Upload-Metadata": "sha256 YWJj"},
            "the sha256 of Upload-Metadata is 64 hexadecimal digits",
        ),
        (
            {"Upload-Length": "1", "Upload-Concat": "some"},
            "Upload-Concat is 'partial' or 'final;' and uploads",
        ),
    ],
)
def test_headers_that_make_no_sense(
    alice: httpx.Client, headers: dict[str, str], message: str
) -> None:
    response = alice.post("/api/v1/uploads", headers=headers)
    assert response.status_code == 400
    assert response.json() == {"error": "UploadError", "message": message}
    assert response.headers["Tus-Resumable"] == "1.0.0"


@pytest.mark.parametrize(
    ("name", "length", "limit"),
    [("a.fit", 1_000_001, 1_000_000), ("a.zip", 20_000_001, 20_000_000)],
)
def test_sizes_are_refused_before_a_byte_is_sent(
    alice: httpx.Client, name: str, length: int, limit: int
) -> None:
    response = alice.post(
        "/api/v1/uploads", headers={"Upload-Length": str(length), **metadata(name)}
    )
    assert response.status_code == 413
    assert response.json()["limit"] == limit
    what = "a frame" if name == "a.fit" else "an archive"
    assert response.json()["message"] == (
        f"{name}: {length} bytes: {what} has at most {limit // 1_000_000} MB"
    )


# --- offsets --------------------------------------------------------------------------------------


def test_a_wrong_offset_changes_nothing(alice: httpx.Client) -> None:
    content = frame(6)
    path = create(alice, len(content))
    send(alice, path, 0, content[:100])
    for wrong in (0, 99, 101, 10**15):
        response = send(alice, path, wrong, content[100:200])
        assert response.status_code == 409
        assert response.json()["offset"] == 100
    assert offset_of(alice, path) == 100
    assert send(alice, path, 100, content[100:]).headers["Upload-Outcome"] == "accepted"


@pytest.mark.parametrize("chunked", [False, True])
def test_more_than_was_announced_is_refused(alice: httpx.Client, chunked: bool) -> None:
    content = frame(7)
    path = create(alice, len(content))
    too_much = content + b"x"
    response = send(alice, path, 0, iter([too_much]) if chunked else too_much)
    assert response.status_code == 413
    assert offset_of(alice, path) == 0
    assert state_of(alice, path)["state"] == "open"


def test_a_patch_is_what_it_says(alice: httpx.Client) -> None:
    path = create(alice, 10)
    headers = {"Upload-Offset": "0", "Content-Type": "application/json"}
    assert alice.patch(path, headers=headers, content=b"x").status_code == 415
    assert alice.patch(path, headers=OCTETS, content=b"x").status_code == 400
    assert send(alice, path, -1, b"x").status_code == 400
    assert offset_of(alice, path) == 0


def test_the_last_answer_may_be_lost(alice: httpx.Client) -> None:
    content = frame(8)
    path = create(alice, len(content))
    send(alice, path, 0, content)
    response = send(alice, path, len(content), b"")
    assert response.status_code == 204
    assert response.headers["Upload-Outcome"] == "accepted"


def test_a_body_that_is_cut_keeps_what_arrived(service: Service, alice: httpx.Client) -> None:
    content = frame(9)
    path = create(alice, len(content))
    connection = begin_patch(service, path, len(content))
    connection.sendall(content[:4321])
    time.sleep(0.2)  # the server drops what it has not handed on when a connection ends
    connection.close()
    wait_until(lambda: offset_of(alice, path) == 4321, "what arrived was not kept")
    assert send(alice, path, 4321, content[4321:]).headers["Upload-Outcome"] == "accepted"


def test_a_newer_request_evicts_one_that_hangs(service: Service, alice: httpx.Client) -> None:
    content = frame(10)
    path = create(alice, len(content))
    with begin_patch(service, path, len(content)) as hung:
        hung.sendall(content[:3000])
        time.sleep(0.2)  # so that its bytes are here
        response = send(alice, path, 0, content)
        # What had come by the old request counts, so the new one learns where to go on.
        assert response.status_code == 409
        assert response.json()["offset"] == 3000
        response = send(alice, path, 3000, content[3000:])
        assert response.headers["Upload-Outcome"] == "accepted"
        hung.settimeout(10)
        assert b" 409 " in hung.recv(100)


def test_two_senders_never_mix(service: Service, alice: httpx.Client) -> None:
    content = bytes(200) + frame(11)
    path = create(alice, len(content), "a.zip")
    answers: list[int] = []

    def sender() -> None:
        with service.client() as client:
            offset = 0
            while offset < len(content):
                response = send(client, path, offset, content[offset : offset + 500])
                answers.append(response.status_code)
                assert response.status_code in (204, 409)
                offset = offset_of(client, path)

    threads = [threading.Thread(target=sender) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: state_of(alice, path)["state"] == "refused", "not looked at")
    assert state_of(alice, path)["sha256"] == hashlib.sha256(content).hexdigest()


def begin_patch(service: Service, path: str, length: int) -> socket.socket:
    """The head of a PATCH; the body is the caller's to send, or not."""
    connection = socket.create_connection(("127.0.0.1", service.port), 10)
    connection.sendall(
        f"PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.key}\r\n"
        f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: {length}\r\n"
        "Content-Type: application/offset+octet-stream\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    assert b"100" in connection.recv(1000)  # from here on the body is awaited
    return connection
