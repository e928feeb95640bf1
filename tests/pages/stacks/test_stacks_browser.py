"""The Stacks page's front end in a browser, with a fake model in the kernel's place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from crowdsky.pages.stacks.state import stack_line
from crowdsky.pages.stacks.view import StacksPage
from tests.browser.chromium import axe_findings, needs_chromium
from tests.pages.stage import hear, sent, stages

pytestmark = [pytest.mark.enable_socket, needs_chromium]

HOSTILE = '<img src=x onerror="window.hacked=1">'


def stack(number: int, **changes: Any) -> dict[str, Any]:
    minute = 15 * (number % 4)
    return stack_line(
        {
            "id": number, "target": ("M 94", "NGC 6888 Crescent", "M 31")[number % 3],
            "label": f"20260327.{number:02d}_192.7_p41.1_IRCUT_10s", "mine": True,
            "start_utc": f"2026-03-27T20:{minute:02d}:00Z",
            "end_utc": f"2026-03-27T20:{minute + 14:02d}:50Z",
            "ra_deg": 192.72, "dec_deg": 41.12, "filter": "IRCUT", "telescope": "Seestar S50",
            "n_used": 82, "n_frames": 88, "exposure_s": 10.0, "exposure_total_s": 820.0,
            "n_bytes": 12_300_000, "observer": "ann",
        } | changes
    )  # fmt: skip


def told(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    n_bytes = 12_300_000 * len(rows)
    return {
        "type": "stacks", "ask": 0, "anew": True, "rows": rows, "total": len(rows),
        "n_bytes": n_bytes, "more": False,
    } | more  # fmt: skip


@pytest.fixture
def page_with(chromium: Any) -> Iterator[Any]:
    """Opens the page; what it throws fails the test."""
    with stages(chromium, StacksPage, "stacks") as opened:
        yield opened


def rows_of(page: Any) -> Any:
    return page.get_by_role("table", name="Stacks", exact=True).locator("tbody > tr")


def test_a_list_with_its_selection(page_with: Any) -> None:
    page = page_with(query="?target=M&x=1")
    button = page.get_by_role("button", name="Download All", exact=True)
    assert button.is_disabled()
    rows = [stack(number) for number in range(1, 121)]
    rows[2] = stack(3, target=HOSTILE, observer=HOSTILE, mine=False)
    hear(page, told(rows, total=1284, n_bytes=15_800_000_000, more=True))
    status = page.get_by_role("status", name="Selection", exact=True)
    assert status.inner_text() == "1,284 stacks, 15.8 GB"
    assert not button.is_disabled()
    assert rows_of(page).count() == 120
    words = rows_of(page).first.inner_text()
    for word in ("NGC 6888", "2026-03-27 20:15–20:29", "12h 50.9m", "+41° 07′", "IRCUT",
                 "Seestar S50", "82 of 88", "13 min 40 s", "12.3 MB"):  # fmt: skip
        assert word in words, word
    link = page.get_by_role("link", name="Download FITS of stack 1", exact=True)
    assert link.get_attribute("href") == "/services/crowdsky/api/v1/stacks/1/file"
    assert f"by {HOSTILE}" in rows_of(page).nth(2).inner_text()
    assert page.evaluate("window.hacked") is None
    page.get_by_role("button", name="Show more stacks").scroll_into_view_if_needed()
    page.wait_for_function("window.sent.some(m => m.type === 'more')")
    hear(page, told([stack(number) for number in range(121, 130)], anew=False, total=129))
    assert rows_of(page).count() == 129
    assert not page.get_by_role("button", name="Show more stacks").is_visible()


def test_choices_are_asked_for_and_kept_in_the_address(page_with: Any) -> None:
    page = page_with()
    hear(page, told([stack(1)]))
    page.get_by_role("button", name="Everyone’s", exact=True).click()
    page.get_by_role("searchbox", name="Find a target").fill("m 31")
    page.wait_for_function("window.sent.filter(m => m.type === 'list').length === 2")
    assert sent(page, "list")[-1] == {"type": "list", "scope": "public", "target": "m 31", "ask": 2}
    assert page.evaluate("location.search") == "?scope=public&target=m+31"
    hear(page, told([stack(5), stack(6)], ask=1))  # an answer to a question of before
    assert rows_of(page).count() == 1
    hear(page, told([], ask=2))
    assert "No stack of that name." in page.inner_text("main")
    assert page.get_by_role("status", name="Selection", exact=True).inner_text() == (
        "0 stacks, 0 bytes"
    )
    assert page.get_by_role("button", name="Download All", exact=True).is_disabled()


def test_download_all_is_one_archive(page_with: Any) -> None:
    page = page_with(query="?scope=public&target=M%2031")
    hear(page, told([stack(2)]))
    page.evaluate("""() => {
      window.left = [];
      HTMLAnchorElement.prototype.click = function () {
        window.left.push(this.getAttribute("href"));
      };
      const made = { url: "/api/v1/downloads/abc/crowdsky.zip", n_missing: 0, n_bytes: 12300999 };
      window.answer = async () => new Response(JSON.stringify(made), { status: 201 });
    }""")
    page.get_by_role("button", name="Download All", exact=True).click()
    page.wait_for_function("window.left.length === 1")
    button = page.get_by_role("button", name="Download All", exact=True)
    page.wait_for_function("!document.querySelector('[aria-busy]')")
    assert page.evaluate("window.left") == ["/services/crowdsky/api/v1/downloads/abc/crowdsky.zip"]
    path, method, body = page.evaluate("window.asked")[0]
    assert (path, method) == ("/downloads", "POST")
    assert json.loads(body) == {"scope": "public", "target": "M 31"}
    page.evaluate("""() => {
      const refusal = { error: "LimitExceeded", message: "at most 10000 stacks at once" };
      window.answer = async () => new Response(JSON.stringify(refusal), { status: 413 });
    }""")
    button.click()
    page.get_by_role("alert").get_by_text("at most 10000 stacks at once").wait_for()
    page.evaluate("() => { window.answer = async () => { throw { kind: 'signed-out' }; }; }")
    button.click()
    page.get_by_role("alert").get_by_text("You are signed out.").wait_for()


def test_without_stacks_it_tells_of_the_jobs(page_with: Any) -> None:
    page = page_with()
    hear(page, told([]))
    assert page.get_by_role("link", name="Upload some frames").is_visible()
    hear(page, {"type": "working", "ask": 0, "running": 2, "queued": 0, "failed": 0})
    assert "No stacks yet. 2 jobs of yours are running." in page.inner_text("main")
    link = page.get_by_role("link", name="See their status")
    assert link.get_attribute("href") == "/services/pages/status"


@pytest.mark.parametrize(
    ("width", "theme"), [(1280, "dark"), (1280, "light"), (390, "dark"), (320, "light")]
)
def test_axe_finds_nothing_and_nothing_sticks_out(page_with: Any, width: int, theme: str) -> None:
    page = page_with(width=width, theme=theme)
    hear(page, told([*(stack(number) for number in range(1, 9)), stack(9, ra_deg=None)]))
    assert axe_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
