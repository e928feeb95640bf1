"""The upload agent in a browser: what it finds, refuses, shows, and whom it sends as."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.agent.conftest import Stage, choose_folder, go, open_page, until_state
from tests.agent.nights import SIZE, frame, hashes, write_night
from tests.browser.chromium import needs_chromium
from tests.frames.fits_files import sub_bytes

pytestmark = [pytest.mark.enable_socket, needs_chromium]

SMALL = (48, 32)
PART = 2 * SIZE[0] * SIZE[1]


def rows_by_name(page: Any) -> dict[str, dict[str, Any]]:
    found = page.evaluate("agent.rows({limit: 1000})")["rows"]
    return {row["path"].split("/", 1)[-1]: row for row in found}


def test_bad_huge_and_double_files_stop_nobody(context: Any, stage: Stage, tmp_path: Path) -> None:
    night = tmp_path / "Seestar"
    write_night(night / "MyWorks", 4, shape=SMALL)
    sound = sorted(night.rglob("*.fit"))
    (night / "copy.fit").write_bytes(sound[0].read_bytes())
    (night / "empty.fit").write_bytes(b"")
    (night / "picture.fit").write_bytes(b"\xff\xd8\xff\xe0" + b"x" * 5000)
    (night / "page.fits").write_bytes(b"<html>" + b" " * 5000)
    (night / "cut.fit").write_bytes(frame(50, SMALL)[:4000])
    (night / "padded.fit").write_bytes(frame(51, SMALL))
    os.truncate(night / "padded.fit", 2880 + 2 * 48 * 32 + 2_000_000)
    # Sound by its header, and larger than the service takes: 10,000 x 10,000 pixels, as a hole.
    (night / "huge.fit").write_bytes(sub_bytes(NAXIS1=10_000, NAXIS2=10_000))
    os.truncate(night / "huge.fit", 2880 + 200_000_000)
    (night / "colours.fit").write_bytes(sub_bytes(BAYERPAT="XXXX"))
    for name in (
        'a"><img src=x onerror=alert(1)>.fit',
        "\U0001f600 \u202egnp.fit",
        "x" * 240 + ".fit",
    ):
        (night / name).write_bytes(frame(60 + len(name), SMALL))
    (night / "Lunar_1.fit").write_bytes(frame(70, SMALL))
    (night / "Stacked_12_M 94_10.0s_IRCUT_20250327-012032.fit").write_bytes(frame(71, SMALL))

    with stage.service.client() as client:  # one of them is here already, from another day
        content = sound[-1].read_bytes()
        made = client.post("/api/v1/uploads", headers={"Upload-Length": str(len(content))})
        octets = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        client.patch(made.headers["Location"], content=content, headers=octets)

    page = open_page(context, stage.address)
    choose_folder(page, night)
    until_state(page, "done")
    rows = rows_by_name(page)
    refused = {name: row["reason"] for name, row in rows.items() if row["state"] == "refused"}
    assert refused == {
        "empty.fit": "not a FITS file: it is empty",
        "picture.fit": "not a FITS file: it looks like a JPEG picture",
        "page.fits": "not a FITS file: it looks like an HTML or XML page",
        "cut.fit": "truncated: its header promises 5952 bytes, 4000 are here",
        "padded.fit": "at most 1048576 bytes may follow the image, 2000000 do",
        "huge.fit": "a frame has at most 64 MB",
        "colours.fit": refused["colours.fit"],
    }
    assert "the colour pattern is one of GRBG" in refused["colours.fit"]
    assert all(rows[name]["remedy"] for name in refused)
    counts = page.evaluate("snap.counts")
    assert (counts["accepted"], counts["duplicate"], counts["refused"]) == (6, 2, 7)
    assert counts["skipped"] == 6 + 2
    assert page.evaluate("snap.finalisable") is True
    assert page.evaluate("agent.rows({filter: 'problems'})")["total"] == 7
    assert (
        sum(one["state"] == "refused" for one in stage.uploads()) == 1
    )  # only the colours were sent
    shown = {one["name"] for one in stage.uploads()}
    assert 'a"><img src=x onerror=alert(1)>.fit' in shown
    # The same folder again: nothing is added, nothing counted twice.
    choose_folder(page, night)
    page.wait_for_function("snap.state === 'done' && snap.counts.refused === 7")
    assert page.evaluate("snap.counts") == counts
    receipt = page.evaluate("agent.finalise()")["receipt"]
    assert (receipt["accepted"], receipt["duplicates"], receipt["refused"]) == (6, 2, 7)


def test_dropped_folders_give_all_their_files(context: Any, stage: Stage, tmp_path: Path) -> None:
    # More than the 100 entries that browsers hand out at once.
    night = tmp_path / "MyWorks"
    write_night(night, 130, shape=SMALL)
    write_night(night / "deeper" / "still", 5, first=300, shape=SMALL)
    loose = tmp_path / "loose.fit"
    loose.write_bytes(frame(900, SMALL))
    page = open_page(context, stage.address)
    box = page.locator("#drop").bounding_box()
    session = context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent",
            {
                "type": kind, "x": box["x"] + 10, "y": box["y"] + 10,
                "data": {"items": [], "files": [str(night), str(loose)], "dragOperationsMask": 1},
            },
        )  # fmt: skip
    page.wait_for_function("window.added")
    page.evaluate("added")
    until_state(page, "done")
    assert page.evaluate("snap.counts.accepted") == 136
    assert stage.frames() == sorted([*hashes(night), *hashes(tmp_path / "none"), *_hash(loose)])
    assert page.evaluate("snap.counts.skipped") == 12


def _hash(path: Path) -> list[str]:
    folder = path.parent / "only"
    folder.mkdir()
    (folder / path.name).write_bytes(path.read_bytes())
    return hashes(folder)


def test_signed_out_in_the_middle_it_goes_on_after_the_log_in(
    context: Any, stage: Stage, make_night: Callable[[int], Path]
) -> None:
    night = make_night(6)
    stage.site.pace_bytes_per_s = 8e6
    page = open_page(context, stage.address)
    choose_folder(page, night)
    stage.more(PART)
    key, stage.site.key = stage.site.key, ""
    until_state(page, "signed-out")
    assert "Log in again" in page.evaluate("snap.reason")
    assert stage.site.logins >= 1
    stage.site.hub_key = key  # logged in at the Hub, in another tab
    stage.site.pace_bytes_per_s = 0
    go(context.new_page(), f"{stage.address}/status").close()  # where the log-in leads
    until_state(page, "done")
    stage.check(page, night, count=6, lost_parts=4)


def test_two_observers_with_one_browser_are_kept_apart(
    context: Any, stage: Stage, make_night: Callable[[int], Path]
) -> None:
    night = make_night(6)
    stage.site.pace_bytes_per_s = 2e6
    page = open_page(context, stage.address)
    choose_folder(page, night)
    stage.more(PART)
    # Alice leaves, Bob logs in; her worker is still there.
    stage.site.key = stage.service.keys["bob"]
    page = go(page, f"{stage.address}/?user=bob")
    assert page.evaluate("[snap.files, snap.state]") == [0, "empty"]
    alice = go(context.new_page(), stage.address)
    until_state(alice, "signed-out")
    assert "Another account" in alice.evaluate("snap.reason")
    assert (stage.frames("bob"), stage.uploads("bob")) == ([], [])
    stage.site.key = stage.service.keys["alice"]
    stage.site.pace_bytes_per_s = 0
    alice.evaluate("dispatchEvent(new Event('online'))")
    until_state(alice, "done")
    assert stage.uploads("bob") == []
    stage.check(alice, night, count=6, lost_parts=4)


def test_a_page_of_another_version_shares_the_queue_of_the_worker_that_has_it(
    context: Any, stage: Stage, make_night: Callable[[int], Path]
) -> None:
    night = make_night(6)
    old = open_page(context, stage.address)
    old.evaluate("agent.pause()")
    new = go(context.new_page(), f"{stage.address}/?worker=/agent-worker.js%3Fv2")
    choose_folder(new, night)
    for page in (old, new):
        page.wait_for_function("snap.files === 6 && snap.state === 'paused'")
    assert new.evaluate("agent.rows()") == old.evaluate("agent.rows()")
    stage.site.pace_bytes_per_s = 4e6
    new.evaluate("agent.resume()")
    stage.more(PART)
    old.close()  # its worker may live on for a while; the queue has one sender all the same
    stage.site.pace_bytes_per_s = 0
    until_state(new, "done")
    stage.check(new, night, count=6, lost_parts=4)


def test_a_worker_that_cannot_be_loaded_is_done_without(
    context: Any, stage: Stage, make_night: Callable[[int], Path]
) -> None:
    night = make_night(6)
    page = open_page(context, f"{stage.address}/?worker=/missing.js")
    choose_folder(page, night)
    until_state(page, "done")
    assert page.evaluate("snap.where") == "page"
    stage.check(page, night, count=6, lost_parts=0)


def test_an_insecure_address_still_uploads_and_says_what_it_cannot_do(
    context: Any, stage: Stage, tmp_path: Path
) -> None:
    write_night(tmp_path / "n", 5, shape=SMALL)
    # What a browser takes away where there is no HTTPS.
    context.add_init_script(
        """const taken = [
          [Navigator.prototype, 'locks'], [Crypto.prototype, 'subtle'], [window, 'isSecureContext']
        ]
        for (const [owner, name] of taken) {
          Object.defineProperty(owner, name, { get: () => undefined, configurable: true })
        }"""
    )
    page = open_page(context, stage.address)
    page.evaluate("agent.pause()")
    choose_folder(page, tmp_path / "n")
    page.wait_for_function("snap.reason")
    assert "not secure" in page.evaluate("snap.reason")
    assert (page.evaluate("snap.where"), page.evaluate("snap.fragile")) == ("page", True)
    page.evaluate("agent.resume()")
    until_state(page, "done")
    assert stage.frames() == hashes(tmp_path / "n")


def test_a_large_folder_is_scanned_while_the_page_stays_smooth(
    context: Any, stage: Stage, tmp_path: Path
) -> None:
    night = tmp_path / "MyWorks"
    write_night(night, 2000, shape=SMALL)
    page = open_page(context, stage.address)
    page.evaluate("agent.pause()")
    page.evaluate(
        """() => {
          window.frames_ = []
          let last = performance.now()
          // What the browser does before the page has the list is not ours.
          folder.addEventListener('change', () => {
            window.began = last = performance.now()
            frames_.length = 0
          }, true)
          const tick = now => { frames_.push(now - last); last = now; requestAnimationFrame(tick) }
          requestAnimationFrame(tick)
        }"""
    )
    choose_folder(page, night)
    took, longest, gaps = page.evaluate(
        "[performance.now() - began, Math.max(...frames_), frames_.filter(gap => gap > 50).length]"
    )
    page.wait_for_function("snap.files === 2000")
    summary = page.evaluate("agent.summary()")
    assert (summary["frames"], summary["skipped"]) == (2000, 6)
    listed = page.evaluate("agent.rows({offset: 1990, limit: 50})")
    assert (listed["total"], len(listed["rows"])) == (2000, 10)
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    kin = psutil.Process().children(recursive=True)
    own = sum(one.memory_full_info().uss for one in kin if "chrom" in one.name())
    print(
        f"\n2,000 files listed in {took:.0f} ms; longest frame {longest:.0f} ms, {gaps} over 50 ms;"
        f" page heap {heap / 1e6:.1f} MB, Chromium's own {own / 1e6:.0f} MB"
    )
    assert longest < took / 2, "the page stood still while the folder was read"
