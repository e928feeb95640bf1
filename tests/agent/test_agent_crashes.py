"""No upload is ever orphaned: pages are reloaded and left, the service killed, the network cut."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import (
    ROUTERS,
    SENDERS,
    Stage,
    choose_folder,
    go,
    open_page,
    ready,
    until_state,
)
from tests.agent.nights import SIZE
from tests.api.uploads_process import wait_until
from tests.browser.chromium import needs_chromium

pytestmark = [pytest.mark.enable_socket, needs_chromium]

PART = 2 * SIZE[0] * SIZE[1]


def test_an_upload_goes_on_through_reloads_and_other_pages(
    context: Any, stage: Stage, make_night: Callable[[int], Path]
) -> None:
    night = make_night(60)
    stage.site.pace_bytes_per_s = 12e6
    page = open_page(context, stage.address)
    choose_folder(page, night)
    summary = page.evaluate("agent.summary()")
    assert (summary["frames"], summary["skipped"]) == (60, 6)
    stage.more(5 * PART)
    page.reload()
    ready(page)
    assert page.evaluate("snap.files") == 60
    stage.more(3 * PART)
    go(page, f"{stage.address}/status")
    assert page.evaluate("snap.where") == "shared-worker"
    # Even on a page that knows nothing of uploads.
    page.goto(f"{stage.address}/foreign")
    stage.more(5 * PART)
    go(page, stage.address)
    stage.site.pace_bytes_per_s = 0
    until_state(page, "done")
    assert page.evaluate("snap.files") == 60
    assert page.evaluate("snap.resentBytes") == 0
    stage.check(page, night, count=60, lost_parts=0)
    rows = page.evaluate("agent.rows({limit: 100})")["rows"]
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    first, second = page.evaluate("Promise.all([agent.finalise(), agent.finalise()])")
    assert first == second
    assert stage.site.requests["POST /services/crowdsky/api/v1/finalise"] == 1
    assert first["receipt"]["accepted"] == 60
    assert first["receipt"]["jobs"] == first["job_ids"]


def test_a_killed_service_and_a_broken_network_lose_nothing(
    context: Any, stage: Stage, make_night: Callable[[int], Path]
) -> None:
    night = make_night(24)
    stage.site.pace_bytes_per_s = 12e6
    page = open_page(context, stage.address)
    choose_folder(page, night)
    stage.more(4 * PART)
    stage.service.kill()
    page.wait_for_function("snap.state === 'waiting'", timeout=30_000)
    stage.restart_service()
    stage.more(3 * PART)
    # Bodies that are cut in their middle, then no network at all.
    stage.site.cut_after, stage.site.cuts = PART // 2, 2
    wait_until(lambda: stage.site.cuts == 0, "bodies are cut")
    stage.site.go_away()
    page.wait_for_function("snap.state === 'waiting'", timeout=30_000)
    assert "No connection" in page.evaluate("snap.reason")
    stage.site.come_back()
    stage.site.pace_bytes_per_s = 0
    page.evaluate("dispatchEvent(new Event('online'))")
    until_state(page, "done")
    stage.check(page, night, count=24, lost_parts=2 * SENDERS + 2, faults=3)


def test_without_a_shared_worker_one_tab_sends_and_another_takes_over(
    context: Any, stage: Stage, make_night: Callable[[int], Path]
) -> None:
    night = make_night(24)
    address = f"{stage.address}/?worker="
    stage.site.pace_bytes_per_s = 8e6
    page = open_page(context, address)
    other = go(context.new_page(), address)
    choose_folder(other, night)  # handed to the tab that sends
    page.wait_for_function("snap.safeFiles === 24 || snap.sentFiles > 8", timeout=30_000)
    assert (page.evaluate("snap.where"), other.evaluate("snap.files")) == ("page", 24)
    assert stage.site.requests["POST /services/crowdsky/api/v1/uploads"] <= 24
    page.reload()  # the other one sends now
    ready(page)
    stage.more(2 * PART)
    other.close()
    stage.more(2 * PART)
    context.set_offline(True)
    page.wait_for_function("snap.state === 'waiting'", timeout=30_000)
    time.sleep(1)  # what the system has buffered still arrives
    before = stage.bytes_received
    time.sleep(1)
    assert stage.bytes_received == before
    context.set_offline(False)
    stage.site.pace_bytes_per_s = 0
    until_state(page, "done")
    stage.check(page, night, count=24, lost_parts=3 * SENDERS, faults=3)


@pytest.mark.parametrize("step", ["upload.written", "upload.received", "intake.taken"])
def test_a_service_that_dies_at_a_bad_moment_gets_no_frame_twice(
    context: Any, stage: Stage, make_night: Callable[[int], Path], step: str
) -> None:
    night = make_night(6)
    stage.service.stop()
    dying = stage.parent.start(stage.home, sandbox=False, routers=ROUTERS, kill_at=step, nth=2)
    stage.site.upstream_port = dying.port
    page = open_page(context, stage.address)
    choose_folder(page, night)
    dying.wait()
    stage.restart_service()
    page.evaluate("dispatchEvent(new Event('online'))")
    until_state(page, "done")
    stage.check(page, night, count=6, lost_parts=SENDERS)
