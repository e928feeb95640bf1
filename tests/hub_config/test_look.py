"""The Hub's own pages in a browser: keyboard, screen readers, both colours, 320 px wide."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.chromium import axe_findings, browser, needs_chromium
from tests.hub_config.hubs import PASSWORD, Hub, running

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow, needs_chromium]

# It never answers, so that the page that waits for it can be looked at.
SLEEPER = f"c.LocalSpawner.cmd = [{sys.executable!r}, '-c', 'import time; time.sleep(600)']\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    pytest.importorskip("pytest_socket").enable_socket()
    with running(tmp_path_factory.mktemp("home"), SLEEPER, admins=("oper",)) as made:
        yield made


@pytest.fixture(scope="module")
def chromium(hub: Hub) -> Iterator[Any]:
    with browser() as opened:
        yield opened


def new_page(chromium: Any, hub: Hub, scheme: str, faults: list[str]) -> Any:
    page = chromium.new_context(color_scheme=scheme, base_url=hub.url).new_page()
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))

    def asked(request: Any) -> None:
        if not request.url.startswith((f"{hub.url}/", "data:")):
            faults.append(f"{page.url} asked {request.url}")

    page.on("request", asked)
    return page


def check(page: Any, path: str) -> list[str]:
    """What is wrong with a page at two widths, the narrow one being WCAG's 320 px."""
    page.goto(path)
    found = []
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 800})
        found += [f"{path} at {width}: {finding}" for finding in axe_findings(page)]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{path} is {wide} px wide at {width}")
    return found


@pytest.mark.parametrize(("scheme", "name"), [("dark", "oper"), ("light", "ann")])
def test_pages_are_for_everybody(hub: Hub, chromium: Any, scheme: str, name: str) -> None:
    faults: list[str] = []
    page = new_page(chromium, hub, scheme, faults)
    found = check(page, "/hub/login") + check(page, "/hub/signup")

    # By keyboard alone: the first field has the focus, Enter sends the form.
    page.goto("/hub/signup")
    page.wait_for_function("() => document.activeElement.id === 'username_input'")
    page.keyboard.type(name)
    assert page.get_by_label("User name").input_value() == name
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.get_by_role("button", name="Show password").press("Enter")
    assert page.get_by_label("Password again").get_attribute("type") == "text"
    page.get_by_label("Password again").focus()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/services/pages/upload")

    paths = ["/hub/home", "/hub/change-password", "/hub/token", "/hub/no-such-page"]
    if name == "oper":
        paths += ["/hub/authorize", "/hub/change-password/oper"]
    for path in [*paths, "/hub/user-redirect/lab"]:
        found += check(page, path)
        links = page.get_by_role("navigation", name="Main").get_by_role("link")
        assert links.all_inner_texts() == ["Home", "Upload", "Status", "Stacks", "Notebooks"]
    assert page.get_by_role("progressbar", name="Start of your server").is_visible()
    if name == "oper":
        page.goto("/hub/admin")
        page.get_by_role("button", name="Details of oper").wait_for()
        found += [f"/hub/admin: {finding}" for finding in axe_findings(page)]
    assert found == []
    assert faults == []


def test_colours_are_chosen_and_kept(hub: Hub, chromium: Any) -> None:
    faults: list[str] = []
    page = new_page(chromium, hub, "light", faults)
    colours = []
    for path in ("/hub/login", "/hub/signup"):
        page.goto(path)
        for _ in range(2):
            colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            page.get_by_role("button", name="Colours:").click()
    # The system's (light), dark; the next page begins with light by choice, then the system's.
    assert colours[0] == colours[2] == colours[3] != colours[1]
    assert faults == []


def test_a_wrong_password_is_said_beside_the_form(hub: Hub, chromium: Any) -> None:
    faults: list[str] = []
    page = new_page(chromium, hub, "dark", faults)
    page.goto("/hub/login")
    page.get_by_label("User name").fill("somebody")
    page.get_by_label("Password", exact=True).fill("a wrong password")
    page.get_by_role("button", name="Log in").click()
    alert = page.get_by_role("alert")
    assert alert.inner_text() == "Name and password do not match."
    assert page.get_by_label("User name").input_value() == "somebody"
    assert axe_findings(page) == []
