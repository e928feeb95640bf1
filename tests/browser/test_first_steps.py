"""A newcomer's first evening: from the splash page to a stack on the own disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Batch, Job, Observer
from tests.browser.chromium import needs_chromium
from tests.browser.site import Site, small_night, until
from tests.browser.steps import (
    choose_files,
    finalise_button,
    go_to,
    is_there,
    numbers_in,
    queue_until,
    wait_for,
)

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    needs_chromium,
]

# Keeps what the table of jobs says at each of its changes.
_FOLLOW_JOBS = """() => {
    window.sameDocument = true;
    window.jobWords = new Set();
    const look = () => document.querySelectorAll('[data-job]')
        .forEach(row => window.jobWords.add(row.querySelector('.cs-chip')?.textContent));
    new MutationObserver(look).observe(document.body,
        {subtree: true, childList: true, characterData: true});
    look();
}"""


def test_from_the_first_visit_to_a_stack(
    site: Site, visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit()
    site.sign_up(page, "newcomer")
    is_there(page, "Upload")
    night = example_night(site, page, tmp_path)

    finalise = finalise_button(page)
    assert finalise.is_disabled()
    bar = page.get_by_role("progressbar", name="Upload progress")
    button_box, bar_box = finalise.bounding_box(), bar.bounding_box()
    assert button_box["x"] + button_box["width"] <= bar_box["x"], "not left of the bar"
    middle = bar_box["y"] + bar_box["height"] / 2
    assert button_box["y"] <= middle <= button_box["y"] + button_box["height"], "not on its line"

    choose_files(page, [night])
    queue_until(page, lambda now: now["finalisable"], "all to be uploaded", 120.0)
    seen = page.evaluate("() => window.queueSeen")
    assert "uploading" in {state for state, _ in seen}
    assert {is_grey for state, is_grey in seen if state in ("scanning", "uploading")} == {True}
    assert finalise.is_enabled()
    finalise.focus()
    page.keyboard.press("Enter")
    receipt = page.get_by_role("region", name="Receipt")
    assert numbers_in(receipt.get_by_role("heading").inner_text()) == [2]
    assert finalise.is_disabled()

    # Status tells what happens while it happens.
    go_to(page, "Status")
    page.evaluate(_FOLLOW_JOBS)
    table = page.get_by_role("table", name="Job Status Overview")
    wait_for(page, lambda: table.get_by_text("Done", exact=True).count() == 2, "two stacks", 240.0)
    assert page.evaluate("() => window.sameDocument")
    assert {"Running", "Done"} <= set(page.evaluate("() => [...window.jobWords]"))
    numbers_agree(page, site)
    job_id = site.ask(page, "/jobs")["json"]["jobs"][0]["id"]
    the_ledger_opens(page, site, job_id)

    # The stacks are there, and one of them comes home.
    go_to(page, "Stacks")
    rows = page.get_by_role("table", name="Stacks").locator("tr[data-stack]")
    wait_for(page, lambda: rows.count() == 2, "both stacks")
    assert "2 stacks" in page.get_by_role("status", name="Selection").inner_text()
    with page.expect_download() as coming:
        rows.first.get_by_role("link", name="Download FITS").click()
    content = Path(coming.value.path()).read_bytes()
    stacks = site.ask(page, "/stacks?scope=mine")["json"]["stacks"]
    assert content.startswith(b"SIMPLE")
    assert hashlib.sha256(content).hexdigest() in {stack["sha256"] for stack in stacks}

    # Out, and in again.
    page.locator("summary", has_text="newcomer").click()
    page.get_by_role("link", name="Log out").click()
    page.get_by_role("link", name="Sign up").first.wait_for()
    page.wait_for_load_state()
    print("logged out to", page.url)
    assert site.ask(page, "/me")["status"] == 401
    site.sign_in(page, "newcomer")
    go_to(page, "Stacks")
    wait_for(page, lambda: rows.count() == 2, "both stacks once more")


def test_a_double_click_makes_the_jobs_once(
    site: Site, visit: Callable[..., Any], archive_of_site: Archive, tmp_path: Path
) -> None:
    page = visit()
    site.sign_up(page, "twice")
    is_there(page, "Upload")
    choose_files(page, small_night(tmp_path / "night", 4, word="twice"))
    queue_until(page, lambda now: now["finalisable"], "all to be uploaded")
    finalise_button(page).dblclick()
    queue_until(page, lambda now: now["receipt"], "the receipt")
    page.get_by_role("region", name="Receipt").wait_for()
    with archive_of_site.reading() as session:
        for rows in (Batch, Job):
            mine = select(Observer.id).where(Observer.name == "twice").scalar_subquery()
            count = select(func.count()).select_from(rows).where(rows.observer_id == mine)
            assert session.scalar(count) == 1, rows


def example_night(site: Site, page: Any, folder: Path) -> Path:
    """What the page offers to people who have no frames at hand."""
    until((site.home / "example-night.zip").exists, 240.0, "the example night")
    with page.expect_download() as coming:
        page.get_by_role("link", name="example night").click()
    path = folder / "example-night.zip"
    coming.value.save_as(path)
    return path


def numbers_agree(page: Any, site: Site) -> None:
    """accepted = stacked + rejected + pending, on the page and at the service."""
    told = page.get_by_role("region", name="Your frames").locator("p").inner_text()
    accepted, *parts = numbers_in(told)
    assert accepted == sum(parts) > 0, told
    books = site.ask(page, "/books")["json"]
    assert [accepted, *parts] == [
        books[name] for name in ("accepted", "stacked", "rejected", "pending")
    ]


def the_ledger_opens(page: Any, site: Site, job_id: int) -> None:
    """Each frame of a job with its fate, and what they became."""
    page.get_by_role("button", name=f"Details of job {job_id}").click()
    ledger = page.get_by_role("region", name=f"Ledger of job {job_id}")
    frames = site.ask(page, f"/jobs/{job_id}/frames")["json"]["frames"]
    wait_for(page, lambda: ledger.get_by_role("listitem").count() == len(frames), "the ledger")
    for frame in frames:
        line = ledger.get_by_role("listitem").filter(has_text=frame["name"])
        assert (frame["reason"] or "used") in line.text_content()
    picture = page.get_by_role("img", name="The stack of")
    picture.scroll_into_view_if_needed()
    wait_for(page, lambda: picture.evaluate("one => one.naturalWidth"), "the preview")
