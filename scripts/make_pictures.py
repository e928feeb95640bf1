"""Take the README's pictures of the pages from a platform of their own.

``python scripts/make_pictures.py`` starts ``crowdsky up --demo`` in a folder that is thrown away,
waits until the demo's night is stacked, goes through the pages with Chromium as the demo's user,
and writes ``docs/images/pages-*.webp``. It needs Chromium and the development requirements.
"""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.chromium import browser  # noqa: E402
from tests.browser.site import Site, running_site, until  # noqa: E402
from tests.browser.steps import (  # noqa: E402
    choose_files,
    go_to,
    is_there,
    queue,
    queue_until,
    wait_for,
)

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 150_000
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}
NIGHT_S = 900.0


def main() -> None:
    """Start, look, write."""
    folder = Path(tempfile.mkdtemp(prefix="crowdsky-pictures-"))
    with running_site(folder, "--demo") as site, browser() as chromium:
        context = chromium.new_context(viewport=WIDE, color_scheme="dark", reduced_motion="reduce")
        context.set_default_timeout(60_000)
        take(context.new_page(), site)
        context.close()


def take(page: Any, site: Site) -> None:
    """Every picture, in an order in which one page leads to the next."""
    page.goto(f"{site.address}/hub/login")
    page.get_by_role("heading", name="Log in").wait_for()
    keep("login", page.screenshot())

    site.passwords["demo"] = site.facts["demo"]["password"]
    site.sign_in(page, "demo")
    is_there(page, "Upload")
    until((site.home / "example-night.zip").exists, NIGHT_S, "the example night")
    night_is_stacked(page, site)

    go_to(page, "Status")
    page.locator("tr[data-job]").first.wait_for()
    page.get_by_role("button", name="Details of job").first.click()
    pictures_are_there(page)
    keep("status", page.screenshot())
    go_to(page, "Stacks")
    page.locator("tr[data-stack]").first.wait_for()
    pictures_are_there(page)
    keep("stacks", page.screenshot())
    uploading = upload_half_way(page, site)
    keep("upload", uploading)

    phone = []
    page.set_viewport_size(PHONE)
    page.goto(site.address)
    pictures_are_there(page)
    phone.append(page.screenshot())
    for name in ("Upload", "Status", "Stacks"):
        page.goto(f"{site.address}/{name.lower()}")
        is_there(page, name)
        if name != "Upload":
            page.locator("tr[data-job], tr[data-stack]").first.wait_for()
        pictures_are_there(page)
        phone.append(page.screenshot())
    keep("phone", side_by_side(phone))

    page.set_viewport_size(WIDE)
    page.context.clear_cookies()
    page.goto(site.address)
    pictures_are_there(page)
    keep("splash", page.screenshot())


def night_is_stacked(page: Any, site: Site) -> None:
    """The demo sends its night by itself; a few jobs are enough."""

    def stacked() -> bool:
        answer = site.ask(page, "/jobs")
        if answer["status"] != 200:
            print(answer)
            return False
        jobs = answer["json"]["jobs"]
        return bool(jobs) and all(job["state"] == "done" for job in jobs)

    wait_for(page, stacked, "the demo's night", NIGHT_S)


def upload_half_way(page: Any, site: Site) -> bytes:
    """The Upload page with half of the example night under way."""
    go_to(page, "Upload")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(site.home / "example-night.zip") as night:
            names = [name for name in night.namelist() if name.endswith(".fit")]
            paths = [Path(night.extract(name, folder)) for name in names]
        choose_files(page, paths)
        queue_until(page, lambda now: 3 * now["sentFiles"] > now["files"], "a third of it")
        picture = page.screenshot()
        queue_until(page, lambda now: now["state"] == "done", "the rest", 120.0)
        assert queue(page)["finalisable"]
    return bytes(picture)


def pictures_are_there(page: Any) -> None:
    """Wait until what is in sight has its pictures."""
    loaded: Callable[[], Any] = lambda: page.evaluate(  # noqa: E731
        """() => [...document.images].every(one => one.complete
            || one.getBoundingClientRect().top > innerHeight)"""
    )
    wait_for(page, loaded, "the pictures")
    page.wait_for_timeout(500)


def side_by_side(pictures: list[bytes]) -> bytes:
    """Pictures of a phone in a row."""
    found = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    gap = 20
    width = sum(one.width for one in found) + gap * (len(found) - 1)
    row = Image.new("RGB", (width, max(one.height for one in found)), (128, 132, 142))
    left = 0
    for one in found:
        row.paste(one, (left, 0))
        left += one.width + gap
    output = io.BytesIO()
    row.save(output, "PNG")
    return output.getvalue()


def keep(name: str, picture: bytes) -> None:
    """Write a picture as small as it has to be."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for quality in range(88, 30, -6):
        output = io.BytesIO()
        image.save(output, "WEBP", quality=quality, method=6)
        if output.tell() < MOST_BYTES:
            break
    path = IMAGES / f"pages-{name}.webp"
    path.write_bytes(output.getvalue())
    print(f"{path.name}: {image.width} x {image.height}, {output.tell() / 1000:.0f} kB")


if __name__ == "__main__":
    main()
