"""No upload is ever orphaned: pages, tabs, browser, service and network go away and come back."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import browser_process, kept_profile, needs_chromium
from tests.browser.line import Line, line_to
from tests.browser.site import Site, real_size_night
from tests.browser.steps import (
    choose_files,
    finalise_button,
    go_to,
    is_there,
    queue,
    queue_until,
    reloaded,
    wait_for,
)

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    needs_chromium,
]

COUNT = 60
SENDERS = 4  # files under way at once
PACE = 8e6
AWAY_MS = 10_000
VIEWPORT = {"width": 1280, "height": 900}


def test_all_interruptions_in_a_row(site: Site, play: Any, tmp_path: Path) -> None:
    night = real_size_night(tmp_path / "night", COUNT, word="survive")
    profile, interruptions = tmp_path / "profile", 0
    with line_to(site.address) as line:
        behind = replace(site, address=line.address)
        with kept_profile(profile, play, viewport=VIEWPORT) as context:
            page = context.pages[0]
            behind.sign_up(page, "survivor")
            is_there(page, "Upload")
            line.pace_bytes_per_s, before = PACE, line.sent_bytes
            choose_files(page, night)
            more(page, line, 4)

            go_to(page, "Status")
            chip = page.get_by_role("status", name="Upload progress")
            chip.wait_for()
            assert chip.inner_text().strip()
            more(page, line, 2)
            go_to(page, "Upload")
            assert page.get_by_role("region", name="Files", exact=True).is_visible()
            assert queue(page)["files"] == COUNT
            more(page, line, 2)
            interruptions += 2

            reloaded(page, "Upload")
            assert queue(page)["files"] == COUNT
            more(page, line, 2)
            interruptions += 1

            page.close()
            page = context.new_page()
            page.goto(f"{line.address}/upload")
            is_there(page, "Upload")
            assert queue(page)["files"] == COUNT
            more(page, line, 2)
            interruptions += 1

            behind.kill("service")
            more(page, line, 2)
            interruptions += 1

            line.cut()
            queue_until(page, lambda now: now["state"] == "waiting", "the loss to be noticed")
            assert "No connection" in page.locator("body").inner_text()
            page.wait_for_timeout(AWAY_MS)
            line.mend()
            more(page, line, 2)
            interruptions += 1

            queue_until(page, lambda now: now["safeFiles"] == COUNT, "the browser to hold all")
            assert sent_files(page) < COUNT, "the night was too short for all of this"
            line.cut()  # or what the system has buffered would still arrive
            os.kill(browser_process(profile), signal.SIGKILL)
            interruptions += 1
        line.mend()
        line.pace_bytes_per_s = 0.0
        with kept_profile(profile, play, viewport=VIEWPORT) as context:
            page = context.pages[0]
            page.goto(f"{line.address}/upload")
            is_there(page, "Upload")
            assert queue(page)["question"] is None
            done = queue_until(page, lambda now: now["state"] == "done", "the end", 120.0)
            assert (done["files"], done["counts"]["accepted"]) == (COUNT, COUNT)
            assert done["finalisable"]
            assert finalise_button(page).is_enabled()
            all_arrived(behind, page, night)
        sent = line.sent_bytes - before
    total = sum(path.stat().st_size for path in night)
    part = max(path.stat().st_size for path in night)
    print(
        f"\n{total / 1e6:.0f} MB of frames, {sent / 1e6:.0f} MB sent by the browser, of which "
        f"{done['resentBytes'] / 1e6:.1f} MB are known to be sent again"
    )
    # Besides the frames there are questions, headers and pages: a few hundred kilobytes.
    assert sent <= total + interruptions * SENDERS * part + 2e6


def test_signed_out_in_another_tab_it_waits_for_its_own_user(
    site: Site, visit: Callable[..., Any], tmp_path: Path
) -> None:
    night = real_size_night(tmp_path / "night", 12, word="waiting")
    page = visit()
    with line_to(site.address) as line:
        behind = replace(site, address=line.address)
        behind.sign_up(page, "waiter")
        is_there(page, "Upload")
        line.pace_bytes_per_s = PACE / 2
        choose_files(page, night)
        more(page, line, 1)
        other = page.context.new_page()
        other.goto(f"{line.address}/status")
        is_there(other, "Status")
        other.locator("summary", has_text="waiter").click()
        other.get_by_role("link", name="Log out").click()
        other.get_by_role("link", name="Sign up").first.wait_for()

        queue_until(page, lambda now: now["state"] == "signed-out", "the log-out to be noticed")
        line.pace_bytes_per_s = 0.0
        assert sent_files(page) < len(night)
        assert finalise_button(page).is_disabled()
        assert "log in" in page.locator("main").inner_text().lower()
        assert page.locator("main").get_by_role("link", name="Log in").first.is_visible()

        behind.sign_in(other, "waiter")
        done = queue_until(page, lambda now: now["state"] == "done", "the end", 90.0)
        assert done["counts"]["accepted"] == len(night)
        all_arrived(behind, page, night)


def more(page: Any, line: Line, files: int) -> None:
    """Wait until so many more files were taken."""
    wanted = sent_files(page) + files
    queue_until(page, lambda now: now["sentFiles"] >= wanted, f"{wanted} files", 90.0)
    assert sent_files(page) < queue(page)["files"], f"over too soon, at {line.sent_bytes} bytes"


def sent_files(page: Any) -> int:
    """How many files the service has."""
    return int(queue(page)["sentFiles"])


def all_arrived(site: Site, page: Any, night: list[Path]) -> None:
    """Each file once, byte by byte, and nothing half done beside them."""
    told = site.ask(page, "/uploads?state=accepted&limit=1000")["json"]["uploads"]
    wanted = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in night)
    assert sorted(upload["sha256"] for upload in told) == wanted
    frames = site.ask(page, "/frames?limit=1000")["json"]["frames"]
    assert sorted(frame["sha256"] for frame in frames) == wanted
    for state in ("open", "received"):
        left = site.ask(page, f"/uploads?state={state}&limit=1000")["json"]["uploads"]
        assert left == []
    wait_for(page, lambda: queue(page)["counts"]["uploading"] == 0, "nothing under way")
