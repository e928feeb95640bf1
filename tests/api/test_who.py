"""Who asks: keys and their scopes, and what is told to those who have none."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from crowdsky.archive.accounts import ensure_observer, set_state
from crowdsky.archive.keys import create_key, revoke_key
from crowdsky.archive.models import ApiKey

pytestmark = [pytest.mark.enable_socket]

WRONG = "the key or token is not known, has expired or was revoked"
UNKNOWN = "csk_" + "x" * 43


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_anything_there_is_401(sqlite_service: Any) -> None:
    answer = sqlite_service.client().get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="crowdsky"'
    assert answer.json() == {
        "error": "NotAuthenticated",
        "message": "sign in, or send an API key: 'Authorization: Bearer csk_...'",
    }


@pytest.mark.parametrize(
    "shown", ["Basic " + base64.b64encode(b"ann:x").decode(), "Bearer", "csk_" + "x" * 43, ""]
)
def test_a_header_of_another_form(sqlite_service: Any, shown: str) -> None:
    answer = sqlite_service.client({"Authorization": shown}).get("/api/v1/me")
    assert answer.status_code == 401
    assert answer.json()["message"] == "the header is 'Authorization: Bearer ...'"


def test_every_key_that_is_no_good_is_told_the_same(service: Any) -> None:
    archive = service.context.archive
    ann = ensure_observer(archive, "ann")
    gone = ensure_observer(archive, "gone")
    key_id, revoked = create_key(archive, ann, "revoked")
    revoke_key(archive, ann, key_id)
    key_id, expired = create_key(archive, ann, "expired", days=1)
    with archive.writing() as session:
        session.execute(
            update(ApiKey)
            .where(ApiKey.id == key_id)
            .values(expires_utc=datetime.now(UTC) - timedelta(seconds=1))
        )
    _, orphan = create_key(archive, gone, "of a closed account")
    set_state(archive, gone, "deactivated")
    client = service.client()
    for key in (UNKNOWN, revoked, expired, orphan, "csk_short", "token-of-no-hub", UNKNOWN + "é"):
        answer = client.get("/api/v1/me", headers={b"Authorization": f"Bearer {key}".encode()})
        assert answer.status_code == 401
        assert answer.json()["message"] == WRONG
        assert key not in answer.text


def test_scopes(sqlite_service: Any) -> None:
    reader = sqlite_service.client_for("ann", ("read",))
    assert reader.get("/api/v1/jobs").status_code == 200
    for method, path in (
        ("POST", "/api/v1/finalise"),
        ("DELETE", "/api/v1/jobs/1"),
        ("POST", "/api/v1/jobs/1/retry"),
    ):
        refused = reader.request(method, path)
        assert refused.status_code == 403
        assert refused.json() == {
            "error": "NotPermitted",
            "message": "this needs the scope 'write', which the key does not have",
            "scope": "write",
        }
    for method, path in (
        ("GET", "/api/v1/keys"),
        ("GET", "/api/v1/me/export"),
        ("PATCH", "/api/v1/me"),
    ):
        assert reader.request(method, path, json={}).json()["scope"] == "account"
    writer = sqlite_service.client_for("ann", ("write",))
    assert writer.get("/api/v1/jobs").json()["scope"] == "read"
    assert writer.post("/api/v1/finalise").status_code == 200
    assert writer.get("/api/v1/me").status_code == 200


def test_a_revoked_key_opens_nothing_within_seconds(service: Any, wait_until: Any) -> None:
    """Also where it was revoked by another process, which this one is not told of."""
    archive = service.context.archive
    ann = ensure_observer(archive, "ann")
    key_id, key = create_key(archive, ann, "laptop")
    client = service.client(bearer(key))
    assert client.get("/api/v1/me").status_code == 200
    revoke_key(archive, ann, key_id)
    wait_until(lambda: client.get("/api/v1/me").status_code == 401, "the key is refused", 10.0)


def test_operators_are_named_by_the_settings(strict_service: Any) -> None:
    with strict_service(operators=("olga",)) as service:
        assert service.client_for("olga").get("/api/v1/me").json()["is_operator"] is True
        assert service.client_for("ann").get("/api/v1/me").json()["is_operator"] is False


@pytest.mark.parametrize(
    "query",
    [
        f"?token={UNKNOWN}",
        "?api_key=x",
        "?KEY=x",
        f"?x={UNKNOWN}",
        "?access_token=",
        "?a=1;token=x",
    ],
)
def test_a_key_in_an_address_is_refused(sqlite_service: Any, query: str) -> None:
    ann = sqlite_service.client_for("ann")
    for path in ("/api/v1/me", "/api/v1/health", "/api/v1/nothing"):
        answer = ann.get(path + query)
        if ";" in query:  # one parameter called "a", whatever it holds
            assert answer.status_code in (200, 404)
            continue
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("a key does not belong into an address")
        assert "csk_x" not in answer.text


def test_a_cookie_is_nothing_without_a_hub(sqlite_service: Any) -> None:
    client = sqlite_service.client({"Cookie": "crowdsky-session=x"})
    assert client.get("/api/v1/me").status_code == 401
    for path in ("/login", "/oauth_callback?code=x&state=y"):
        assert client.get(path).status_code == 404


def test_wrong_keys_are_counted_by_address(sqlite_service: Any) -> None:
    ann, guesser = sqlite_service.client_for("ann"), sqlite_service.client()
    assert ann.get("/api/v1/me").status_code == 200
    statuses = [
        guesser.get("/api/v1/me", headers=bearer(f"csk_{number:043d}")).status_code
        for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    refused = guesser.get("/api/v1/me", headers=bearer(UNKNOWN))
    assert refused.json()["error"] == "LimitExceeded"
    assert refused.json()["message"] == "more than 10 wrong keys in a minute came from this address"
    assert refused.json()["limit"] == 10
    assert 1 <= int(refused.headers["retry-after"]) <= 6
    # Whoever was here with a good key is not locked out by a neighbour behind the same address.
    assert ann.get("/api/v1/me").status_code == 200
    # A good key that was not seen before has to wait: a guess could be right as well.
    assert sqlite_service.client_for("bob").get("/api/v1/me").status_code == 429
    elsewhere = {**bearer(UNKNOWN), "X-Forwarded-For": "203.0.113.9"}
    assert guesser.get("/api/v1/me", headers=elsewhere).status_code == 401


def test_a_closed_account_is_told_so_at_the_hub_only(sqlite_service: Any) -> None:
    from crowdsky.api.who import Doorkeeper
    from crowdsky.errors import NotPermitted

    archive = sqlite_service.context.archive
    set_state(archive, ensure_observer(archive, "ann"), "deactivated")
    with pytest.raises(NotPermitted, match="this account is closed"):
        Doorkeeper(sqlite_service.context)._observer("ann", "session")


def test_nobody_may_read_answers_from_another_site(sqlite_service: Any) -> None:
    ann = sqlite_service.client_for("ann")
    answer = ann.get("/api/v1/me", headers={"Origin": "https://example.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    asked = httpx.options(
        f"{sqlite_service.url}/api/v1/me",
        headers={"Origin": "https://example.org", "Access-Control-Request-Method": "PATCH"},
        trust_env=False,
    )
    assert asked.status_code == 405
