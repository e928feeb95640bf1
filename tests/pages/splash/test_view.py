"""The splash page's HTML: what it says, and that nothing which it shows can break it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from crowdsky.pages.splash.markup import Markup, join, plain_text, tag
from crowdsky.pages.splash.pictures import ART, ART_FOLDER, OwnPicture
from crowdsky.pages.splash.privacy import PRIVACY, THREE_LINES
from crowdsky.pages.splash.state import Figures, Places, ShownStack, SplashState
from crowdsky.pages.splash.view import page_html
from tests.pages.splash.shown import full_state

HOSTILE = [
    "<script>alert(1)</script>",
    "'; DROP TABLE stacks; --",
    "..",
    " " * 68,
    "x" * 10_000,
    "=cmd()",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(1)</script>",
    "</div></section></main>",
    "{{ 7 * 7 }}",
    "a\u202egpj.exe\x00\n\r\t<b>",
    "javascript:alert(1)",
    "\U0001f52d",
]
VOID = {"br", "circle", "ellipse", "image", "img", "path", "rect", "source"}


class Outline(HTMLParser):
    """Elements with their attributes and text, and whether all that was opened was closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.links: dict[str, str] = {}
        self.open: list[str] = []
        self.texts: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self._link: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attrs)))
        if name not in VOID:
            self.open.append(name)
        if name == "a":
            self._link = dict(attrs)["href"]
        if re.fullmatch("h[1-6]", name):
            self.headings.append((int(name[1]), ""))

    def handle_startendtag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attrs)))

    def handle_endtag(self, name: str) -> None:
        assert self.open, f"</{name}> closes nothing"
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] == "a":
            assert self._link is not None
            self.links[data] = self._link
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for element, attrs in self.elements if element == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def outline(state: SplashState) -> Outline:
    told = Outline(page_html(state))
    assert told.open == []
    return told


EMPTY = SplashState(figures=Figures(0, 0.0, 0, 0, 0))
AWAY = SplashState(problem="the service does not answer")
OWN = replace(EMPTY, pictures=(OwnPicture("/services/pages/images/own-a.webp?v=1", 9, 6, "Mia"),))


@pytest.mark.parametrize("state", [EMPTY, AWAY, OWN, full_state()])
def test_what_every_splash_page_says(state: SplashState) -> None:
    told = outline(state)
    assert "Storage for Seestar users" in told.text
    assert "Your raw night becomes 15-minute stacks , kept free." in told.text
    assert "Your raw night becomes 15-minute stacks, kept free." in told.text
    assert "A resource for citizen science" in told.text
    assert "time-domain astronomy community" in told.text
    assert told.links["Sign up"] == "/hub/signup"
    assert told.links["Log in"] == "/hub/login?next=/services/pages/upload"
    assert told.links["Privacy in full"] == "/services/pages/privacy"
    assert [text for text in told.links if "Sign up" in text or "Log in" in text] == [
        "Sign up", "Log in",
    ]  # fmt: skip
    for title, text in THREE_LINES:
        assert title in told.text
        assert text in told.text
    levels = [level for level, _ in told.headings]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for image in told.all("img"):
        assert "alt" in image
        assert int(image["width"] or 0) > 0
        assert int(image["height"] or 0) > 0


@pytest.mark.parametrize("state", [EMPTY, AWAY, OWN, full_state()])
def test_it_needs_no_script_and_nobody_else(state: SplashState) -> None:
    told = outline(state)
    names = {name for name, _ in told.elements}
    assert not names & {"script", "iframe", "object", "embed", "form", "link", "base", "meta"}
    for _, attributes in told.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset"):
            address = attributes.get(name)
            assert address is None or re.match(r"/(?!/)|#", address)
    style = str(page_html(state)).partition("</style>")[0]
    assert "url(" not in style.partition("<div")[0]
    assert "@import" not in style
    ids = [attributes["id"] for _, attributes in told.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)


def test_only_the_themes_colours_are_used() -> None:
    style = str(page_html(EMPTY)).partition("</style>")[0]
    assert re.findall(r"#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(", style) == ["#000", "#000"]  # a mask
    known = set(re.findall(r"(--cs-[a-z0-9-]+):", _theme() + style))
    assert set(re.findall(r"var\((--cs-[a-z0-9-]+)", style)) <= known


def _theme() -> str:
    from tests.real_data import ROOT

    return (ROOT / "voila_templates" / "crowdsky" / "src" / "theme.css").read_text("utf-8")


