"""The Upload page in a browser: where things stand, what is active when, what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import axe_findings, needs_chromium
from tests.pages.upload.bench import fill

pytestmark = [pytest.mark.enable_socket, needs_chromium]

FINALISE = "Finalise and create stacking jobs"
ALL_SENT = {
    "state": "done", "files": 30, "bytes": 124_588_800, "sentFiles": 30, "sentBytes": 124_588_800,
    "finalisable": True, "counts": {"accepted": 27, "duplicate": 2, "refused": 1},
}  # fmt: skip


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def bar(page: Any) -> Any:
    return page.get_by_role("progressbar", name="Upload progress")


def tell(page: Any, change: dict[str, Any]) -> None:
    page.evaluate("change => crowdsky.agent.set(change)", change)


def calls(page: Any, name: str) -> list[list[Any]]:
    found: list[list[Any]] = page.evaluate(
        "name => crowdsky.agent.calls.filter((call) => call[0] === name)", name
    )
    return found


def said(page: Any) -> str:
    text: str = page.locator("[role=status].cs-visually-hidden").inner_text()
    return text


def test_everything_has_its_name(page: Any) -> None:
    for name in ("Choose files", "Choose folder", FINALISE, "Pause all", "Resume all"):
        assert button(page, name).count() == 1, name
    assert page.get_by_role("region", name="Drop files here").count() == 1
    assert page.get_by_role("region", name="Files", exact=True).count() == 1
    assert bar(page).count() == 1
    link = page.get_by_role("link", name="example night")
    assert link.get_attribute("href") == "/services/pages/example-night.zip"


@pytest.mark.parametrize("width", [1280, 768, 480, 390, 320])
def test_the_button_is_left_of_the_bar_on_one_line(page_of: Callable[..., Any], width: int) -> None:
    page = page_of(width=width)
    fill(page, 25)
    one, other = button(page, FINALISE).bounding_box(), bar(page).bounding_box()
    assert one["x"] + one["width"] <= other["x"]
    assert one["y"] < other["y"] + other["height"] / 2 < one["y"] + one["height"]
    assert other["width"] >= 80
    # Above the list and above where files are dropped.
    assert one["y"] < page.get_by_role("region", name="Drop files here").bounding_box()["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_finalise_is_grey_until_all_is_sent_and_a_refused_file_is_no_hindrance(page: Any) -> None:
    finalise = button(page, FINALISE)
    assert finalise.is_disabled()
    active = page.evaluate(
        "getComputedStyle([...document.querySelectorAll('button')]"
        ".find((one) => one.textContent === 'Choose folder')).backgroundColor"
    )
    colour = "(element) => getComputedStyle(element).backgroundColor"
    for state in ("scanning", "uploading", "paused", "waiting"):
        fill(page, 30, state=state, sentFiles=3)
        assert finalise.is_disabled(), state
        assert finalise.evaluate(colour) != active, state
    finalise.hover(force=True)
    page.wait_for_timeout(200)  # a colour would have faded in
    grey = button(page, "Pause all").evaluate(colour)
    assert finalise.evaluate(colour) == grey
    page.mouse.move(0, 0)
    tell(page, ALL_SENT)
    assert finalise.is_enabled()
    page.wait_for_timeout(200)  # the colour fades in
    assert finalise.evaluate(colour) == active
    assert bar(page).get_attribute("aria-valuenow") == "100"


def test_a_double_click_creates_jobs_once(page: Any) -> None:
    fill(page, 30)
    tell(page, ALL_SENT)
    page.evaluate("crowdsky.agent.finaliseMs = 300")
    button(page, FINALISE).dblclick()
    assert button(page, FINALISE).is_disabled()
    heading = page.get_by_role("heading", name="3 stacking jobs created")
    heading.wait_for()
    assert len(calls(page, "finalise")) == 1
    assert button(page, FINALISE).is_disabled()
    receipt = page.get_by_role("region", name="Receipt")
    text = receipt.inner_text()
    assert "236 accepted, 12 already here, 1 refused" in text
    assert "124.6 MB" in text
    assert "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" in text
    links = receipt.get_by_role("link")
    assert links.nth(0).get_attribute("href") == "/services/pages/status"
    assert links.nth(1).get_attribute("href") == "/services/pages/status?find=11"
    # Who pressed the button by the keyboard is where the news is.
    assert heading.evaluate("(element) => element === document.activeElement")


def test_a_finalise_that_fails_says_so_and_can_be_pressed_again(page: Any) -> None:
    fill(page, 30)
    tell(page, ALL_SENT)
    page.evaluate("crowdsky.agent.finaliseError = { kind: 'offline' }")
    button(page, FINALISE).click()
    page.get_by_text("The server cannot be reached. Try again when you are online.").wait_for()
    page.evaluate("crowdsky.agent.finaliseError = null")
    button(page, FINALISE).click()
    page.get_by_role("heading", name="3 stacking jobs created").wait_for()
    assert page.get_by_text("The server cannot be reached").count() == 0


def test_the_blocks_are_shown_before_the_jobs_are_made(page: Any) -> None:
    page.evaluate(
        """crowdsky.preview = { n_blocks: 2, n_frames: 29, blocks: [
        { target: "<b>M 31</b>", start_utc: "2025-08-12T22:15:00Z", n_frames: 20, n_there: 3,
          filter: "LP", exposure_s: 10, telescope: "Seestar S50" },
        { target: "M 33", start_utc: "2025-08-12T22:30:00Z", n_frames: 9, n_there: 0,
          filter: "IRCUT", exposure_s: 20, telescope: "Seestar S50" }] }"""
    )
    fill(page, 30)
    assert page.evaluate("window.fetched") == []
    tell(page, ALL_SENT)
    line = page.get_by_text("2 blocks of 29 frames: <b>M 31</b> (20), M 33 (9)")
    line.click()
    rows = page.get_by_role("region", name="Blocks to be stacked").get_by_role("row")
    assert rows.nth(1).inner_text().split("\t") == [
        "<b>M 31</b>", "2025-08-12 22:15", "20 and 3 there", "LP", "10 s", "Seestar S50",
    ]  # fmt: skip
    assert page.evaluate("window.fetched") == ["/blocks/preview"]
    assert calls(page, "finalise") == []


def test_the_summary_comes_before_a_byte_is_sent(page: Any) -> None:
    page.evaluate(
        """crowdsky.agent.told = { frames: 4420, bytes: 17.1e9, blocks: 61, here: 312, refused: 3,
        skipped: 0, targets: [{ name: "M 31", frames: 4420 }], nights: ["2025-08-12"],
        filters: ["LP"] }"""
    )
    fill(page, 30, state="scanning")
    page.get_by_text(
        "4,420 frames, 17.1 GB, 61 blocks, 312 already here, 3 will be refused · M 31 (4,420)"
        " · 1 night · LP"
    ).wait_for()


def test_an_archive_is_counted_as_one_and_not_as_no_frames(page: Any) -> None:
    page.evaluate(
        """crowdsky.agent.told = { frames: 0, bytes: 12.3e6, blocks: 0, here: 0, refused: 0,
        skipped: 0, archives: 1, targets: [], nights: [], filters: [] }"""
    )
    fill(page, 1, state="scanning")
    page.get_by_text("1 archive, 12.3 MB", exact=True).wait_for()


def test_files_are_chosen_and_dropped(page: Any) -> None:
    file = {"name": "a.fit", "mimeType": "", "buffer": b"SIMPLE"}
    with page.expect_file_chooser() as chosen:
        button(page, "Choose files").click()
    assert chosen.value.is_multiple()
    chosen.value.set_files([file])
    with page.expect_file_chooser() as chosen:
        button(page, "Choose folder").click()
    assert chosen.value.element.get_attribute("webkitdirectory") is not None
    assert calls(page, "addFiles") == [["addFiles", ["a.fit"]]]
    dropped = page.evaluate(
        """() => {
        const carried = new DataTransfer();
        carried.items.add(new File(["SIMPLE"], "b.fit"));
        const heard = [];
        crowdsky.agent.addDrop = (items) => {
          heard.push(...[...items].map((one) => one.getAsFile().name));
        };
        const traits = { dataTransfer: carried, bubbles: true, cancelable: true };
        // Beside the zone, too.
        const kept = document.body.dispatchEvent(new DragEvent("drop", traits));
        return { heard, left: kept };
        }"""
    )
    assert dropped == {"heard": ["b.fit"], "left": False}


@pytest.mark.parametrize("width", [1280, 390])
def test_the_21st_file_makes_the_box_scroll(page_of: Callable[..., Any], width: int) -> None:
    page = page_of(width=width)
    box = page.get_by_role("region", name="Files", exact=True)
    sizes = "(box) => [box.scrollHeight, box.clientHeight, getComputedStyle(box).overflowY]"
    heights = []
    for n_files in (3, 10, 20):
        fill(page, n_files)
        page.wait_for_function(
            "n => document.querySelector('[role=table]').getAttribute('aria-rowcount') == n + 1",
            arg=n_files,
        )
        whole, seen, _ = box.evaluate(sizes)
        assert whole == seen, n_files
        assert box.evaluate("(box) => box.querySelectorAll('[aria-rowindex]').length") == n_files
        heights.append(seen)
    assert heights[0] < heights[1] < heights[2]  # it grows down the page
    for n_files in (21, 5000):
        fill(page, n_files)
        page.wait_for_function(
            "n => document.querySelector('[role=table]').getAttribute('aria-rowcount') == n + 1",
            arg=n_files,
        )
        whole, seen, overflow = box.evaluate(sizes)
        assert whole > seen, n_files
        assert overflow == "scroll"
        if width == 1280:
            assert seen == heights[2], "20 rows and their heading, however many there are"


def test_100_000_rows_are_few_elements_and_scroll(page: Any) -> None:
    fill(page, 100_000)
    box = page.get_by_role("region", name="Files", exact=True)
    count = "(box) => box.querySelectorAll('[aria-rowindex]').length"
    row_px = box.evaluate("(box) => box.querySelector('[aria-rowindex]').offsetHeight")
    assert box.evaluate(count) < 60
    for place in (50_000, 99_980, 0, 73_211):
        box.evaluate("(box, top) => { box.scrollTop = top; }", place * row_px)
        name = f"Light_M31_10.0s_LP_20250812-{place:06d}.fit"
        row = page.get_by_text(name, exact=True)
        row.wait_for()
        inside = row.evaluate(
            """(row) => { const a = row.getBoundingClientRect();
            const b = row.closest("section").getBoundingClientRect();
            return a.top >= b.top && a.bottom <= b.bottom; }"""
        )
        assert inside, place
        assert box.evaluate(count) < 60
        index = row.evaluate("(row) => row.closest('[aria-rowindex]').ariaRowIndex")
        assert int(index) == place + 2
    box.evaluate("(box) => { box.scrollTop = box.scrollHeight; }")
    page.get_by_text("Light_M31_10.0s_LP_20250812-099999.fit", exact=True).wait_for()
    # What is asked of the agent are windows, never the whole list.
    assert max(call[2] for call in calls(page, "rows")) < 60


def test_an_agent_that_tells_fewer_rows_than_it_counts_is_not_asked_for_ever(page: Any) -> None:
    page.evaluate(
        "() => { crowdsky.agent.rows = async function rows(asked) {"
        " this.calls.push(['rows', asked]); return { total: 500, rows: [] }; }; }"
    )
    tell(page, {"state": "paused", "files": 500})
    page.wait_for_timeout(1000)
    assert len(calls(page, "rows")) < 6


def test_a_row_tells_what_happens_to_its_file_and_what_to_do(page: Any) -> None:
    page.evaluate(
        """Object.assign(crowdsky.agent.change, {
        0: { state: "accepted" }, 1: { state: "duplicate" },
        2: { state: "refused", reason: "it is empty", remedy: "Copy the file again." },
        3: { state: "uploading", sentBytes: 2076480 }, 4: { paused: true },
        5: { state: "lost", reason: "the browser could not keep it", remedy: "Choose it again." },
        6: { state: "accepted", reason: "3 of its 20 files were refused", remedy: "" } });
        crowdsky.agent.problems = [2, 5]"""
    )
    fill(page, 9, counts={"queued": 3, "uploading": 1, "accepted": 2, "duplicate": 1,
                          "refused": 1, "lost": 1})  # fmt: skip
    page.wait_for_timeout(600)

    def row(place: int) -> Any:
        return page.locator(f"[aria-rowindex='{place + 2}']")

    for place, words in [
        (0, "Accepted"), (1, "Already here"), (2, "Refused"), (3, "Uploading 50 %"), (4, "Paused"),
        (5, "Choose it again"), (7, "Waiting"),
    ]:  # fmt: skip
        assert words in row(place).inner_text(), place
        assert row(place).locator(".cs-up-mark svg").count() == 1, "a mark beside the colour"
    assert "It is empty. Copy the file again." in row(2).inner_text()
    assert "3 of its 20 files were refused." in row(6).inner_text()
    name = "Light_M31_10.0s_LP_20250812-{:06d}.fit"
    for verb, place in [("Pause", 3), ("Resume", 4), ("Remove", 5)]:
        button(page, f"{verb} file {name.format(place)}").click()
    assert calls(page, "pauseFile") == [["pauseFile", 3]]
    assert calls(page, "resumeFile") == [["resumeFile", 4]]
    assert calls(page, "remove") == [["remove", 5]]
    assert row(0).get_by_role("button").count() == 0

    button(page, "Problems only (2)").click()
    page.get_by_text("1 file It is empty. Copy the file again.").wait_for()
    page.wait_for_function("document.querySelectorAll('[aria-rowindex]').length === 2")
    button(page, "Problems only (2)").click()
    page.wait_for_function("document.querySelectorAll('[aria-rowindex]').length === 9")


def test_names_are_text(page: Any) -> None:
    nasty = '"><img src=x onerror="window.hacked=1">\u202etif.exe'
    page.evaluate(
        """(name) => { crowdsky.agent.change[0] = { name, path: `a/${name}`, target: name,
        block: name, state: "refused", reason: name, remedy: name };
        crowdsky.agent.problems = [0];
        crowdsky.agent.told = { frames: 1, bytes: 1, blocks: 1,
          targets: [{ name, frames: 1 }] }; }""",
        nasty,
    )
    fill(page, 2, counts={"queued": 1, "refused": 1}, reason=nasty, state="waiting")
    button(page, "Problems only (1)").click()
    page.locator(".cs-up-reasons").get_by_text("<img").wait_for()
    page.wait_for_timeout(300)
    assert page.locator("#page img").count() == 0
    assert page.evaluate("window.hacked === undefined")
    assert page.locator(".cs-up-name").first.inner_text() == nasty


def test_signed_out_waiting_and_lost_files_say_what_to_do(page: Any) -> None:
    fill(page, 30, state="signed-out", sentFiles=3)
    login = page.get_by_role("link", name="Log in")
    assert login.get_attribute("href") == "/services/crowdsky/login?next=%2F"
    fill(page, 30, state="waiting", sentFiles=3, reason="the disk of the server is full")
    page.locator(".cs-up-headline").get_by_text(
        "3 of 30 files. The disk of the server is full."
    ).wait_for()
    assert login.count() == 0
    question = {"kind": "choose-again", "safe": 3127, "total": 4420}
    fill(page, 30, state="needs-files", question=question)
    zone = page.get_by_role("region", name="Drop files here")
    zone.get_by_text("Choose the folder again: 3,127 of 4,420 are safe.").wait_for()
    assert button(page, "Choose folder").count() == 1
    button(page, "Go on without them").click()
    assert calls(page, "giveUpLost") == [["giveUpLost"]]
    fill(page, 30)
    assert zone.get_by_text("Choose the folder again").count() == 0


def test_what_the_browser_cannot_keep_is_said_while_it_sends(page: Any) -> None:
    fill(page, 30, reason="The browser has no room to keep all files.")
    assert page.locator(".cs-up-caution").inner_text().startswith("The browser has no room")
    tell(page, {"state": "waiting", "reason": "the network is away"})
    assert page.locator(".cs-up-caution").inner_text() == ""


def test_a_folder_without_frames_is_told_why(page: Any) -> None:
    page.evaluate(
        """Object.assign(crowdsky.agent.told, { skipped: 12,
        skippedReasons: [{ reason: "a preview picture", files: 12 }] })"""
    )
    tell(page, {"counts": {"skipped": 12}})
    page.get_by_text("12 files Left out: a preview picture.").wait_for()
    assert page.locator(".cs-up-headline").inner_text() == "Nothing to upload: 12 files left out."


def test_what_was_here_already_is_no_news(page: Any) -> None:
    page.evaluate("crowdsky.agent.change[0] = { state: 'refused', reason: 'no' }")
    page.evaluate("crowdsky.agent.problems = [0]")
    page.evaluate("window.leave(); document.getElementById('page').replaceChildren()")
    page.evaluate(
        """async () => { crowdsky.agent.snapshot.loading = true;
        const widget = (await import("/upload.mjs")).default;
        widget.render({ model: window.model, el: document.getElementById("page") }); }"""
    )
    assert page.locator(".cs-up-headline").inner_text() == "Looking for what was being uploaded."
    fill(page, 30, sentBytes=9e7, loading=False, counts={"queued": 29, "refused": 1})
    page.wait_for_timeout(300)
    assert said(page) == ""


def test_frames_that_wait_for_their_jobs_are_not_cleared_away(page: Any) -> None:
    fill(page, 30)
    tell(page, ALL_SENT)
    assert button(page, "Clear the list").is_disabled()
    button(page, FINALISE).click()
    button(page, "Clear the list").click()
    assert calls(page, "clear") == [["clear"]]


def test_pause_and_resume(page: Any) -> None:
    pause, resume = button(page, "Pause all"), button(page, "Resume all")
    assert pause.is_disabled()
    fill(page, 30)
    pause.click()
    assert calls(page, "pause") == [["pause"]]
    tell(page, {"state": "paused"})
    assert pause.is_disabled()
    resume.click()
    assert calls(page, "resume") == [["resume"]]


def test_quarters_and_the_first_error_are_said_once(page: Any) -> None:
    page.evaluate(
        """crowdsky.agent.problems = [4]; crowdsky.agent.change[4] =
        { state: 'refused', reason: 'it is empty', remedy: 'Copy it.' }"""
    )
    page.evaluate(
        """window.heard = []; new MutationObserver(() => heard.push(
        document.querySelector("[role=status].cs-visually-hidden").textContent)).observe(
        document.querySelector("[role=status].cs-visually-hidden"), { childList: true })"""
    )
    total = 30 * 4152960
    for percent in (0, 3, 24, 26, 40, 51, 60, 80, 90):
        fill(page, 30, sentBytes=total * percent / 100)
    tell(page, {"counts": {"queued": 29, "refused": 1}})
    page.wait_for_function("heard.some((one) => one.includes('Refused'))")
    tell(page, {"counts": {"queued": 28, "refused": 2}})
    tell(page, ALL_SENT)
    heard = page.evaluate("window.heard")
    done = "30 files done: 27 accepted, 2 already here, 1 refused. Now create the stacking jobs."
    name = "Light_M31_10.0s_LP_20250812-000004.fit"
    assert heard == [
        "Upload progress 0 %. 0 of 30 files, 0 bytes of 124.6 MB.",
        "Upload progress 25 %.",
        "Upload progress 50 %.",
        "Upload progress 75 %.",
        f"{name}: Refused. It is empty. Copy it.",
        f"Upload progress 100 %. {done}",
    ]


def test_the_keyboard_reaches_everything(page: Any) -> None:
    fill(page, 500)
    page.wait_for_timeout(500)

    def focused() -> str:
        text: str = page.evaluate(
            "document.activeElement.ariaLabel || document.activeElement.textContent"
        )
        return text

    met = []
    for _ in range(14):
        page.keyboard.press("Tab")
        met.append(focused())
    name = "Light_M31_10.0s_LP_20250812-{:06d}.fit"
    wanted = [
        "Pause all", "example night", "Choose files", "Choose folder", "Problems only", "Files",
        f"Pause file {name.format(0)}", f"Remove file {name.format(0)}",
    ]  # fmt: skip
    assert [one for one in met if one in wanted][: len(wanted)] == wanted
    button(page, f"Pause file {name.format(0)}").focus()
    page.keyboard.press("ArrowDown")
    assert focused() == f"Pause file {name.format(1)}"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert focused() == f"Remove file {name.format(2)}"
    page.keyboard.press("Enter")
    assert calls(page, "remove") == [["remove", 2]]
    page.keyboard.press("End")
    page.wait_for_function("(name) => document.activeElement.closest('[role=row]')"
                           "?.textContent.includes(name)", arg=name.format(499))  # fmt: skip
    page.keyboard.press("Home")
    page.wait_for_function("(name) => document.activeElement.closest('[role=row]')"
                           "?.textContent.includes(name)", arg=name.format(0))  # fmt: skip


def test_a_focused_button_survives_what_comes_in(page: Any) -> None:
    fill(page, 500)
    mine = button(page, "Pause file Light_M31_10.0s_LP_20250812-000003.fit")
    mine.focus()
    page.evaluate("crowdsky.agent.change[3] = { paused: true }")
    fill(page, 500)
    other = button(page, "Resume file Light_M31_10.0s_LP_20250812-000003.fit")
    other.wait_for()
    assert other.evaluate("(element) => element === document.activeElement")


def test_nothing_moves_while_numbers_change(page_of: Callable[..., Any]) -> None:
    for width in (1280, 390):
        page = page_of(width=width)
        zone = page.get_by_role("region", name="Drop files here")
        fill(page, 30)
        page.wait_for_timeout(1800)
        before = zone.bounding_box()
        for change in (
            {"sentFiles": 17, "sentBytes": 9e7, "rateBytesPerS": 123456789, "secondsLeft": 5000},
            {"state": "paused"},
            {"state": "signed-out"},
            ALL_SENT,
        ):
            tell(page, change)
            page.wait_for_timeout(150)
            assert zone.bounding_box() == before, (width, change)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_serious_for_axe(page_of: Callable[..., Any], theme: str, width: int) -> None:
    page = page_of(theme=theme, width=width)
    assert axe_findings(page) == []
    page.evaluate(
        """crowdsky.agent.change = { 0: { state: "accepted" },
        1: { state: "refused", reason: "no" },
        2: { state: "uploading", sentBytes: 9 }, 3: { state: "lost" } };
        crowdsky.agent.problems = [1, 3]; crowdsky.preview = { n_blocks: 1, n_frames: 1, blocks: [
        { target: "M 31", start_utc: "2025-08-12T22:15:00Z", n_frames: 1, n_there: 0, filter: "LP",
        exposure_s: 10, telescope: "S50" }] }"""
    )
    fill(page, 30, counts={"queued": 27, "accepted": 1, "refused": 1, "lost": 1})
    page.wait_for_timeout(600)
    assert axe_findings(page) == []
    tell(page, ALL_SENT)
    button(page, "Problems only (1)").click()
    page.locator("details summary").click()
    page.wait_for_timeout(300)
    assert axe_findings(page) == []
    button(page, FINALISE).click()
    page.get_by_role("heading", name="3 stacking jobs created").wait_for()
    page.wait_for_timeout(200)
    assert axe_findings(page) == []


def test_the_kernel_hears_hello_and_gets_a_copy(page: Any) -> None:
    fill(page, 30)
    page.wait_for_function("window.sent.some((one) => one[0] === 'saved')")
    sent = page.evaluate("window.sent")
    assert sent[0] == {"type": "hello", "url": "http://upload.test/", "query": ""}
    assert sent[-1][1]["files"] == 30


def test_a_page_without_its_kernel_goes_on(page_of: Callable[..., Any]) -> None:
    page = page_of()
    page.evaluate("() => { window.model.save_changes = () => { throw new Error('gone'); }; }")
    fill(page, 30)
    page.wait_for_timeout(1200)
    tell(page, ALL_SENT)
    button(page, FINALISE).click()
    page.get_by_role("heading", name="3 stacking jobs created").wait_for()


def test_outside_of_the_pages_it_says_where_uploads_are_done(
    page_of: Callable[..., Any],
) -> None:
    page = page_of(agent=False)
    page.get_by_text("Uploads are done on the Upload page").wait_for()
    link = page.get_by_role("link", name="Open the Upload page")
    assert link.get_attribute("href") == "/upload"


def test_a_page_that_is_left_listens_no_more(page: Any) -> None:
    fill(page, 30)
    page.evaluate("window.leave()")
    assert page.evaluate("crowdsky.agent.heard.size") == 0
