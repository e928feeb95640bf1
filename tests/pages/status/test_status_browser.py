"""The Status page's front end in a browser, with a fake model in the kernel's place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crowdsky.pages.status.state import job_line
from crowdsky.pages.status.view import StatusPage
from tests.browser.chromium import axe_findings, needs_chromium
from tests.pages.stage import hear, sent, stages, wait_for_voice
from tests.pages.status.job_lines import lines, made_job, message

pytestmark = [pytest.mark.enable_socket, needs_chromium]

HOSTILE = '<img src=x onerror="window.hacked=1"> \u202egnp'


@pytest.fixture
def page_with(chromium: Any) -> Iterator[Any]:
    """Opens the page; what it throws fails the test."""
    with stages(chromium, StatusPage, "status") as opened:
        yield opened


def rows_of(page: Any) -> Any:
    return page.get_by_role("table", name="Job Status Overview", exact=True).locator("tbody > tr")


def test_it_says_hello_and_shows_a_row_a_job(page_with: Any) -> None:
    page = page_with()
    assert [one["query"] for one in sent(page, "hello")] == [""]
    hear(page, message(lines(range(1, 121))))
    assert rows_of(page).count() == 120  # not fifty
    assert rows_of(page).first.get_attribute("data-job") == "120"  # the newest first
    first = rows_of(page).nth(2)  # job 118: running
    words = first.inner_text()
    for word in ("M 31", "job 118", "2026-03-27", "18:45–19:00", "60 frames", "Running",
                 "stacking, 24 of 60", "nova:4711", "IRCUT"):  # fmt: skip
        assert word in words, word
    bar = page.get_by_role("progressbar", name="Progress of job 118", exact=True)
    assert bar.get_attribute("aria-valuenow") == "40"
    done = rows_of(page).nth(0).inner_text()
    assert "55 used" in done
    assert "5 rejected" in done
    law = page.get_by_role("img", name="1,284 frames accepted: 1,100 stacked, 60 rejected, 124")
    assert law.count() == 1
    text = page.get_by_role("region", name="Your frames").inner_text()
    assert "".join(text.split()).endswith("1,284accepted=1,100stacked+60rejected+124pending")


def test_a_change_is_seen_without_a_reload(page_with: Any) -> None:
    page = page_with()
    hear(page, message(lines(range(1, 6))))
    assert "Running" in rows_of(page).nth(1).inner_text()
    took = rows_of(page).nth(1).locator(".cs-col-took")
    before = took.inner_text()
    page.wait_for_function(
        "before => document.querySelector('[data-job=\"4\"] .cs-col-took').innerText !== before",
        arg=before,
    )  # the duration ticks
    hear(page, {"type": "changes", "rows": [job_line(made_job(4, state="done"))]})
    assert "Done" in rows_of(page).nth(1).inner_text()
    wait_for_voice(page, "Job 4 is done.")
    hear(page, {"type": "changes", "rows": [job_line(made_job(9))], "gone": [5]})
    assert [row.get_attribute("data-job") for row in rows_of(page).all()] == [
        "9", "4", "3", "2", "1",
    ]  # fmt: skip
    hear(page, {"type": "changes", "rows": [job_line(made_job(3, state="running", orphaned=True))]})
    assert "Worker lost" in rows_of(page).nth(2).inner_text()
    assert "its worker was lost; it runs again by itself" in rows_of(page).nth(2).inner_text()


def test_delete_asks_once_and_the_keyboard_stays(page_with: Any) -> None:
    page = page_with()
    hear(page, message(lines(range(1, 6))))
    button = page.get_by_role("button", name="Delete job 4", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete job 4?")
    assert "What runs is stopped" in dialog.inner_text()
    assert "must be uploaded again" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert button.evaluate("element => element === document.activeElement")
    assert sent(page, "delete") == []
    button.click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_function("window.sent.some(m => m.type === 'delete')")
    button.click(force=True)  # a second click while it is under way asks for nothing
    assert page.get_by_role("dialog").count() == 0
    assert [one["ids"] for one in sent(page, "delete")] == [[4]]
    hear(page, {"type": "changes", "gone": [4]})
    hear(page, {"type": "deleted", "ids": [4]})
    assert rows_of(page).count() == 4
    wait_for_voice(page, "Job 4 deleted.")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "Delete job 3"


def test_several_are_deleted_at_once_and_a_refusal_is_told(page_with: Any) -> None:
    page = page_with()
    hear(page, message(lines(range(1, 8))))
    page.get_by_role("checkbox", name="Select job 2", exact=True).check()
    page.get_by_role("checkbox", name="Select job 5", exact=True).check()
    page.get_by_role("button", name="Delete 2 jobs", exact=True).click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_function("window.sent.some(m => m.type === 'delete')")
    assert [sorted(one["ids"]) for one in sent(page, "delete")] == [[2, 5]]
    hear(page, {"type": "refused", "what": "delete", "ids": [2, 5], "text": "the disk is full"})
    assert page.get_by_text("It could not be deleted: the disk is full. Try again.").count() == 2
    page.get_by_role("checkbox", name="Select all jobs shown", exact=True).check()
    assert page.get_by_role("button", name="Delete 7 jobs", exact=True).is_visible()


def test_a_failed_job_tells_why_and_can_be_tried_again(page_with: Any) -> None:
    page = page_with()
    failed = job_line(made_job(2, reason=HOSTILE, target=HOSTILE))
    hear(page, message([*lines(range(3, 5)), failed]))
    page.wait_for_function("window.sent.some(m => m.type === 'log')")
    assert [one["ids"] for one in sent(page, "log")] == [[2]]
    log = "\n".join(f"line {number} {HOSTILE}" for number in range(30))
    hear(page, {"type": "log", "id": 2, "log": log})
    row = rows_of(page).nth(2)
    assert f"Why: {HOSTILE}" in row.inner_text()
    assert "line 29" in row.inner_text()
    assert "line 3 " not in row.inner_text()
    page.get_by_role("button", name="Retry job 2", exact=True).click()
    assert [one["ids"] for one in sent(page, "retry")] == [[2]]
    assert page.get_by_role("button", name="Retry job 3", exact=True).count() == 0
    hear(page, {"type": "changes", "rows": [job_line(made_job(2, state="queued"))]})
    hear(page, {"type": "retried", "ids": [2]})
    assert "Waiting" in row.inner_text()
    assert page.get_by_role("button", name="Retry job 2", exact=True).count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_row_opens_its_ledger_and_picture(page_with: Any) -> None:
    page = page_with()
    hear(page, message(lines(range(1, 4))))
    opener = page.get_by_role("button", name="Details of job 3", exact=True)
    opener.click()
    assert opener.get_attribute("aria-expanded") == "true"
    assert [one["ids"] for one in sent(page, "open")] == [[3]]
    frames = [
        {"name": "Light_0.fit", "state": "stacked"},
        {"name": HOSTILE, "state": "rejected", "reason": "too few stars"},
    ]
    hear(page, {"type": "frames", "id": 3, "frames": frames})
    ledger = page.get_by_role("region", name="Ledger of job 3", exact=True)
    assert ledger.get_by_role("listitem").count() == 2
    assert "too few stars" in ledger.text_content()
    assert page.get_by_role("img", name="The stack of IC 434").get_attribute("src") == (
        "/services/crowdsky/api/v1/stacks/3/preview"
    )
    assert page.get_by_role("link", name="Stack (FITS)").get_attribute("href") == (
        "/services/crowdsky/api/v1/stacks/3/file"
    )
    opener.click()
    assert not ledger.is_visible()


def test_the_filter_is_in_the_address(page_with: Any) -> None:
    page = page_with(query="?state=failed&x=1")
    hear(page, message(lines(range(1, 13))))
    visible = [row.get_attribute("data-job") for row in rows_of(page).all() if row.is_visible()]
    assert visible == ["8", "2"]
    page.get_by_role("button", name="Done 6").click()
    assert page.evaluate("location.search") == "?state=done&x=1"
    page.get_by_role("searchbox", name="Find jobs").fill("crescent")
    visible = [row.get_attribute("data-job") for row in rows_of(page).all() if row.is_visible()]
    assert visible == ["9", "1"]
    page.get_by_role("button", name="All 12").click()
    page.get_by_role("searchbox", name="Find jobs").fill("nothing of the kind")
    page.get_by_role("button", name="Show all jobs").click()
    assert page.evaluate("location.search") == "?x=1"
    assert rows_of(page).first.is_visible()


def test_without_jobs_it_says_what_to_do(page_with: Any) -> None:
    page = page_with()
    nothing = {"accepted": 0, "stacked": 0, "rejected": 0, "pending": 0}
    hear(page, message([], books=nothing))
    link = page.get_by_role("link", name="Upload some frames", exact=True)
    assert link.get_attribute("href") == "/services/pages/upload"
    assert "No jobs yet." in page.inner_text("main")
    head = message([])["head"] | {"loose": 312}
    hear(page, {"type": "changes", "head": head})
    assert "312 frames of yours wait to be finalised." in page.inner_text("main")
    assert page.get_by_role("link", name="Finalise them on Upload").is_visible()


def test_away_is_said_and_what_was_known_stays(page_with: Any) -> None:
    page = page_with()
    first = message(lines(range(1, 6)))
    hear(page, first)
    hear(page, {"type": "changes", "head": first["head"] | {"delayed": "no answer"}})
    assert page.get_by_text("Delayed", exact=True).is_visible()
    assert "22:00:" in page.get_by_role("status").filter(has_text="what was known").inner_text()
    assert rows_of(page).count() == 5
    hear(page, {"type": "changes", "head": first["head"]})
    assert page.get_by_text("Live", exact=True).is_visible()


def test_two_thousand_jobs_are_all_there(page_with: Any) -> None:
    page = page_with()
    hear(page, message(lines(range(1, 2001))))
    assert rows_of(page).count() == 2000
    # Far from the window a row has its name and its button; its other cells come when it is near.
    last = page.locator('[data-job="1"]')
    assert last.get_by_role("cell").count() == 1
    assert last.get_by_role("button", name="Delete job 1", exact=True).count() == 1
    last.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelectorAll('[data-job=\"1\"] td').length === 10")
    assert "2026-03-27" in last.inner_text()
    assert page.locator("tbody td").count() < 15_000
    hear(page, {"type": "changes", "gone": list(range(500, 1500))})
    assert rows_of(page).count() == 1000


def test_links_to_runs_are_for_operators(page_with: Any) -> None:
    page = page_with()
    url = "http://flows.example.org/runs/1"
    bad = job_line(made_job(3, run_url="javascript:alert(1)"))
    hear(page, message([bad, job_line(made_job(2, run_url=url))]))
    assert page.locator(".cs-col-by a").count() == 0
    hear(page, {"type": "operator"})
    assert [a.get_attribute("href") for a in page.locator(".cs-col-by a").all()] == [url]


@pytest.mark.parametrize(
    ("width", "theme"), [(1280, "dark"), (1280, "light"), (390, "dark"), (320, "light")]
)
def test_axe_finds_nothing_and_nothing_sticks_out(page_with: Any, width: int, theme: str) -> None:
    page = page_with(width=width, theme=theme)
    orphan = job_line(made_job(14, state="running", orphaned=True))
    hear(page, message([*lines(range(1, 13)), orphan]))
    hear(page, {"type": "log", "id": 8, "log": "read\nstacked\n"})
    page.get_by_role("button", name="Details of job 7", exact=True).click()
    hear(page, {"type": "frames", "id": 7, "frames": [{"name": "a.fit", "state": "stacked"}]})
    page.get_by_role("checkbox", name="Select job 7", exact=True).check()
    assert axe_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Delete job 7", exact=True).click()
    assert axe_findings(page) == []
