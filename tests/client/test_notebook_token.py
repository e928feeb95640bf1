"""In a notebook of the Hub the client is signed in already, and the token goes nowhere else."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest

from crowdsky.client import Client
from crowdsky.settings import load_settings
from tests.client.stub import Answer, stub

pytestmark = [pytest.mark.enable_socket]

ME = {
    "id": 1,
    "name": "ann",
    "books": {"accepted": 0, "stacked": 0, "rejected": 0, "pending": 0},
}


def shown_to(monkeypatch: pytest.MonkeyPatch, server: str | None = None, **variables: str) -> str:
    """What a client with these variables shows a service."""
    seen: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> Answer:
        seen.append(request.headers.get("Authorization", ""))
        return 200, {"Content-Type": "application/json"}, json.dumps(ME).encode()

    with stub(answer) as address:
        for name, value in variables.items():
            monkeypatch.setenv(name, value.replace("SERVICE", address))
        with Client(None if server is None else server.replace("SERVICE", address)) as client:
            client._transport.ask("GET", "/api/v1/me")
    return seen[0]


NOTEBOOK = {
    "CROWDSKY_SERVER": "SERVICE/services/crowdsky",
    "JUPYTERHUB_API_TOKEN": "t0ken",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
}


def test_a_notebook_shows_the_hubs_token(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_to(monkeypatch, **NOTEBOOK) == "token t0ken"


def test_a_key_beats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_to(monkeypatch, **NOTEBOOK, CROWDSKY_API_KEY="csk_1") == "Bearer csk_1"


def test_another_service_does_not_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_to(monkeypatch, "SERVICE/elsewhere", **NOTEBOOK) == ""
    # Nor one on another host than the Hub's, though it is the one that is set.
    elsewhere = NOTEBOOK | {"JUPYTERHUB_API_URL": "http://hub.example.org:8081/hub/api"}
    assert shown_to(monkeypatch, **elsewhere) == ""


def test_the_hub_may_be_known_by_its_public_name() -> None:
    notebook = {
        "CROWDSKY_SERVER": "https://sky.example.org/services/crowdsky",
        "JUPYTERHUB_API_TOKEN": "t0ken",
        "JUPYTERHUB_API_URL": "http://10.0.0.7:8081/hub/api",
    }
    assert load_settings(notebook).hub_token == ""
    notebook["JUPYTERHUB_PUBLIC_HUB_URL"] = "https://sky.example.org/hub/"
    assert load_settings(notebook).hub_token == "t0ken"
    assert "t0ken" not in repr(load_settings(notebook))
