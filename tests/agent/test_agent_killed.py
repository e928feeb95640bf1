"""No upload is ever orphaned: the browser is killed, and comes back with the same profile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import SENDERS, Stage, choose_folder, open_page, until_state
from tests.agent.nights import SIZE
from tests.browser.chromium import kept_profile, needs_chromium

# A module of its own: these start browsers by themselves, and two Playwrights do not go together.
pytestmark = [pytest.mark.enable_socket, needs_chromium]

PART = 2 * SIZE[0] * SIZE[1]


def browser_process(profile: Path) -> int:
    """The browser that has a profile, by its process id; not one of its children."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--user-data-dir={profile}".encode() in words and not any(
            word.startswith(b"--type=") for word in words
        ):
            return int(folder.name)
    raise AssertionError("there is no such browser")


def kill_browser(context: Any, profile: Path) -> None:
    with context.expect_event("close"):
        os.kill(browser_process(profile), signal.SIGKILL)


def test_a_killed_browser_continues_where_it_was(
    stage: Stage, make_night: Callable[[int], Path], tmp_path: Path
) -> None:
    night, profile = make_night(24), tmp_path / "profile"
    with kept_profile(profile) as context:
        page = open_page(context, stage.address)
        page.evaluate("agent.pause()")
        choose_folder(page, night)
        page.wait_for_function("snap.safeFiles === 24", timeout=60_000)
        stage.site.pace_bytes_per_s = 4e6
        page.evaluate("agent.resume()")
        stage.more(6 * PART)
        stage.site.go_away()  # or what the system has buffered would still arrive
        kill_browser(context, profile)
        before = stage.bytes_received
    stage.site.come_back()
    stage.site.pace_bytes_per_s = 0
    assert len(stage.frames()) < 24
    with kept_profile(profile) as context:
        page = open_page(context, stage.address)
        until_state(page, "done")
        assert page.evaluate("snap.files") == 24
        assert page.evaluate("snap.question") is None
        stage.check(page, night, count=24, lost_parts=SENDERS)
        resent = page.evaluate("snap.resentBytes")
        # What came twice is told, and not less than it is.
        twice = stage.bytes_received - sum(path.stat().st_size for path in night.rglob("*.fit"))
        assert 0 <= twice <= resent <= SENDERS * (PART + 2 * 2880)
        print(f"\n{before / 1e6:.0f} MB before the kill, {twice / 1e6:.1f} MB twice, {resent=}")


def test_what_a_killed_browser_could_not_keep_is_asked_for_once(
    stage: Stage, make_night: Callable[[int], Path], tmp_path: Path
) -> None:
    night, profile = make_night(24), tmp_path / "profile"
    with kept_profile(profile) as context:
        # The browser has room for some of the files only.
        context.new_cdp_session(context.pages[0]).send(
            "Storage.overrideQuotaForOrigin", {"origin": stage.address, "quotaSize": 15 * PART}
        )
        page = open_page(context, stage.address)
        page.evaluate("agent.pause()")
        choose_folder(page, night)
        page.wait_for_function("snap.reason.includes('no room')", timeout=60_000)
        assert page.evaluate("[snap.files, snap.fragile]") == [24, True]
        kept = page.evaluate("snap.safeFiles")
        kill_browser(context, profile)
    with kept_profile(profile) as context:
        page = open_page(context, stage.address)
        question = page.evaluate("snap.question")
        assert question == {"kind": "choose-again", "safe": kept, "total": 24}
        assert 0 < kept < 24
        page.evaluate("agent.resume()")
        until_state(page, "needs-files")
        assert page.evaluate("snap.finalisable") is False
        choose_folder(page, night)
        until_state(page, "done")
        assert page.evaluate("snap.question") is None
        stage.check(page, night, count=24, lost_parts=0)
