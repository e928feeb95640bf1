"""The account: privacy, export and the end."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from crowdsky.archive.commit import commit_stack
from crowdsky.archive.models import Job, Observer, StackRow
from crowdsky.archive.queue import lease_jobs
from tests.archive.queue_rows import make_jobs, make_observer, new_stack

pytestmark = [pytest.mark.enable_socket]


def test_privacy_also_of_what_exists(service: Any) -> None:
    archive = service.context.archive
    ann = make_observer(archive, "ann")
    [made] = make_jobs(archive, ann, 1)
    [lease] = lease_jobs(archive, "worker", 1, lease_s=60)
    commit_stack(archive, lease, new_stack(archive, made))
    client = service.client_for("ann")
    changed = client.patch(
        "/api/v1/me", json={"visibility": "private", "licence": "CC0-1.0", "credit": "Ann A."}
    )
    assert changed.status_code == 200
    told = client.get("/api/v1/me").json()
    assert (told["visibility"], told["licence"], told["credit"]) == ("private", "CC0-1.0", "Ann A.")
    assert told["usage"]["n_stacks"] == 1
    with archive.reading() as session:
        stack = session.scalars(select(StackRow)).one()
    assert (stack.public_utc, stack.licence, stack.credit) == (None, "CC0-1.0", "Ann A.")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"visibility": "secret"}, 422),
        ({"embargo_days": -1}, 422),
        ({"embargo_days": 1_000_000}, 422),
        ({"licence": "mine"}, 409),
        ({"credit": "a\x00b"}, 409),
        ({"name": "bob"}, 422),
        ({"quota_bytes": 10**15}, 422),
    ],
)
def test_what_cannot_be_changed(sqlite_service: Any, body: dict[str, Any], status: int) -> None:
    ann = sqlite_service.client_for("ann")
    before = ann.get("/api/v1/me").json()
    assert ann.patch("/api/v1/me", json=body).status_code == status
    assert ann.get("/api/v1/me").json() == before


def test_the_export_is_one_s_own_and_whole(service: Any) -> None:
    archive = service.context.archive
    for name in ("ann", "bob"):
        make_jobs(archive, make_observer(archive, name), 2)
    answer = service.client_for("ann").get("/api/v1/me/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="crowdsky-export.json"'
    exported = answer.json()
    assert exported["observer"]["name"] == "ann"
    assert (len(exported["jobs"]), len(exported["frames"])) == (2, 6)
    assert "bob" not in answer.text
    assert "digest" not in answer.text


def test_an_account_ends_when_its_name_is_said(service: Any) -> None:
    archive = service.context.archive
    make_jobs(archive, make_observer(archive, "ann"), 2)
    make_jobs(archive, make_observer(archive, "bob"), 1)
    assert len(lease_jobs(archive, "worker", 3, lease_s=60)) == 3
    ann, bob = service.client_for("ann"), service.client_for("bob")
    for body in ({"confirm": "bob"}, {"confirm": ""}):
        refused = ann.request("DELETE", "/api/v1/me", json=body)
        assert refused.status_code == 409
        assert refused.json()["message"] == "'confirm' must be the name of the account"
    assert ann.request("DELETE", "/api/v1/me").status_code == 422
    assert ann.request("DELETE", "/api/v1/me", json={"confirm": "ann"}).status_code == 204
    assert ann.get("/api/v1/me").status_code == 401
    with archive.reading() as session:
        assert session.scalars(select(Observer.name)).all() == ["bob"]
        assert len(session.scalars(select(Job.id)).all()) == 1
    assert bob.get("/api/v1/books").json()["accepted"] == 3
