"""Tickets: what a page's kernel shows for its visitor, and what that opens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from crowdsky import tickets
from crowdsky.archive.accounts import ensure_observer, set_privacy, set_state
from crowdsky.archive.models import Observer

pytestmark = [pytest.mark.enable_socket]

SECRET = "shared with the server of the pages"
WRONG = "the key or token is not known, has expired or was revoked"


def shown(name: str, *, secret: str = SECRET, ago_s: float = 0.0) -> dict[str, str]:
    return {"Authorization": f"Ticket {tickets.mint(secret, name, time.time() - ago_s)}"}


def test_a_ticket_opens_what_its_visitor_may_read_and_write(strict_service: Any) -> None:
    with strict_service(ticket_secret=SECRET) as service:
        ann = service.client(shown("ann"))
        told = ann.get("/api/v1/me").json()
        assert (told["name"], told["via"], told["scopes"]) == ("ann", "ticket", ["read", "write"])
        for method, path in (
            ("GET", "/api/v1/jobs"),
            ("GET", "/api/v1/stacks"),
            ("GET", "/api/v1/frames"),
            ("POST", "/api/v1/finalise"),
        ):
            assert ann.request(method, path).status_code == 200, path
        # It changes something without a word about where it comes from: it is no cookie.
        foreign = {"Sec-Fetch-Site": "cross-site"}
        assert ann.post("/api/v1/finalise", headers=foreign).status_code == 200
        lower = {"Authorization": shown("ann")["Authorization"].replace("Ticket", "ticket")}
        assert service.client(lower).get("/api/v1/me").json()["name"] == "ann"


def test_it_opens_neither_keys_nor_the_account(strict_service: Any) -> None:
    with strict_service(ticket_secret=SECRET, operators=("ann",)) as service:
        ann = service.client(shown("ann"))
        for method, path in (
            ("GET", "/api/v1/keys"),
            ("POST", "/api/v1/keys"),
            ("GET", "/api/v1/me/export"),
            ("PATCH", "/api/v1/me"),
            ("DELETE", "/api/v1/me"),
        ):
            refused = ann.request(method, path, json={"name": "laptop"})
            assert refused.status_code == 403, path
            assert refused.json()["message"] == (
                "this needs the scope 'account', which the ticket does not have"
            )


def test_it_is_one_observers(strict_service: Any) -> None:
    with strict_service(ticket_secret=SECRET) as service:
        archive = service.context.archive
        set_privacy(archive, ensure_observer(archive, "bob"), credit="Bob of the hill")
        ann, bob = service.client(shown("ann")), service.client(shown("bob"))
        assert ann.get("/api/v1/me").json()["credit"] == ""
        assert bob.get("/api/v1/me").json()["credit"] == "Bob of the hill"


WRONG_HEADERS: dict[str, Callable[[], str]] = {
    "over": lambda: shown("ann", ago_s=tickets.LIFE_S + 1.0)["Authorization"],
    "signed by another": lambda: shown("ann", secret="another")["Authorization"],
    "shown as a key": lambda: shown("ann")["Authorization"].replace("Ticket", "Bearer"),
    "cut": lambda: shown("ann")["Authorization"][:-2],
    "changed": lambda: shown("ann")["Authorization"].replace("Ticket ", "Ticket x"),
    "a dot": lambda: "Ticket .",
    "a letter": lambda: "Ticket x",
    "long": lambda: "Ticket " + "x" * 4000,
    "not ASCII": lambda: "Ticket \u00e9.\u00e9",
}


@pytest.mark.parametrize("case", WRONG_HEADERS)
def test_what_is_no_ticket_is_told_the_same_whatever_is_wrong(
    strict_service: Any, case: str
) -> None:
    with strict_service(ticket_secret=SECRET) as service:
        raw = {"Authorization": WRONG_HEADERS[case]().encode("latin-1")}
        refused = httpx.get(f"{service.url}/api/v1/me", headers=raw, trust_env=False)
        assert refused.status_code == 401
        assert refused.json()["message"] == WRONG


def test_without_a_secret_there_are_no_tickets(strict_service: Any) -> None:
    with strict_service(ticket_secret="") as service:
        assert service.client(shown("ann")).get("/api/v1/me").status_code == 401


def test_wrong_tickets_count_as_wrong_keys_do(strict_service: Any) -> None:
    with strict_service(ticket_secret=SECRET) as service:
        guesser = service.client()
        statuses = [
            guesser.get("/api/v1/me", headers=shown("ann", secret=f"guess {number}")).status_code
            for number in range(12)
        ]
        assert statuses == [401] * 10 + [429] * 2


def test_a_neighbours_wrong_keys_do_not_keep_a_ticket_out(strict_service: Any) -> None:
    # Pages' kernels all have the address of this machine, as its notebooks have.
    with strict_service(ticket_secret=SECRET, requests_per_minute=20) as service:
        neighbour = service.client({"Authorization": "Bearer csk_not-a-key"})
        statuses = [neighbour.get("/api/v1/me").status_code for _ in range(25)]
        assert set(statuses) == {401, 429}
        assert statuses[-1] == 429
        assert service.client(shown("ann")).get("/api/v1/me").status_code == 200


def test_a_ticket_of_an_account_that_was_closed(strict_service: Any) -> None:
    with strict_service(ticket_secret=SECRET) as service:
        archive = service.context.archive
        ann = service.client(shown("ann"))
        assert ann.get("/api/v1/me").status_code == 200
        set_state(archive, ensure_observer(archive, "ann"), "deactivated")
        refused = service.client(shown("ann", ago_s=1.0)).get("/api/v1/me")
        assert refused.status_code == 403
        assert refused.json()["message"] == "this account is closed"


def test_a_ticket_finds_nothing_of_an_account_that_was_erased(strict_service: Any) -> None:
    with strict_service(ticket_secret=SECRET) as service:
        archive = service.context.archive
        observer_id = ensure_observer(archive, "ann")
        set_privacy(archive, observer_id, credit="Ann of the hill")
        ann = service.client(shown("ann"))
        assert ann.get("/api/v1/me").json()["credit"] == "Ann of the hill"
        owner = service.client_for("ann")
        gone = owner.request("DELETE", "/api/v1/me", json={"confirm": "ann"})
        assert gone.status_code == 204
        assert "Ann of the hill" not in ann.get("/api/v1/me").text
        with archive.reading() as session:
            assert session.get(Observer, observer_id) is None
