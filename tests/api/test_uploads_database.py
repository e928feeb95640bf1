"""Uploads while the database is away."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from crowdsky.steps import on_step
from tests.api.conftest import Running
from tests.api.uploads_process import TUS, create, send
from tests.frames.fits_files import sub_bytes

pytestmark = [pytest.mark.enable_socket]


def test_a_database_that_is_away_during_a_patch_costs_nothing(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are on the disk and the offset cannot move: it stands, and all goes on there."""
    content = sub_bytes(OBJECT="away")
    half = len(content) // 2
    client = service.client_for("ann")
    client.headers.update(TUS)
    path = create(client, len(content))
    assert send(client, path, 0, content[:half]).headers["Upload-Offset"] == str(half)

    engine = service.context.archive.engine

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("BEGIN", {}, ConnectionError("connection refused"))

    def leave(step: str) -> None:
        if step == "upload.synced":
            monkeypatch.setattr(engine, "connect", away)

    on_step(leave)
    try:
        answer = send(client, path, half, content[half:])
    finally:
        on_step(None)
    assert (answer.status_code, answer.json()["error"]) == (503, "ArchiveUnavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.head(path).status_code == 503

    monkeypatch.undo()
    assert client.head(path).headers["Upload-Offset"] == str(half)
    answer = send(client, path, half, content[half:])
    assert answer.status_code == 204
    assert answer.headers["Upload-Outcome"] == "accepted"
    assert client.get("/api/v1/books").json()["accepted"] == 1
