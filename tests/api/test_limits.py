"""Rates and sizes, and that memory for them stays flat."""

from __future__ import annotations

from typing import Any

import pytest

from crowdsky.api.limits import Recent, TokenBuckets, WrongKeys
from crowdsky.errors import LimitExceeded

pytestmark = [pytest.mark.enable_socket]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills() -> None:
    clock = Clock()
    buckets = TokenBuckets(6, clock)
    assert [buckets.take("a") for _ in range(7)] == [0.0] * 6 + [10.0]
    assert buckets.take("b") == 0.0
    clock.now += 9.0
    assert buckets.take("a") == pytest.approx(1.0)
    clock.now += 1.0
    assert buckets.take("a") == 0.0
    assert buckets.take("a") == pytest.approx(10.0)
    clock.now += 3600.0
    assert [buckets.take("a") for _ in range(7)] == [0.0] * 6 + [10.0]


def test_memory_is_bounded() -> None:
    buckets, wrong, recent = TokenBuckets(6), WrongKeys(), Recent[int](60.0, most=100)
    for number in range(30_000):
        buckets.take(f"address {number}")
        wrong.note(f"address {number}")
        recent.put(number, number)
    assert len(buckets) == len(wrong._buckets) == 20_000
    assert len(recent) == 100


def test_what_is_remembered_is_forgotten() -> None:
    clock = Clock()
    recent: Recent[int] = Recent(10.0, clock=clock)
    recent.put("a", 1)
    recent.put("b", 2)
    clock.now += 9.9
    assert recent.get("a") == 1
    recent.forget(lambda value: value == 1)
    assert recent.get("a") is None
    clock.now += 0.1
    assert recent.get("b") is None
    assert len(recent) == 0


def test_wrong_keys_let_an_address_wait() -> None:
    clock = Clock()
    wrong = WrongKeys(3, clock)
    for _ in range(3):
        wrong.check("a")
        wrong.note("a")
    with pytest.raises(LimitExceeded, match="more than 3 wrong keys in a minute") as refused:
        wrong.check("a")
    assert refused.value.numbers["retry_after_s"] == 20.0
    wrong.check("b")
    clock.now += 20.1
    wrong.check("a")


def test_requests_are_counted_by_key(strict_service: Any) -> None:
    with strict_service(requests_per_minute=20) as service:
        ann, bob = service.client_for("ann"), service.client_for("bob")
        answers = [ann.get("/api/v1/books") for _ in range(22)]
        statuses = [answer.status_code for answer in answers]
        # The first one came from an address; only then it was known whose key it was.
        assert statuses == [200] * 21 + [429]
        refused = answers[-1]
        assert refused.json()["message"] == "more than 20 requests in a minute"
        assert refused.json()["limit"] == 20
        assert int(refused.headers["retry-after"]) >= 1
        assert bob.get("/api/v1/books").status_code == 200
        # Whether it lives can always be asked; parts of an upload are not counted.
        assert all(ann.get("/api/v1/health").status_code == 200 for _ in range(30))
        tus = {"Tus-Resumable": "1.0.0"}
        unknown = f"/api/v1/uploads/{0:032x}"
        assert {ann.head(unknown, headers=tus).status_code for _ in range(30)} == {404}


def test_strangers_are_counted_by_address(strict_service: Any) -> None:
    with strict_service(requests_per_minute=5) as service:
        stranger = service.client()
        assert [stranger.get("/api/v1/me").status_code for _ in range(7)] == [401] * 5 + [429] * 2
        tus = {"Tus-Resumable": "1.0.0"}
        assert stranger.head("/api/v1/uploads/x", headers=tus).status_code == 429


BIG = b" " * (9 << 20)


@pytest.mark.parametrize("headers", [{}, {"Tus-Resumable": "1.0.0"}])
@pytest.mark.parametrize("path", ["uploads/have", "finalise", "keys"])
def test_a_body_is_bounded_whatever_its_headers_say(
    sqlite_service: Any, path: str, headers: dict[str, str]
) -> None:
    def pieces() -> Any:
        for start in range(0, len(BIG), 1 << 16):
            yield BIG[start : start + (1 << 16)]

    kind = {"Content-Type": "application/json"}
    for content in (BIG, pieces()):
        with sqlite_service.client() as stranger:
            answer = stranger.post(f"/api/v1/{path}", content=content, headers=kind | headers)
        assert answer.status_code == 413, path
        assert answer.json()["limit"] == 8 << 20
