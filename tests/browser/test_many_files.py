"""Two thousand files, some of which cannot be taken: the page stays small and tells why."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.browser.chromium import needs_chromium
from tests.browser.site import Site, small_night
from tests.browser.steps import finalise_button, go_to, is_there, queue, queue_until, wait_for
from tests.frames.fits_files import sub_bytes

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    needs_chromium,
]

COUNT = 2000
HEAP_MOST_BYTES = 300e6
ROWS_MOST = 60
# What a browser hands over is limited by nobody: the page itself must see it.
HUGE_BYTES = 3 * 2**30


def test_two_thousand_files(site: Site, visit: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "MyWorks" / "M 94_sub"
    good = small_night(folder, COUNT, word="M 94")
    (folder / "Light_bad.fit").write_bytes(os.urandom(5760))
    (folder / "Light_empty.fit").touch()
    (folder / "Light_twin.fit").write_bytes(good[0].read_bytes())
    with (folder / "Light_huge.fit").open("wb") as huge:
        huge.write(sub_bytes(OBJECT="huge"))
        huge.truncate(HUGE_BYTES)
    page = visit()
    site.sign_up(page, "many")
    is_there(page, "Upload")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose folder").click()
    chooser.value.set_files(str(folder.parent))
    queue_until(page, lambda now: now["files"] == COUNT + 4, "the list", 90.0)

    # The list is a box that scrolls, of which a few rows are elements.
    box = page.get_by_role("region", name="Files", exact=True)
    files = queue(page)["files"]
    table = page.get_by_role("table", name="Files to upload")
    wait_for(page, lambda: table.get_attribute("aria-rowcount") == str(files + 1), "the whole list")
    heights = box.evaluate("one => [one.clientHeight, one.scrollHeight]")
    assert heights[1] > 20 * heights[0]
    rows = box.locator("[role=row]")
    assert 0 < rows.count() < ROWS_MOST
    box.evaluate("one => { one.scrollTop = one.scrollHeight / 2 }")
    wait_for(page, lambda: seen_row(rows, files // 2 + 2), "the rows in the middle")
    assert rows.count() < ROWS_MOST

    now = queue_until(page, lambda now: now["state"] == "done", "the end", 240.0)
    counts = now["counts"]
    assert counts["accepted"] == COUNT
    assert counts["duplicate"] == 1
    assert counts["refused"] + counts["skipped"] == 3
    assert finalise_button(page).is_enabled()

    # Problems, each with its reason.
    page.get_by_role("button", name="Problems only").click()
    words = page.locator("main").inner_text
    for reason in ("Only .fit files as", "is empty", "has at most"):
        wait_for(
            page, lambda reason=reason: reason.lower() in words().lower(), f"the reason '{reason}'"
        )

    used = page.evaluate("() => performance.memory.usedJSHeapSize")
    print(
        f"\n{used / 1e6:.0f} MB of JavaScript in the page, {rows.count()} row elements, "
        f"{largest_renderer_mb(site):.0f} MB in the largest process that draws pages"
    )
    assert used < HEAP_MOST_BYTES

    # As it was, after a look at another page.
    go_to(page, "Status")
    go_to(page, "Upload")
    assert queue(page)["counts"] == counts
    assert finalise_button(page).is_enabled()


def seen_row(rows: Any, number: int) -> bool:
    """Whether a row of the list is an element, and says which file it is about."""
    found = rows.locator(f"xpath=self::*[@aria-rowindex='{number}']")
    return found.count() == 1 and ".fit" in found.inner_text()


def largest_renderer_mb(site: Site) -> float:
    """Memory of the largest of this test's processes that draw pages."""
    del site
    sizes = [0.0]
    for child in psutil.Process().children(recursive=True):
        try:
            if "--type=renderer" in child.cmdline():
                sizes.append(child.memory_info().rss / 1e6)
        except psutil.Error:
            continue
    return max(sizes)
