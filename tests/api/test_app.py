"""The service as a whole: its answers when nothing is wrong, and how it says what is."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import crowdsky

pytestmark = [pytest.mark.enable_socket]


def test_it_is_there_and_ready(service: Any) -> None:
    with service.client() as anyone:
        health = anyone.get("/api/v1/health")
        assert health.json() == {"status": "ok", "version": crowdsky.__version__}
        assert anyone.get("/api/v1/ready").json()["database"] == "ok"


def test_an_observer_with_a_key(service: Any) -> None:
    ann = service.client_for("ann")
    told = ann.get("/api/v1/me").json()
    assert told["name"] == "ann"
    assert told["via"] == "key"
    assert told["scopes"] == ["account", "read", "write"]
    assert told["usage"]["n_frames"] == 0
    assert told["usage"]["free_bytes"] == told["usage"]["quota_bytes"] == 200_000_000_000


def test_answers_carry_safe_headers(sqlite_service: Any) -> None:
    ann = sqlite_service.client_for("ann")
    for path in ("/api/v1/me", "/api/v1/nothing", "/api/docs", "/api/v1/jobs?state=odd"):
        answer = ann.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers
    assert ann.get("/api/v1/me").headers["cache-control"] == "no-store"
    assert ann.get("/api/v1/jobs").headers["cache-control"] == "no-store"


def test_refusals_are_json_of_one_shape(sqlite_service: Any) -> None:
    ann = sqlite_service.client_for("ann")
    ann.headers["Content-Type"] = "application/json"
    cases: list[tuple[httpx.Response, int, str]] = [
        (ann.get("/api/v1/nothing"), 404, "not found"),
        (ann.put("/api/v1/me"), 405, "method not allowed"),
        (ann.get("/api/v1/jobs?limit=0"), 422, "query limit: input should be greater than"),
        (ann.get("/api/v1/jobs/abc"), 422, "path job_id: input should be a valid integer"),
        (ann.get("/api/v1/jobs/7"), 404, "7: there is no such job"),
        (ann.get("/api/v1/jobs/" + "9" * 30), 422, "path job_id: input should be less than"),
        (ann.get("/api/v1/jobs?state=a%00b"), 422, "query state"),
        (ann.post("/api/v1/keys", content=b"{"), 422, "body 1: json decode error"),
        (ann.post("/api/v1/keys", content=b"[" * 100_000), 400, ""),
        (ann.post("/api/v1/keys", content=b'{"name": "\\udc80"}'), 422, "body name: input should"),
    ]
    for answer, status, text in cases:
        assert answer.status_code == status, answer.text
        assert text in answer.json()["message"]
        assert answer.json()["error"]


def test_a_large_body_is_refused(sqlite_service: Any) -> None:
    ann = sqlite_service.client_for("ann")
    announced = ann.post("/api/v1/keys", content=b"x" * (9 << 20))
    assert announced.status_code == 413
    assert announced.json()["limit"] == 8 << 20

    def pieces() -> Any:
        for _ in range(9):
            yield b"x" * (1 << 20)

    assert ann.post("/api/v1/keys", content=pieces()).status_code in (400, 413)


def test_what_goes_wrong_here_is_told_without_its_text(
    sqlite_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crowdsky.api import frames

    def broken(*_: object) -> None:
        raise RuntimeError("secret place: /var/lib/crowdsky")

    monkeypatch.setattr(frames, "books", broken)
    answer = sqlite_service.client_for("ann").get("/api/v1/books")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "InternalError",
        "message": "something went wrong here; it was written down",
    }


def test_the_list_of_operations_needs_nobody_else(sqlite_service: Any) -> None:
    with sqlite_service.client() as anyone:
        schema = anyone.get("/api/openapi.json").json()
        page = anyone.get("/api/docs")
        assert page.headers["content-type"].startswith("text/html")
        for path in schema["paths"]:
            assert path in page.text
        assert "//" not in page.text.replace("https://tus.io", "")
        assert "<script" not in page.text
        style = anyone.get("/api/docs.css")
        assert style.headers["content-type"].startswith("text/css")
        assert "http" not in style.text


def test_operations_say_what_they_do(sqlite_service: Any) -> None:
    schema = sqlite_service.app.openapi()
    mute = [
        f"{method} {path}"
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if not operation.get("summary") or not operation.get("description")
    ]
    assert mute == []


def test_every_module_with_routes_is_mounted(repo_root: Any) -> None:
    from crowdsky.api.app import ROUTERS

    found = {
        path.stem
        for path in (repo_root / "crowdsky" / "api").glob("*.py")
        if "\nrouter = " in path.read_text(encoding="utf-8")
    }
    assert found == set(ROUTERS)


@pytest.mark.slow
def test_a_process_serves_and_stops(
    service_process: tuple[str, subprocess.Popen[bytes]], wait_until: Callable[..., None]
) -> None:
    address, process = service_process
    answer = httpx.get(f"{address}/api/v1/ready", trust_env=False)
    assert answer.status_code == 200
    assert json.loads(answer.text)["store"] == "ok"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_socket_that_was_handed_over_is_known_as_tcp(
    sqlite_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then its answers leave at once; with Nagle's algorithm each would take 40 ms."""
    from crowdsky.api import serve

    given: list[socket.socket] = []

    def run(self: Any, sockets: list[socket.socket]) -> None:
        given.extend(sockets)
        self.started = True

    monkeypatch.setattr(serve, "load_server_settings", lambda: sqlite_settings)
    monkeypatch.setattr(serve.Service, "run", run)
    monkeypatch.setattr(serve.signal, "signal", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert serve.main(["--fd", str(listening.detach())]) == 0
    assert [one.family for one in given] == [socket.AF_INET]
    assert [one.proto for one in given] == [socket.IPPROTO_TCP]
    given[0].close()
