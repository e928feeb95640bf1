"""The pages for everyone: by keyboard, by ear, enlarged, narrow, in either colour."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from crowdsky.archive.commit import commit_stack
from crowdsky.archive.engine import Archive
from crowdsky.archive.leases import fail_attempt
from crowdsky.archive.local_store import LocalStore
from tests.archive import queue_rows
from tests.archive.queue_rows import new_stack
from tests.browser.chromium import axe_findings, needs_chromium
from tests.browser.conftest import PATIENCE_MS
from tests.browser.line import line_to
from tests.browser.rows import FAR, jobs_of, taken
from tests.browser.site import Site, small_night
from tests.browser.steps import choose_files, is_there, queue_until

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    needs_chromium,
]

PUBLIC = {
    "splash": "/", "privacy": "/services/pages/privacy",
    "log in": "/hub/login", "sign up": "/hub/signup",
}  # fmt: skip
OWN = {"upload": "/upload", "status": "/status", "stacks": "/stacks"}
EVERYWHERE = [("navigation", "Main")] + [
    ("link", name) for name in ("Home", "Upload", "Status", "Stacks", "Notebooks")
]
NAMES = {
    "splash": [("link", "Sign up"), ("link", "Log in"), ("region", "Latest stacks")],
    "upload": [
        ("button", "Choose files"), ("button", "Choose folder"), ("region", "Drop files here"),
        ("button", "Finalise and create stacking jobs"), ("progressbar", "Upload progress"),
        ("region", "Files"), ("button", "Pause all"), ("button", "Resume all"),
        ("status", "Upload progress"),
    ],
    "status": [("table", "Job Status Overview"), ("status", "Upload progress")],
    "stacks": [("status", "Selection"), ("button", "Download All"), ("table", "Stacks")],
}  # fmt: skip
MOST_REQUESTS, MOST_BYTES = 10, 700_000

# Numbers what the keyboard should reach; a disabled button is none of it.
_MARK = """() => {
    const wanted = [...document.querySelectorAll(
        'a[href], button, input, select, textarea, summary, [tabindex="0"], [contenteditable]')]
        .filter(one => one.checkVisibility({visibilityProperty: true}) && !one.disabled
            && one.tabIndex >= 0);
    wanted.forEach((one, number) => { one.dataset.probe = number; });
    document.activeElement?.blur();
    return wanted.map(one => one.outerHTML.slice(0, 160));
}"""
_FOCUSED = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    return {
        probe: one.dataset.probe ?? null,
        words: one.outerHTML.slice(0, 160),
        seen: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0)
            || style.boxShadow !== 'none',
        inside: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    };
}"""


@pytest.fixture(scope="module")
def hosts() -> set[str]:
    """Every host that a browser of this module asked."""
    return set()


def note_hosts(context: Any, hosts: set[str]) -> None:
    """Write down whom a browser asks."""

    def note(request: Any) -> None:
        at = urlsplit(request.url)
        if at.scheme not in ("blob", "data"):
            hosts.add(at.netloc)

    context.on("request", note)


