"""The template's pages in a browser, served by plain Voila: alive, light, honest when they fail."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.chromium import axe_findings, browser, needs_chromium
from tests.templates.served import Served, served

pytestmark = [pytest.mark.enable_socket, needs_chromium, pytest.mark.slow]

MOST_BYTES = 700_000
MOST_REQUESTS = 10
READY = "html[data-cs-ready]"
WHO = "**/services/crowdsky/api/v1/me"

COUNTER = '''
import os
import anywidget, traitlets
from IPython.display import display

class Counter(anywidget.AnyWidget):
    _esm = """
    export default {
      render({ model, el }) {
        el.innerHTML = `<h1>Status</h1><div class="cs-card cs-row">
          <button class="cs-button cs-primary">Count</button>
          <output class="cs-number" data-cs-keep="clicks"></output>
          <span class="cs-dim" id="user"></span></div>`;
        const draw = () => { el.querySelector("output").textContent = String(model.get("n")); };
        el.querySelector("button").onclick = () => model.send({ add: 1 });
        el.querySelector("#user").textContent = window.crowdsky.user;
        model.on("change:n", draw);
        draw();
      },
    };
    """
    n = traitlets.Int(0).tag(sync=True)
    pid = traitlets.Int(0).tag(sync=True)

counter = Counter(pid=os.getpid())
counter.on_msg(lambda _, message, __: setattr(counter, "n", counter.n + message["add"]))
'''
SLIDER = """
import ipywidgets as widgets
slider = widgets.IntSlider(value=3, min=0, max=10, description="Level")
label = widgets.Label("level 3")
slider.observe(lambda change: setattr(label, "value", f"level {change.new}"), "value")
"""
# Bars with a brush, whose choice is counted in Python.
BRUSH = """
import bqplot, numpy as np
x = bqplot.LinearScale(); y = bqplot.LinearScale()
dots = bqplot.Scatter(x=np.arange(10), y=np.arange(10), scales={"x": x, "y": y})
brush = bqplot.interacts.BrushSelector(x_scale=x, y_scale=y, marks=[dots])
told = widgets.Label("none")
dots.observe(lambda change: setattr(told, "value", f"chosen {len(dots.selected)}"), "selected")
figure = bqplot.Figure(marks=[dots], interaction=brush)
"""
NOTEBOOKS = {
    "status": COUNTER + f"print({'pid'!r}, os.getpid())\n" + "display(counter)",
    "mixed": COUNTER + SLIDER + "display(counter, widgets.VBox([slider, label]))",
    "chart": SLIDER + BRUSH + "display(widgets.VBox([figure, told]))",
}
NOTEBOOKS["chart"] = "from IPython.display import display\n" + NOTEBOOKS["chart"]


@pytest.fixture(scope="module")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("notebooks")
    for name, code in NOTEBOOKS.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        notebook.metadata.kernelspec = {
            "name": "python3",
            "display_name": "-",
            "language": "python",
        }
        nbformat.write(notebook, folder / f"{name}.ipynb")
    with served(template.parents[2], folder) as running:
        yield running


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as running:
        yield running


@pytest.fixture
def page(opened: Any) -> Iterator[Any]:
    context = opened.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark")
    made = context.new_page()
    made.route(WHO, lambda route: route.fulfill(json={"name": "ann"}))
    yield made
    context.close()


def _show(page: Any, address: str) -> None:
    page.goto(address, wait_until="commit")
    page.wait_for_selector(READY, timeout=60_000)


def _until(is_so: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def test_a_page_is_alive_light_and_asks_no_other_host(
    site: Served, template: Path, page: Any
) -> None:
    answers: list[Any] = []
    said: list[str] = []

    def hear(message: Any) -> None:
        if message.type == "error":
            said.append(message.text)

    # Playwright wants functions of Python to hang its own marks on.
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108
    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    _show(page, site.page("status"))
    page.get_by_role("button", name="Count").click()
    page.get_by_role("button", name="Count").click()
    _until(lambda: page.locator("output").inner_text() == "2", "Python does not count")
    assert page.locator("#user").inner_text() == "ann"
    assert page.locator("[data-cs-name]").inner_text() == "ann"
    page.wait_for_timeout(500)

    # Playwright does not see what a shared worker is made of.
    worker = next((template / "static").glob("agent-worker-*.js"))
    seen = {answer.url.rsplit("/", 1)[-1] for answer in answers}
    size = sum(len(answer.body()) for answer in answers)
    size += 0 if worker.name in seen else worker.stat().st_size
    count = len(answers) + (worker.name not in seen) + 1  # and the websocket
    paints = page.evaluate(
        "() => [performance.getEntriesByName('first-paint')[0]?.startTime,"
        " performance.getEntriesByType('navigation')[0].responseStart,"
        " performance.getEntriesByName('crowdsky-ready')[0].startTime]"
    )
    sys.stdout.write(
        f"\n{count} requests, {size} bytes; first byte {paints[1]:.0f} ms, first paint"
        f" {paints[0] or -1:.0f} ms, widgets there {paints[2]:.0f} ms after the click\n"
    )
    assert {answer.url.split("/")[2] for answer in answers if answer.url.startswith("http")} == {
        site.address.removeprefix("http://")
    }
    assert count <= MOST_REQUESTS
    assert size < MOST_BYTES
    # The service of this test knows only the visitor.
    assert [text for text in said if "404" not in text] == []


def test_a_slider_of_ipywidgets_moves_python(site: Served, page: Any) -> None:
    _show(page, site.page("mixed"))
    handle = page.get_by_role("slider")
    handle.focus()
    handle.press("ArrowRight")
    page.get_by_text("level 4").wait_for(timeout=20_000)


def test_bqplots_brush_reaches_python(site: Served, page: Any) -> None:
    """What bqplot-gl breaks by being installed."""
    _show(page, site.page("chart"))
    plot = page.locator(".bqplot .plotarea_events").first
    plot.wait_for(state="attached", timeout=30_000)
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5, steps=8)
    page.mouse.up()
    page.get_by_text(re.compile(r"chosen \d")).wait_for(timeout=20_000)


def test_a_kernel_that_died_is_told_with_the_next_step(site: Served, page: Any) -> None:
    _show(page, site.page("status"))
    pid = int(page.locator("pre").inner_text().split()[1])
    os.kill(pid, signal.SIGKILL)
    box = page.get_by_role("alert").filter(has_text="This page has ended")
    box.wait_for(timeout=60_000)
    with page.expect_navigation():
        box.get_by_role("button", name="Reload").click()
    page.wait_for_selector(READY, timeout=60_000)
    assert page.locator("#cs-trouble").is_hidden()
    page.get_by_role("button", name="Count").click()
    _until(lambda: page.locator("output").inner_text() == "1", "the new kernel does not answer")


def test_scripts_that_do_not_come_are_told(site: Served, page: Any) -> None:
    page.route("**/static/shell-*.js", lambda route: route.abort())
    page.goto(site.page("status"))
    box = page.get_by_role("alert").filter(has_text="did not load completely")
    box.wait_for(timeout=10_000)  # at once, and not only when patience ends
    assert box.get_by_role("button", name="Reload").is_visible()
    assert page.get_by_role("link", name="Upload").first.is_visible()


def test_somebody_signed_out_is_told(site: Served, page: Any) -> None:
    page.unroute(WHO)
    page.route(WHO, lambda route: route.fulfill(status=401, json={"error": 401}))
    page.route("**/services/crowdsky/login?**", lambda route: route.fulfill(body="<form>"))
    page.goto(site.page("status"))
    box = page.get_by_role("alert").filter(has_text="You are logged out")
    box.wait_for(timeout=20_000)
    assert "/hub/login?next=" in box.get_by_role("link", name="Log in").get_attribute("href")


def test_the_last_figures_and_the_name_are_there_at_once(site: Served, page: Any) -> None:
    _show(page, site.page("status"))
    page.get_by_role("button", name="Count").click()
    _until(lambda: page.locator("output").inner_text() == "1", "Python does not count")
    page.route("**/static/shell-*.js", lambda route: None)  # never comes
    page.goto(site.page("status"), wait_until="commit")
    page.locator("#cs-last dd").wait_for(timeout=20_000)
    assert page.locator("#cs-last").inner_text().split() == ["clicks", "1"]
    assert page.locator("[data-cs-name]").inner_text() == "ann"


def test_colours_are_chosen_and_kept(site: Served, page: Any) -> None:
    _show(page, site.page("status"))
    ground = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    button = page.get_by_role("button", name="Colours: system")
    button.click()
    page.get_by_role("button", name="Colours: dark").click()
    page.get_by_role("button", name="Colours: light").wait_for()
    light = page.evaluate(ground)
    assert light != dark
    page.goto(site.page("status"), wait_until="commit")
    page.wait_for_selector("#main")
    assert page.evaluate(ground) == light


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_everybody_can_use_it(site: Served, opened: Any, scheme: str) -> None:
    context = opened.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.route(WHO, lambda route: route.fulfill(json={"name": "ann-with-a-name-that-is-long"}))
    _show(page, site.page("status"))
    for width in (1280, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        # WCAG 2.2, 1.4.10: nothing is scrolled sideways at 320 px, which is 1280 at 400 %.
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, width
        if width != 320:
            assert axe_findings(page) == [], width
    context.close()


def test_the_keyboard_reaches_page_and_menu(site: Served, page: Any) -> None:
    _show(page, site.page("status"))
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the page"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"
    menu = page.locator("#cs-who > summary")
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Log out").wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("link", name="Log out").is_hidden()
    assert page.evaluate("() => document.activeElement.localName") == "summary"


def test_a_server_that_is_away_is_told(site: Served, page: Any) -> None:
    """The last test of the module: it stops the server."""
    _show(page, site.page("status"))
    site.process.kill()
    page.get_by_role("alert").filter(has_text="Connection lost").wait_for(timeout=30_000)