def test_the_latest_stacks() -> None:
    told = outline(full_state())
    regions = told.all("section")
    assert "cs-splash-latest" in {region.get("aria-labelledby") for region in regions}
    assert (2, "Latest stacks") in told.headings
    pictures = [image for image in told.all("img") if "Stack of" in str(image["alt"])]
    assert len(pictures) == 12
    assert pictures[0]["src"] == "/services/crowdsky/api/v1/stacks/1/thumbnail"
    assert pictures[0]["alt"] == "Stack of M 51, 13 min"
    assert all(image["loading"] == "lazy" for image in pictures)
    assert "27 Mar 2026, 13 min" in told.text
    assert "by Bob B., CC-BY-4.0" in told.text
    assert "imulated" not in told.text.replace("Both halves are simulated.", "")


def test_figures_in_words() -> None:
    told = outline(full_state()).text
    for figure in ("12,846", "3,115", "61", "48", "402", "public stacks", "hours of light"):
        assert figure in told
    one = outline(replace(EMPTY, figures=Figures(1, 0.25, 1, 1, 1))).text
    for pair in ("public stack 1", "hours of light 0.2", "telescope 1", "observer 1", "night 1"):
        assert pair in one
    assert "first public stack may be yours" in outline(EMPTY).text
    assert "hours of light" not in outline(AWAY).text


def test_before_there_is_a_stack() -> None:
    told = outline(EMPTY)
    assert "No public stacks yet. Yours could be the first" in told.text
    fields = [image["alt"] for image in told.all("img") if "Simulated." in str(image["alt"])]
    assert len(fields) == 3
    assert "The archive does not answer just now" in outline(AWAY).text


def test_the_operators_pictures_and_their_credit() -> None:
    told = outline(OWN)
    assert "Picture: Mia" in told.text
    addresses = {image["src"] for image in told.all("img")}
    assert "/services/pages/images/own-a.webp?v=1" in addresses
    assert not [address for address in addresses if "field-" in str(address)]


def hostile(text: str) -> SplashState:
    stack = ShownStack(
        id=1, target=text, observer=text, telescope=text, licence=text, n_used=1,
        start_utc=datetime(2026, 3, 27, tzinfo=UTC), exposure_total_s=900.0,
    )  # fmt: skip
    return replace(full_state(1), stacks=(stack,))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_only_text(text: str) -> None:
    plain, told = outline(hostile("M 94" if text.strip() else "")), outline(hostile(text))
    assert [name for name, _ in told.elements] == [name for name, _ in plain.elements]
    for (_, ours), (_, theirs) in zip(plain.elements, told.elements, strict=True):
        changed = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
        assert changed <= {"alt"}
    html = str(page_html(hostile(text)))
    assert len(html) < len(page_html(hostile("M 94"))) + 1500
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00]", html)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_credits_are_only_text(text: str) -> None:
    plain = outline(OWN)
    told = outline(replace(OWN, pictures=(replace(OWN.pictures[0], credit=text),)))
    extra = 0 if text.strip() else 1  # no credit, no line for it
    assert len(told.elements) == len(plain.elements) - extra
    assert {name for name, _ in told.elements} == {name for name, _ in plain.elements}


def test_names_without_any_letters_are_called_something() -> None:
    assert "Field without a name" in outline(hostile(" " * 68)).text
    assert "Field without a name" in outline(hostile("\u202e\x00")).text


def test_addresses_follow_the_site() -> None:
    html = str(page_html(replace(full_state(), places=Places("/sky/"))))
    assert not re.search(r'(?:src|srcset|href)="/(?!sky/)', html)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//elsewhere.example", "data:text/html,x"]
)
def test_an_address_leads_somewhere_sane(address: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        tag("a", "x", href=address)


def test_markup_is_only_what_was_made_as_such() -> None:
    assert join("<", Markup("<b>"), None, 5) == "&lt;<b>5"
    assert tag("p", "a&b", title='"<') == '<p title="&quot;&lt;">a&amp;b</p>'
    assert tag("img", alt="", hidden=True, id=None) == '<img alt="" hidden/>'
    assert plain_text("  a \n b ") == "a b"


def test_the_pictures_drawn_here() -> None:
    from PIL import Image

    names = {path.name for path in ART_FOLDER.iterdir()}
    assert names == {art.name for art in ART.values()}
    for art in ART.values():
        with Image.open(ART_FOLDER / art.name) as picture:
            assert (picture.format, picture.size) == ("WEBP", (art.width, art.height))
        assert (ART_FOLDER / art.name).stat().st_size < 150_000


def test_the_text_about_privacy() -> None:
    text: Any = " ".join(paragraph for _, paragraphs in PRIVACY for paragraph in paragraphs)
    for word in ("raw frames", "tenth of a degree", "serial number", "licence", "erase", "Cookies"):
        assert word in text
    assert [title for title, _ in PRIVACY][:3] == [
        "What the site keeps", "What it publishes", "What it does with your location",
    ]  # fmt: skip
