"""What people do on the pages, and what they see."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "choose_files", "finalise_button", "go_to", "is_there", "numbers_in", "queue", "queue_until",
    "reloaded", "wait_for",
]  # fmt: skip

HEADINGS = {"Upload": "Upload", "Status": "Status", "Stacks": "Stacks"}
# Follows the upload agent, and what the button was at each moment.
_WATCH = """async () => {
    const { agent } = await window.crowdskyReady;
    if (window.queueSeen) return;
    window.queueSeen = [];
    agent.subscribe(snapshot => {
        window.queueNow = snapshot;
        const button = [...document.querySelectorAll('button')]
            .find(one => one.textContent.includes('Finalise and create'));
        window.queueSeen.push([snapshot.state, button ? button.disabled : null]);
    });
}"""


def wait_for(page: Any, said: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Look again and again, while the browser goes on; what was said at last."""
    end = time.monotonic() + seconds
    while not (found := said()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        page.wait_for_timeout(50)
    return found


def go_to(page: Any, name: str) -> None:
    """By the navigation to a page of the site, until its widgets are there."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
    is_there(page, name)


def is_there(page: Any, name: str) -> None:
    """Wait until a page's widgets are there, and follow its queue."""
    page.get_by_role("heading", name=HEADINGS[name], level=1, exact=True).wait_for()
    page.evaluate(_WATCH)
    queue(page)


def reloaded(page: Any, name: str) -> None:
    """Load the page anew."""
    page.reload()
    is_there(page, name)


def queue(page: Any) -> dict[str, Any]:
    """The upload agent's last word."""
    return dict(
        wait_for(
            page,
            lambda: page.evaluate(
                "() => window.queueNow && !window.queueNow.loading ? window.queueNow : null"
            ),
            "the upload agent",
        )
    )


def queue_until(
    page: Any, said: Callable[[dict[str, Any]], object], what: str, seconds: float = 60.0
) -> dict[str, Any]:
    """Wait until the upload agent says something."""
    last: dict[str, Any] = {}

    def look() -> object:
        last.update(queue(page))
        return said(last)

    try:
        wait_for(page, look, what, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {last}") from None
    return last


def choose_files(page: Any, paths: Sequence[Path], button: str = "Choose files") -> None:
    """By the button, and until all are in the list."""
    before = queue(page)["files"]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=button).click()
    chooser.value.set_files([str(path) for path in paths])
    queue_until(
        page,
        lambda now: now["state"] != "scanning" and now["files"] > before,
        "the files to be in the list",
    )


def finalise_button(page: Any) -> Any:
    """The button above the list."""
    return page.get_by_role("button", name="Finalise and create stacking jobs")


def numbers_in(text: str) -> list[int]:
    """Whole numbers of a text, with or without commas in them."""
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]
