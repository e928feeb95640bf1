"""The site in figures: what is public is counted, once in a while, for everyone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from crowdsky.api.site import FIGURES_KEPT_S, SiteBoard
from crowdsky.archive.site_figures import site_figures
from crowdsky.errors import ArchiveUnavailable
from tests.api.conftest import Running
from tests.api.product_rows import START, make_stack

pytestmark = [pytest.mark.enable_socket]

NOTHING = {
    "stacks": 0, "exposure_hours": 0.0, "telescopes": 0, "observers": 0, "nights": 0,
    "newest_utc": None,
}  # fmt: skip


def test_an_empty_archive(service: Running) -> None:
    answer = service.client().get("/api/v1/site")
    assert answer.status_code == 200
    figures = answer.json()
    assert figures.pop("counted_utc").endswith("Z")
    assert figures == NOTHING
    assert answer.headers["cache-control"] == f"public, max-age={FIGURES_KEPT_S:.0f}"


def test_only_what_is_public_is_counted(service: Running) -> None:
    here = service.context
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    make_stack(here, "ann", exposure_total_s=900.0)
    make_stack(here, "ann", exposure_total_s=880.0)
    make_stack(here, "bob", exposure_total_s=20.0)
    make_stack(here, "bob", public_utc=None, start_utc=START + timedelta(days=9))
    make_stack(here, "eve", public_utc=tomorrow, start_utc=START + timedelta(days=5))
    figures = service.client().get("/api/v1/site").json()
    figures.pop("counted_utc")
    assert figures == {
        "stacks": 3, "exposure_hours": 0.5, "telescopes": 3, "observers": 2, "nights": 1,
        "newest_utc": "2026-03-27T20:15:00.955368Z",
    }  # fmt: skip
    # A sign-in changes nothing: the figures are the site's.
    mine = service.client_for("bob").get("/api/v1/site").json()
    assert (mine["stacks"], mine["nights"]) == (3, 1)
    with here.archive.reading() as session:
        later = site_figures(session, now=tomorrow)
    assert (later.stacks, later.observers, later.nights) == (4, 3, 2)


@pytest.mark.parametrize(
    ("times", "nights"),
    [
        (("2026-03-27T12:00:00Z", "2026-03-28T11:59:59.999999Z"), 1),
        (("2026-03-27T11:59:59.999999Z", "2026-03-27T12:00:00Z"), 2),
        (("2026-03-27T23:59:59Z", "2026-03-28T00:00:00Z"), 1),
        (("2026-12-31T20:00:00Z", "2027-01-01T04:00:00Z", "2027-01-01T20:00:00Z"), 2),
    ],
)
def test_a_night_is_from_noon_to_noon(
    service: Running, times: tuple[str, ...], nights: int
) -> None:
    for text in times:
        make_stack(service.context, "ann", start_utc=datetime.fromisoformat(text), public_utc=START)
    with service.context.archive.reading() as session:
        figures = site_figures(session, now=datetime(2030, 1, 1, tzinfo=UTC))
    assert (figures.stacks, figures.nights) == (len(times), nights)
    assert figures.newest_utc == datetime.fromisoformat(times[-1])


def test_it_is_counted_once_in_a_while(sqlite_service: Running) -> None:
    here, now_s = sqlite_service.context, [100.0]
    board = SiteBoard(here, lambda: now_s[0])
    assert board.figures()["stacks"] == 0
    make_stack(here, "ann")
    now_s[0] += FIGURES_KEPT_S - 0.1
    assert board.figures()["stacks"] == 0
    now_s[0] += 0.2
    assert board.figures()["stacks"] == 1


def test_nobody_waits_for_a_count_once_there_was_one(
    sqlite_service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    board = SiteBoard(sqlite_service.context, lambda: now_s[0])
    first = board.figures()
    begun, go_on = threading.Event(), threading.Event()

    def slow(here: object) -> dict[str, object]:
        begun.set()
        assert go_on.wait(30.0)
        return {"stacks": 77}

    monkeypatch.setattr("crowdsky.api.site._counted", slow)
    now_s[0] += FIGURES_KEPT_S
    counting = threading.Thread(target=board.figures)
    counting.start()
    assert begun.wait(30.0)
    assert board.figures() is first
    go_on.set()
    counting.join(30.0)
    assert board.figures() == {"stacks": 77}


def test_a_count_that_fails_is_tried_again(
    sqlite_service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = SiteBoard(sqlite_service.context, lambda: 0.0)

    def away(here: object) -> dict[str, object]:
        raise ArchiveUnavailable("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr("crowdsky.api.site._counted", away)
        with pytest.raises(ArchiveUnavailable):
            board.figures()
    assert board.figures()["stacks"] == 0


def test_pictures_of_public_stacks_are_for_whoever_comes(service: Running) -> None:
    public = make_stack(service.context, "ann")
    private = make_stack(service.context, "ann", public_utc=None)
    wrong = service.client({"Authorization": "Bearer no such key"})
    for what in ("thumbnail", "preview"):
        for client in (service.client(), service.client_for("bob")):
            answer = client.get(f"/api/v1/stacks/{public.id}/{what}")
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "image/png"
        path = f"/api/v1/stacks/{private.id}/{what}"
        assert service.client().get(path).status_code == 404
        assert service.client_for("bob").get(path).status_code == 404
        assert service.client_for("ann").get(path).status_code == 200
        assert wrong.get(f"/api/v1/stacks/{public.id}/{what}").status_code == 401


class _NobodyIsSignedIn:
    """A Hub that knows no session any more."""

    cookie_name = "sign-in"

    async def name_of(self, token: str) -> str | None:
        return None


def test_a_sign_in_that_has_ended_hides_no_public_picture(sqlite_service: Running) -> None:
    public = make_stack(sqlite_service.context, "ann")
    private = make_stack(sqlite_service.context, "ann", public_utc=None)
    sqlite_service.app.state.doorkeeper.hub = _NobodyIsSignedIn()
    browser = sqlite_service.client({"Cookie": "sign-in=of-yesterday"})
    # More often than an address may show wrong keys in a minute.
    for _ in range(15):
        assert browser.get(f"/api/v1/stacks/{public.id}/thumbnail").status_code == 200
    assert browser.get(f"/api/v1/stacks/{private.id}/thumbnail").status_code == 401
    assert sqlite_service.client_for("ann").get("/api/v1/me").status_code == 200
