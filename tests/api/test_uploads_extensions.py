"""The extensions of tus, whose uploads they are, and what need not be sent."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterator
from itertools import pairwise
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
    upload,
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


# --- checksums ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
def test_a_right_checksum(alice: httpx.Client, algorithm: str) -> None:
    content = frame(12) + algorithm.encode()
    path = create(alice, len(content))
    assert send(alice, path, 0, content[:777], **checksum(algorithm, content[:777])).is_success
    response = send(alice, path, 777, content[777:], **checksum(algorithm, content[777:]))
    assert response.headers["Upload-Outcome"] == "accepted"


def test_a_wrong_checksum_discards_the_part(alice: httpx.Client) -> None:
    content = frame(13)
    path = create(alice, len(content))
    send(alice, path, 0, content[:1000])
    response = send(alice, path, 1000, content[1000:], **checksum("sha1", b"other"))
    assert response.status_code == 460
    assert response.json()["message"] == "the sha1 of the body is not the announced one"
    assert offset_of(alice, path) == 1000
    response = send(alice, path, 1000, content[1000:], **checksum("sha1", content[1000:]))
    assert response.headers["Upload-Outcome"] == "accepted"
    assert state_of(alice, path)["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_wrong_checksum_at_creation_leaves_nothing(alice: httpx.Client) -> None:
    before = len(alice.get("/api/v1/uploads?limit=1000").json()["uploads"])
    content = frame(14)
    headers = {"Upload-Length": str(len(content)), **metadata("a.fit"), **OCTETS}
    response = alice.post(
        "/api/v1/uploads", headers=headers | checksum("md5", b"other"), content=content
    )
    assert response.status_code == 460
    assert len(alice.get("/api/v1/uploads?limit=1000").json()["uploads"]) == before


@pytest.mark.parametrize("value", ["crc99 AAAA", "sha1", "sha1 !!!", "sha1 YWJj"])
def test_a_checksum_that_is_none(alice: httpx.Client, value: str) -> None:
    path = create(alice, 3)
    assert send(alice, path, 0, b"abc", **{"Upload-Checksum": value}).status_code == 400


def test_the_announced_hash_of_the_file_is_verified(alice: httpx.Client) -> None:
    content = frame(15)
    announced = metadata("a.fit", hashlib.sha256(b"other").hexdigest())
    path = create(alice, len(content), **announced)
    response = send(alice, path, 0, content)
    assert response.status_code == 204
    assert response.headers["Upload-Outcome"] == "refused"
    reason = "the SHA-256 of the file is not the announced one"
    assert unquote(response.headers["Upload-Reason"]) == reason
    state = state_of(alice, path)
    assert (state["state"], state["reason"]) == ("refused", reason)
    assert state["sha256"] == hashlib.sha256(content).hexdigest()


def checksum(algorithm: str, content: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}


# --- concatenation and termination ----------------------------------------------------------------


def test_parts_are_joined_in_the_order_asked_for(service: Service, alice: httpx.Client) -> None:
    content = frame(16)
    cuts = [0, 1000, 5000, len(content)]
    pieces = [content[a:b] for a, b in pairwise(cuts)]
    paths = [create(alice, len(piece), **{"Upload-Concat": "partial"}) for piece in pieces]
    for path, piece in reversed(list(zip(paths, pieces, strict=True))):
        response = send(alice, path, 0, piece)
        assert response.status_code == 204
        assert "Upload-Outcome" not in response.headers
    assert alice.head(paths[0]).headers["Upload-Concat"] == "partial"
    # Addresses as a client has them: some relative, some whole.
    listing = f"{paths[0]} {service.address}{paths[1]} {paths[2]}"
    joined = {"Upload-Concat": f"final;{listing}", **metadata("joined.fit")}
    for outcome in ("accepted", "duplicate"):  # the second: the first answer was lost
        response = alice.post("/api/v1/uploads", headers=joined)
        assert response.status_code == 201
        assert response.headers["Upload-Outcome"] == outcome
    path = response.headers["Location"]
    response = alice.head(path)
    assert response.headers["Upload-Concat"] == f"final;{listing}"
    assert response.headers["Upload-Length"] == str(len(content))
    assert state_of(alice, path)["sha256"] == hashlib.sha256(content).hexdigest()
    assert send(alice, path, len(content), b"x").status_code == 403


def test_unfinished_or_foreign_parts_are_not_joined(service: Service, alice: httpx.Client) -> None:
    part = create(alice, 10, **{"Upload-Concat": "partial"})
    send(alice, part, 0, b"12345")
    whole = create(alice, 10)
    for path in (part, whole):
        response = alice.post("/api/v1/uploads", headers={"Upload-Concat": f"final;{path}"})
        assert response.status_code == 409
    with service.client("bob") as bob:
        response = bob.post("/api/v1/uploads", headers={"Upload-Concat": f"final;{part}"})
        assert response.status_code == 404


def test_an_upload_that_is_given_up_is_gone(alice: httpx.Client) -> None:
    path = create(alice, 10)
    send(alice, path, 0, b"12345")
    assert alice.delete(path).status_code == 204
    assert alice.head(path).status_code == 404
    assert "Upload-Offset" not in alice.head(path).headers
    assert send(alice, path, 5, b"6").status_code == 404
    assert alice.delete(path).status_code == 404


def test_methods_in_disguise(alice: httpx.Client) -> None:
    content = frame(17)
    path = create(alice, len(content))
    disguised = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", **OCTETS}
    response = alice.post(path, headers=disguised, content=content)
    assert response.headers["Upload-Outcome"] == "accepted"
    assert alice.post(path, headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert alice.post(path, headers={"X-HTTP-Method-Override": "PUT"}).status_code == 405


# --- whose they are -------------------------------------------------------------------------------


def test_another_users_upload_is_not_found(service: Service, alice: httpx.Client) -> None:
    content = frame(18)
    path = create(alice, len(content))
    send(alice, path, 0, content[:10])
    with service.client("bob") as bob:
        answers = [
            bob.head(path), bob.get(path), bob.delete(path), send(bob, path, 10, content[10:]),
        ]  # fmt: skip
        assert [answer.status_code for answer in answers] == [404] * 4
        assert bob.get("/api/v1/uploads").json() == {"uploads": [], "next_after": None}
        assert bob.get(f"/api/v1/uploads?after={path.rsplit('/', 1)[1]}").status_code == 404
    assert offset_of(alice, path) == 10
    assert send(alice, path, 10, content[10:]).headers["Upload-Outcome"] == "accepted"


def test_without_a_key_or_its_scope(service: Service) -> None:
    with httpx.Client(base_url=service.address, headers={"Tus-Resumable": "1.0.0"}) as anybody:
        assert anybody.post("/api/v1/uploads", headers={"Upload-Length": "1"}).status_code == 401
        assert anybody.get("/api/v1/uploads").status_code == 401
    with service.client("reader") as reader:
        assert reader.post("/api/v1/uploads", headers={"Upload-Length": "1"}).status_code == 403


def test_what_is_here_need_not_be_sent(service: Service, alice: httpx.Client) -> None:
    content = frame(19)
    digest, other = hashlib.sha256(content).hexdigest(), hashlib.sha256(b"other").hexdigest()
    question = {"sha256": [other, digest, digest]}
    assert alice.post("/api/v1/uploads/have", json=question).json() == {"have": []}
    assert upload(alice, content).headers["Upload-Outcome"] == "accepted"
    assert alice.post("/api/v1/uploads/have", json=question).json() == {"have": [digest]}
    with service.client("bob") as bob:
        assert bob.post("/api/v1/uploads/have", json=question).json() == {"have": []}
    response = upload(alice, content, "under another name.fit")
    assert response.headers["Upload-Outcome"] == "duplicate"
    assert unquote(response.headers["Upload-Reason"]) == "already here as a.fit"
    assert alice.post("/api/v1/uploads/have", json={"sha256": ["x"]}).status_code == 422


def test_the_list_goes_back_page_by_page(service: Service) -> None:
    with service.client("bob") as bob:
        for name in ("1.fit", "2.fit", "3.fit"):
            create(bob, 5, name)
        first = bob.get("/api/v1/uploads?limit=2").json()
        assert [one["name"] for one in first["uploads"]] == ["3.fit", "2.fit"]
        rest = bob.get(f"/api/v1/uploads?limit=2&after={first['next_after']}").json()
        assert [one["name"] for one in rest["uploads"]] == ["1.fit"]
        assert rest["next_after"] is None
        assert bob.get("/api/v1/uploads?state=accepted").json()["uploads"] == []


def test_a_packed_frame_is_unpacked(alice: httpx.Client) -> None:
    response = upload(alice, gzip.compress(frame(20)), "Light.fit.gz")
    assert response.headers["Upload-Outcome"] == "accepted"


def test_a_packed_bomb_is_refused_and_the_service_goes_on(
    service: Service, alice: httpx.Client
) -> None:
    response = upload(alice, gzip.compress(sub_bytes() + bytes(60_000_000)), "bomb.fit.gz")
    assert (response.status_code, response.headers["Upload-Outcome"]) == (204, "refused")
    reason = unquote(response.headers["Upload-Reason"])
    assert reason == "a frame has at most 1000000 bytes"
    assert not any(path.is_file() for path in (service.home / "scratch" / "unpack").rglob("*"))
    assert upload(alice, frame(21)).headers["Upload-Outcome"] == "accepted"