@pytest.fixture(scope="module")
def everyone(
    site: Site, chromium: Any, archive_of_site: Archive, hosts: set[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:  # fmt: skip
    """The browser of somebody with files under way, jobs of each kind and a stack."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    note_hosts(context, hosts)
    page = context.new_page()
    site.sign_up(page, "everyone")
    is_there(page, "Upload")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue_rows, "NOW", FAR)
        store = LocalStore(site.home / "store")
        jobs = jobs_of(archive_of_site, store, "everyone", 4)
        soon = datetime.now(UTC) + timedelta(hours=1)
        leases = [taken(archive_of_site, job, soon) for job in jobs[:3]]
        commit_stack(archive_of_site, leases[0], new_stack(archive_of_site, jobs[0]))
        fail_attempt(archive_of_site, leases[1], "no frame is good enough",
                     retry_after_s=1.0, max_attempts=1, permanent=True)  # fmt: skip
    folder = tmp_path_factory.mktemp("files")
    (folder / "Light_bad.fit").write_bytes(bytes(5760))
    choose_files(page, [folder / "Light_bad.fit", *small_night(folder, 4, word="before")])
    queue_until(page, lambda now: now["state"] == "done", "the first files")
    page.evaluate("() => crowdsky.agent.pause()")
    choose_files(page, small_night(folder / "more", 25, word="M 13"))
    yield context
    context.close()


def opened(site: Site, context: Any, name: str) -> Any:
    """One of the pages, drawn to its end."""
    page = context.new_page()
    page.goto(site.address + (PUBLIC | OWN)[name])
    if name in OWN:
        is_there(page, name.capitalize())
        shown = {"upload": ".cs-up-row:nth-child(3)", "status": "tr[data-job]",
                 "stacks": "tr[data-stack]"}[name]  # fmt: skip
        page.locator(shown).first.wait_for()
    page.get_by_role("heading", level=1).first.wait_for()
    return page


@pytest.fixture
def anybody(chromium: Any, hosts: set[str]) -> Iterator[Any]:
    """A browser that nobody has signed in with."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    note_hosts(context, hosts)
    yield context
    context.close()


@pytest.mark.parametrize("name", [*PUBLIC, *OWN])
def test_a_page_is_for_everyone(site: Site, everyone: Any, anybody: Any, name: str) -> None:
    page = opened(site, everyone if name in OWN else anybody, name)
    try:
        for role, words in EVERYWHERE + NAMES.get(name, []):
            found = page.get_by_role(role, name=words, exact=True)
            assert found.count() >= 1, f"there is no {role} '{words}'"
        findings = []
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(100)
                findings += [f"{scheme} {width}: {line}" for line in axe_findings(page)]
        assert findings == []
        # Narrow, and so enlarged that a small laptop shows a fifth of it.
        for size in ({"width": 320, "height": 800}, {"width": 320, "height": 256}):
            page.set_viewport_size(size)
            page.wait_for_timeout(100)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 320, size
        heading = page.get_by_role("heading", level=1).first
        heading.scroll_into_view_if_needed()
        assert heading.evaluate(
            """one => {
                one.scrollIntoView({block: 'center'});
                const box = one.getBoundingClientRect();
                const hit = document.elementFromPoint(
                    box.left + Math.min(box.width, innerWidth) / 2, box.top + box.height / 2);
                return one.contains(hit) || hit.contains(one);
            }"""
        ), "something covers the heading"
        page.set_viewport_size({"width": 1280, "height": 900})
        the_keyboard_reaches_everything(page)
    finally:
        page.close()


def the_keyboard_reaches_everything(page: Any) -> None:
    """Tab goes to each control, where it can be seen."""
    wanted = page.evaluate(_MARK)
    reached: dict[str, dict[str, Any]] = {}
    for _ in range(len(wanted) + 15):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused is None:
            if len(reached) > len(wanted) // 2:
                break  # once around
            continue
        reached.setdefault(str(focused["probe"]), focused)
    lacking = [words for number, words in enumerate(wanted) if str(number) not in reached]
    assert lacking == [], "Tab does not reach these"
    assert [one["words"] for one in reached.values() if not one["seen"]] == [], "focus unseen"
    assert [one["words"] for one in reached.values() if not one["inside"]] == [], "out of sight"


def test_each_job_has_its_buttons(site: Site, everyone: Any) -> None:
    page = opened(site, everyone, "status")
    rows = page.locator("tr[data-job]")
    assert rows.count() == 4
    for place in range(4):
        number = rows.nth(place).get_attribute("data-job")
        assert rows.nth(place).get_by_role("button", name=f"Delete job {number}").count() == 1
    failed = page.locator("tr[data-state=failed]")
    number = failed.get_attribute("data-job")
    assert failed.get_by_role("button", name=f"Retry job {number}", exact=True).is_visible()
    assert "no frame is good enough" in failed.inner_text()
    page.close()


def test_the_first_visit_to_upload_is_light(site: Site, everyone: Any, chromium: Any) -> None:
    """As by somebody whose browser knows who they are and has nothing of the site yet."""
    with line_to(site.address) as line:
        context = chromium.new_context(
            viewport={"width": 1280, "height": 900}, storage_state=everyone.storage_state()
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{line.address}/services/pages/upload", wait_until="commit")
        page.get_by_role("button", name="Choose files").wait_for()
        usable_ms = page.evaluate("() => performance.now()")
        is_there(page, "Upload")
        page.wait_for_timeout(1000)  # what it fetches late counts too
        paint_ms = page.evaluate(
            "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        )
        received = line.received_bytes
        context.close()
    parts = [urlsplit(url).path.rpartition("/")[2] for url in asked if not url.startswith("data:")]
    print(
        f"\n{len(parts)} requests, {received / 1000:.0f} kB, first paint after {paint_ms:.0f} ms, "
        f"usable after {usable_ms:.0f} ms: {parts}"
    )
    assert len(parts) <= MOST_REQUESTS, parts
    assert received < MOST_BYTES


def test_visitors_without_an_account_cost_no_kernel(site: Site) -> None:
    before = kernels_of(site)
    with httpx.Client(base_url=site.address, follow_redirects=True, trust_env=False) as client:
        answers = [client.get("/") for _ in range(100)]
    assert {answer.status_code for answer in answers} == {200}
    assert all("CrowdSky" in answer.text for answer in answers)
    # What earlier tests took of those that are kept ready may still be made up for.
    assert len(set(kernels_of(site)) - set(before)) <= len(OWN)


def test_a_page_whose_kernel_is_dead_says_so(site: Site, everyone: Any) -> None:
    page = opened(site, everyone, "status")
    number = json.loads(page.locator("#crowdsky-kernel").text_content())["id"]
    (process,) = [one for one in kernels_of(site).values() if number in " ".join(one.cmdline())]
    process.kill()
    trouble = page.get_by_role("alert").filter(has_text="This page has ended")
    trouble.wait_for()
    trouble.get_by_role("button", name="Reload").click()
    is_there(page, "Status")
    page.locator("tr[data-job]").first.wait_for()
    assert not page.get_by_role("alert").filter(has_text="This page has ended").is_visible()
    page.close()


def test_no_page_asks_another_host(site: Site, hosts: set[str]) -> None:
    """After all of the above."""
    assert hosts == {urlsplit(site.address).netloc}


def kernels_of(site: Site) -> dict[int, psutil.Process]:
    """Kernels of pages, by their process number."""
    children = psutil.Process(site.pids()["pages"]).children(recursive=True)
    found = {}
    for child in children:
        try:
            if "ipykernel" in " ".join(child.cmdline()):
                found[child.pid] = child
        except psutil.Error:
            continue
    return found
