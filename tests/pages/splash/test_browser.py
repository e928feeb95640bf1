"""The splash page in a browser: found by its names, within its size, on every width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crowdsky.pages.splash.state import Figures, SplashState
from tests.browser.chromium import axe_findings, needs_chromium
from tests.pages.splash.shown import full_state, open_splash, thumbnails

pytestmark = [pytest.mark.enable_socket, needs_chromium]

EMPTY = SplashState(figures=Figures(0, 0.0, 0, 0, 0))
LARGEST_BYTES = 700_000
# Ten, less what the template asks for and this stage does not: its script, and who is signed in.
REQUESTS_AT_FIRST = 8


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return thumbnails(tmp_path_factory.mktemp("pictures"))


def scrolled(page: Any) -> Any:
    """To the end and back, so that every picture is asked for."""
    page.evaluate(
        "async () => { for (let y = 0; y < document.body.scrollHeight; y += 400) {"
        " scrollTo(0, y); await new Promise((done) => setTimeout(done, 30)); } scrollTo(0, 0); }"
    )
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    return page


def test_by_its_names(chromium: Any, pictures: list[bytes]) -> None:
    page = scrolled(open_splash(chromium, full_state(), pictures))
    assert page.get_by_role("link", name="Sign up").get_attribute("href") == "/hub/signup"
    assert "next=" in page.get_by_role("link", name="Log in").get_attribute("href")
    region = page.get_by_role("region", name="Latest stacks")
    assert region.get_by_role("img").count() == 12
    assert region.get_by_role("img", name="Stack of T CrB, 13 min").is_visible()
    told = page.get_by_role("img", name="public stacks in 160 places of the sky")
    assert told.is_visible()
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert page.problems == []
    page.context.close()


def test_its_size(chromium: Any, pictures: list[bytes]) -> None:
    page = open_splash(chromium, full_state(), pictures)
    page.wait_for_load_state("networkidle")
    assert len(page.asked) <= REQUESTS_AT_FIRST
    scrolled(page)
    paths = [path for path, _ in page.asked]
    assert len(set(paths)) == len(paths)
    assert sum(n for _, n in page.asked) < LARGEST_BYTES
    page.context.close()


@pytest.mark.parametrize("state", [full_state(), EMPTY], ids=["stacks", "empty"])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing_serious(
    chromium: Any, pictures: list[bytes], state: SplashState, scheme: str
) -> None:
    page = scrolled(open_splash(chromium, state, pictures, color_scheme=scheme, bypass_csp=True))
    assert axe_findings(page) == []
    page.context.close()


@pytest.mark.parametrize("width", [320, 390, 800, 1280, 2560])
def test_nothing_sticks_out(chromium: Any, pictures: list[bytes], width: int) -> None:
    state = full_state()
    page = open_splash(chromium, state, pictures, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("Sign up", "Log in"):
        box = page.get_by_role("link", name=name).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 44
    page.context.close()


def test_without_scripts(chromium: Any, pictures: list[bytes]) -> None:
    page = open_splash(chromium, EMPTY, pictures, java_script_enabled=False)
    assert page.get_by_role("link", name="Sign up").is_visible()
    assert page.get_by_role("link", name="Upload a night").count() == 0
    assert page.get_by_role("heading", name="How it works").is_visible()
    page.context.close()


def test_who_is_signed_in_is_led_on(chromium: Any, pictures: list[bytes]) -> None:
    page = open_splash(chromium, EMPTY, pictures)
    page.evaluate("document.documentElement.dataset.csVisitor = 'known'")
    assert page.get_by_role("link", name="Upload a night").is_visible()
    assert page.get_by_role("link", name="Sign up").count() == 0
    page.context.close()


def test_it_stands_still(chromium: Any, pictures: list[bytes], tmp_path: Path) -> None:
    page = open_splash(chromium, full_state(), pictures, reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    page.locator(".cs-splash-prints").hover()
    assert page.evaluate("document.getAnimations().length") == 0
    page.context.close()
