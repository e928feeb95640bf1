"""What the splash page is told, by a real service, by one that is broken, and by none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crowdsky.archive.positions import cells
from crowdsky.pages.splash.state import (
    CELL_ORDER,
    NEWEST,
    Figures,
    Places,
    ShownStack,
    load_state,
)
from crowdsky.settings import Settings, load_settings
from tests.api.conftest import Running
from tests.api.product_rows import START, make_stack

pytestmark = [pytest.mark.enable_socket]


def settings_for(server: str, **more: str) -> Settings:
    """As a page's kernel has them; a key in the environment must not matter."""
    told = {"CROWDSKY_SERVER": server, "CROWDSKY_API_KEY": "csk_not-good"} | more
    return load_settings(told)


def test_what_a_service_tells(service: Running) -> None:
    here = service.context
    old = make_stack(here, "ann", ra_deg=10.0, dec_deg=41.0, exposure_total_s=900.0)
    made = [
        make_stack(
            here, "bob", ra_deg=202.0, dec_deg=47.0, target=f"M {i}", exposure_total_s=1800.0,
            start_utc=START + timedelta(minutes=15 * i), credit="Bob of Basel",
        )
        for i in range(1, NEWEST + 3)
    ]  # fmt: skip
    make_stack(here, "eve", public_utc=None, ra_deg=80.0, dec_deg=-5.0, target="secret")
    later = datetime.now(UTC) + timedelta(days=3)
    make_stack(here, "eve", public_utc=later, ra_deg=80.0, dec_deg=-5.0, target="secret")
    state = load_state(settings_for(service.url))
    assert state.problem == ""
    hours = 0.25 + 0.5 * len(made)
    assert state.figures == Figures(len(made) + 1, hours, len(made) + 1, 2, 1)
    assert [stack.id for stack in state.stacks] == [one.id for one in made[::-1]][:NEWEST]
    assert state.stacks[0] == ShownStack(
        id=made[-1].id, target=f"M {NEWEST + 2}", observer="Bob of Basel",
        telescope="Seestar S50", licence="CC-BY-4.0", exposure_total_s=1800.0, n_used=2,
        start_utc=START + timedelta(minutes=15 * (NEWEST + 2)),
    )  # fmt: skip
    assert set(state.cells) == {
        (int(cells(10.0, 41.0, CELL_ORDER)), 1),
        (int(cells(202.0, 47.0, CELL_ORDER)), len(made)),
    }
    assert old.id not in {stack.id for stack in state.stacks}


def test_an_empty_archive_is_no_problem(service: Running) -> None:
    state = load_state(settings_for(service.url))
    assert (state.figures, state.stacks, state.cells, state.problem) == (
        Figures(0, 0.0, 0, 0, 0), (), (), "",
    )  # fmt: skip


@pytest.mark.parametrize("server", ["", "http://127.0.0.1:9", "nonsense"])
def test_no_service(server: str) -> None:
    state = load_state(settings_for(server), patience_s=0.05)
    assert (state.figures, state.stacks, state.cells, state.pictures) == (None, (), (), ())
    assert state.problem


@contextmanager
def answering(answers: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """A server that says what it is told to; its address, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            assert "Authorization" not in self.headers
            told = answers.get(self.path.partition("?")[0])
            body = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(404 if told is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *told: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SITE = {"stacks": 3, "exposure_hours": 1.5, "telescopes": 2, "observers": 1, "nights": 1}
NO_STACKS = {"stacks": [], "total": 0, "n_bytes": 0, "next_after": None}
NO_CELLS = {"order": CELL_ORDER, "cells": [], "counts": []}


@pytest.mark.parametrize(
    "broken",
    [
        {"/api/v1/site": b"<html>a proxy's page"},
        {"/api/v1/site": {"stacks": None}},
        {"/api/v1/site": []},
        {"/api/v1/stacks": {"stacks": [{"id": 1}], "total": 1, "n_bytes": 1}},
        {"/api/v1/stacks": {"stacks": "no"}},
        {"/api/v1/sky/density": {"order": CELL_ORDER, "cells": [1], "counts": []}},
        {"/api/v1/sky/density": {"order": 9, "cells": [1], "counts": [1]}},
        {"/api/v1/stacks": None},
    ],
)
def test_an_answer_that_is_not_understood_costs_that_answer(broken: dict[str, Any]) -> None:
    good = {
        "/api/v1/site": SITE,
        "/api/v1/stacks": NO_STACKS,
        "/api/v1/sky/density": NO_CELLS,
    }
    with answering(good | broken) as (url, _):
        state = load_state(settings_for(url), patience_s=0.05)
    assert state.problem
    assert (state.figures is None) == ("/api/v1/site" in broken)


def test_cells_that_do_not_exist_are_not_drawn() -> None:
    told = {"order": CELL_ORDER, "cells": [-1, 7, 3072], "counts": [1, 2, 3]}
    answers = {
        "/site/services/crowdsky/api/v1/site": SITE,
        "/site/services/crowdsky/api/v1/stacks": NO_STACKS,
        "/site/services/crowdsky/api/v1/sky/density": told,
    }
    with answering(answers) as (url, _):
        assert load_state(settings_for(f"{url}/site/services/crowdsky")).cells == ((7, 2),)


def test_the_operators_pictures() -> None:
    good = {"name": "own-moon-ab12.webp", "version": "ab12", "width": 9, "height": 6, "credit": "M"}
    with answering({"/s/services/pages/images/": {"images": [good]}}) as (url, asked):
        state = load_state(
            settings_for("", CROWDSKY_PAGES_URL=f"{url}/s/services/pages"), patience_s=0.05
        )
        assert asked == ["/s/services/pages/images/"]
    assert state.places == Places("/s/")
    (picture,) = state.pictures
    assert picture.address == "/s/services/pages/images/own-moon-ab12.webp?v=ab12"
    assert (picture.width, picture.height, picture.credit) == (9, 6, "M")


@pytest.mark.parametrize(
    "change",
    [
        {"name": '"><script>.webp'},
        {"name": "../../secret.webp"},
        {"version": '1"x'},
        {"width": "wide"},
        {"credit": ...},
    ],
)
def test_odd_pictures_are_left_out(change: dict[str, Any]) -> None:
    one = {"name": "a.webp", "version": "a", "width": 1, "height": 1, "credit": ""} | change
    told = {name: value for name, value in one.items() if value is not ...}
    with answering({"/services/pages/images/": {"images": [told]}}) as (url, _):
        state = load_state(
            settings_for("", CROWDSKY_PAGES_URL=f"{url}/services/pages"), patience_s=0.05
        )
    assert state.pictures == ()


def test_addresses_follow_the_site() -> None:
    places = Places("/sky/")
    assert places.sign_up == "/sky/hub/signup"
    assert places.log_in == "/sky/hub/login?next=/sky/services/pages/upload"
    assert places.thumbnail(5) == "/sky/services/crowdsky/api/v1/stacks/5/thumbnail"
    assert Places().log_in == "/hub/login?next=/services/pages/upload"
