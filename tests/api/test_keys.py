"""Keys, as their owner handles them."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.enable_socket]


def test_a_key_from_its_making_to_its_end(service: Any) -> None:
    ann = service.client_for("ann")
    made = ann.post("/api/v1/keys", json={"name": "telescope", "scopes": ["write"], "days": 30})
    assert made.status_code == 201
    key = made.json()
    assert key["key"].startswith("csk_")
    listed = ann.get("/api/v1/keys").json()["keys"]
    entry = next(one for one in listed if one["id"] == key["id"])
    assert (entry["name"], entry["scopes"]) == ("telescope", ["write"])
    assert entry["expires_utc"].endswith("Z")
    assert entry["used_utc"] is None
    assert key["key"] not in ann.get("/api/v1/keys").text

    script = service.client({"Authorization": f"Bearer {key['key']}"})
    assert script.post("/api/v1/finalise").status_code == 200
    assert script.get("/api/v1/jobs").status_code == 403
    for _ in range(2):
        assert ann.delete(f"/api/v1/keys/{key['id']}").status_code == 204
        assert script.post("/api/v1/finalise").status_code == 401
    entry = next(one for one in ann.get("/api/v1/keys").json()["keys"] if one["id"] == key["id"])
    assert entry["revoked_utc"].endswith("Z")
    assert entry["used_utc"].endswith("Z")
    # The name of a revoked key is free again.
    assert ann.post("/api/v1/keys", json={"name": "telescope"}).status_code == 201
    twice = ann.post("/api/v1/keys", json={"name": "telescope"})
    assert twice.status_code == 409
    assert twice.json()["message"] == "telescope: there is a key of this name"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "x" * 81}, 422),
        ({"name": "a\nb"}, 409),
        ({"name": "x", "scopes": []}, 422),
        ({"name": "x", "scopes": ["everything"]}, 409),
        ({"name": "x", "days": 0}, 422),
        ({"name": "x", "days": 1e9}, 422),
        ({"name": "x", "days": "NaN"}, 422),
        ({"name": "x", "admin": True}, 422),
        ({}, 422),
        ([], 422),
    ],
)
def test_a_key_that_cannot_be(sqlite_service: Any, body: Any, status: int) -> None:
    ann = sqlite_service.client_for("ann")
    n_keys = len(ann.get("/api/v1/keys").json()["keys"])
    assert ann.post("/api/v1/keys", json=body).status_code == status
    assert len(ann.get("/api/v1/keys").json()["keys"]) == n_keys


def test_a_key_opens_no_more_than_what_made_it(sqlite_service: Any) -> None:
    clerk = sqlite_service.client_for("ann", ("account",))
    refused = clerk.post("/api/v1/keys", json={"name": "more", "scopes": ["account", "write"]})
    assert refused.status_code == 403
    assert refused.json()["message"] == "write: a key opens no more than what made it"
    assert clerk.post("/api/v1/keys", json={"name": "as much", "scopes": ["account"]}).is_success
