"""A page's front end on a stage: a static page with the look, a fake model in the kernel's place.

The fake model keeps what the front end sends in ``window.sent``, and ``window.hear(message)`` is
what a kernel would send. Nothing leaves the browser: pictures of stacks are answered here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from crowdsky.pages.widgets.page import PageWidget
from tests.real_data import ROOT

__all__ = ["ADDRESS", "hear", "sent", "stage", "stages", "wait_for_voice"]

ADDRESS = "http://stage.test/services/pages/"
_SOURCES = ROOT / "voila_templates" / "crowdsky" / "src"
_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 9"><rect width="16" height="9" '
    'fill="#0a1024"/><circle cx="8" cy="4.5" r="1.6" fill="#cfe0ff"/></svg>'
)

_FAKE_MODEL = """
window.sent = [];
const ears = new Map();
const fakeModel = {
  get: () => "", set() {}, save_changes() {},
  on(name, ear) { ears.set(name, [...(ears.get(name) || []), ear]); },
  off(name, ear) { ears.set(name, (ears.get(name) || []).filter((one) => one !== ear)); },
  send(message) { window.sent.push(message); },
};
window.hear = (message) => { for (const ear of ears.get("msg:custom") || []) ear(message, []); };
window.crowdsky = { user: "ann", base: "/services/pages/", api: "/services/crowdsky/api/v1",
  async fetchApi(path, init = {}) {
    window.asked = [...(window.asked || []), [path, init.method || "GET", init.body || ""]];
    return window.answer(path, init);
  } };
const source = document.getElementById("front-end").textContent;
const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
import(address).then((module) => {
  module.default.render({ model: fakeModel, el: document.getElementById("widget") });
  window.ready = true;
});
"""


def stage(
    browser: Any,
    front_end: str,
    css: str,
    *,
    page_name: str,
    query: str = "",
    width: int = 1280,
    theme: str = "dark",
) -> Any:
    """Open a page in a fresh context of a browser.

    Parameters
    ----------
    browser : Browser
    front_end, css : str
        ``_esm`` and ``_css`` of a widget.
    page_name : str
    query : str
        With its question mark.
    width : int
        px
    theme : {'dark', 'light'}

    Returns
    -------
    Page
        Which raises what the page throws: see ``page.problems``.
    """
    look = "".join((_SOURCES / name).read_text("utf-8") for name in ("theme.css", "frame.css"))
    script = front_end.replace("</script", "<\\/script")
    html = f"""<!DOCTYPE html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{page_name}</title>
<style>{look}</style><style>{css}</style></head><body>
<main class="cs-page" id="main"><div class="cs-outputs"><div id="widget"></div></div></main>
<script type="text/plain" id="front-end">{script}</script>
<script type="module">{_FAKE_MODEL}</script></body></html>"""
    context = browser.new_context(viewport={"width": width, "height": 900}, timezone_id="UTC")
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))

    def answer(route: Any) -> None:
        url = route.request.url
        if url.startswith(ADDRESS + page_name):
            route.fulfill(body=html, content_type="text/html")
        elif "/stacks/" in url:
            route.fulfill(body=_PICTURE, content_type="image/svg+xml")
        else:
            route.fulfill(status=404, body="")

    page.route("**/*", answer)
    page.goto(f"{ADDRESS}{page_name}{query}")
    page.wait_for_function("window.ready === true")
    return page


@contextmanager
def stages(browser: Any, widget: type[PageWidget], page_name: str) -> Iterator[Callable[..., Any]]:
    """Open pages of a widget, with the options of `stage`; none may have thrown anything."""
    pages: list[Any] = []

    def opened(**more: Any) -> Any:
        page = stage(browser, str(widget._esm), str(widget._css), page_name=page_name, **more)
        pages.append(page)
        return page

    yield opened
    problems = [problem for page in pages for problem in page.problems]
    for page in pages:
        page.context.close()
    assert problems == []


def hear(page: Any, message: dict[str, Any]) -> None:
    """What a kernel would send."""
    page.evaluate(f"window.hear({json.dumps(message)})")


def sent(page: Any, kind: str) -> list[dict[str, Any]]:
    """What the front end sent of a type."""
    found: list[dict[str, Any]] = page.evaluate("window.sent")
    return [message for message in found if message["type"] == kind]


def wait_for_voice(page: Any, text: str) -> None:
    """Wait until a screen reader has been told something."""
    page.wait_for_function(
        "text => [...document.querySelectorAll('[aria-live]')]"
        ".some(element => element.textContent.includes(text))",
        arg=text,
    )
