"""Whose page it is: tickets that are fetched, shown, renewed in time, and refused in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from crowdsky.errors import Conflict, NotAuthenticated, ServiceUnreachable
from crowdsky.pages.session import Tickets, make_visitor
from crowdsky.settings import Settings, load_settings
from tests.client.stub import Answer, stub

pytestmark = [pytest.mark.enable_socket]

KEY = "kernel-key"


class Desk:
    """A server of pages and a service in one, as the tests want them."""

    def __init__(self) -> None:
        self.status, self.life_s, self.n_given = 200, 300.0, 0
        self.good: set[str] = set()
        self.closed = False
        self.asked: list[tuple[str, str]] = []

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        shown = request.headers.get("Authorization", "")
        self.asked.append((request.path, shown))
        if request.path.endswith("/ticket"):
            if shown != f"Bearer {KEY}":
                return _json(401, {})
            if self.status != 200:
                return _json(self.status, {})
            self.n_given += 1
            text = f"ticket-{self.n_given}"
            self.good = {text}
            told = {"ticket": text, "name": "ann", "expires_s": self.life_s}
            return _json(200, told)
        known = shown.removeprefix("Ticket ") in self.good and not self.closed
        if known or shown == "Bearer csk_x":
            return _json(200, {"name": "ann"})
        return _json(401, {"error": "NotAuthenticated", "message": "no good"})


def _json(status: int, table: dict[str, object]) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(table).encode()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def address(desk: Desk) -> Iterator[str]:
    with stub(desk.answer) as found:
        yield found


@pytest.fixture
def settings(address: str) -> Callable[..., Settings]:
    def of(**more: str) -> Settings:
        table = {
            "CROWDSKY_SERVER": f"{address}/services/crowdsky",
            "CROWDSKY_PAGES_URL": f"{address}/services/pages/",
            "CROWDSKY_KERNEL_KEY": KEY,
        }
        return load_settings(table | more)

    return of


def test_a_kernel_acts_for_its_visitor_by_tickets(
    desk: Desk, settings: Callable[..., Settings]
) -> None:
    visitor = make_visitor(settings())
    assert visitor.name == "ann"
    assert visitor.client.me().name == "ann"
    assert visitor.client.me().name == "ann"
    visitor.client.close()
    assert desk.asked == [
        ("/services/pages/ticket", "Bearer kernel-key"),
        ("/services/crowdsky/api/v1/me", "Ticket ticket-1"),
        ("/services/crowdsky/api/v1/me", "Ticket ticket-1"),
    ]


def test_without_a_kernel_key_the_visitor_owns_the_key(
    desk: Desk, settings: Callable[..., Settings]
) -> None:
    visitor = make_visitor(settings(CROWDSKY_KERNEL_KEY="", CROWDSKY_API_KEY="csk_x"))
    visitor.client.close()
    assert visitor.name == "ann"
    assert desk.asked == [("/services/crowdsky/api/v1/me", "Bearer csk_x")]


def test_a_ticket_is_renewed_before_it_ends(desk: Desk, address: str) -> None:
    now = [0.0]
    tickets = Tickets(address, KEY, clock=lambda: now[0])
    for second, text in [(0, 1), (239, 1), (241, 2), (480, 2), (482, 3)]:
        now[0] = float(second)
        assert tickets.current() == f"ticket-{text}", second
    desk.life_s = 20.0  # shorter than the usual margin: half of it then
    now[0] = 1000.0
    assert tickets.current() == "ticket-4"
    now[0] = 1009.0
    assert tickets.current() == "ticket-4"
    now[0] = 1011.0
    assert tickets.current() == "ticket-5"


def test_a_good_ticket_outlives_a_server_that_is_away(desk: Desk) -> None:
    now = [0.0]
    with stub(desk.answer) as address:
        tickets = Tickets(address, KEY, clock=lambda: now[0])
        assert tickets.current() == "ticket-1"
    now[0] = 250.0
    assert tickets.current() == "ticket-1"
    now[0] = 301.0
    with pytest.raises(ServiceUnreachable, match="the server of this page does not answer"):
        tickets.current()


def test_a_refused_ticket_is_changed_once(desk: Desk, settings: Callable[..., Settings]) -> None:
    visitor = make_visitor(settings())
    desk.good = set()  # as after a machine has slept
    assert visitor.client.me().name == "ann"
    assert desk.n_given == 2
    desk.good, desk.status = set(), 401
    with pytest.raises(NotAuthenticated):
        visitor.client.me()
    visitor.client.close()


def test_a_ticket_that_is_refused_again_is_told(
    desk: Desk, settings: Callable[..., Settings]
) -> None:
    visitor = make_visitor(settings())
    desk.closed = True
    with pytest.raises(NotAuthenticated, match="no good"):
        visitor.client.me()
    visitor.client.close()
    assert [text for _, text in desk.asked if text.startswith("Ticket")] == [
        "Ticket ticket-1", "Ticket ticket-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (409, Conflict, "nobody has opened this page so far"),
        (401, NotAuthenticated, "no longer known to its server; load it again"),
        (502, ServiceUnreachable, "502"),
    ],
)
def test_what_the_server_refuses_is_told(
    desk: Desk, address: str, status: int, kind: type[Exception], text: str
) -> None:
    desk.status = status
    with pytest.raises(kind, match=text):
        Tickets(address, KEY).name()


def test_many_threads_take_one_ticket(desk: Desk, address: str) -> None:
    tickets = Tickets(address, KEY)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(tickets.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["ticket-1"] * 8
    assert desk.n_given == 1


def test_the_key_is_not_in_what_is_printed(settings: Callable[..., Settings]) -> None:
    assert KEY not in repr(settings())


def test_importing_the_pages_is_light(repo_root: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, crowdsky.pages;"
        "print([m for m in ('anywidget', 'httpx', 'numpy', 'astropy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
