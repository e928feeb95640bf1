"""The splash page as HTML. Whatever somebody else wrote goes through `markup.tag` as text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from crowdsky.pages.splash.gallery import gallery, prints
from crowdsky.pages.splash.glyphs import CHANGES, STEPS
from crowdsky.pages.splash.markup import Markup, join, tag
from crowdsky.pages.splash.pictures import ART
from crowdsky.pages.splash.privacy import THREE_LINES
from crowdsky.pages.splash.sky_map import sky_map
from crowdsky.pages.splash.state import Figures, SplashState

__all__ = ["page_html"]

_CSS = Path(__file__).with_name("splash.css")

_PROMISES = (
    (
        "cs-splash-storage",
        "Storage for Seestar users",
        "Your raw night becomes 15-minute stacks, kept free.",
        (
            "Thousands of raw frames become a few dozen stacks, aligned and plate-solved.",
            "Frames that clouds, wind or a satellite spoilt are left out; you see which, and why.",
            "Take them home at any time, one by one or all at once, as FITS.",
        ),
    ),
    (
        "cs-splash-citizens",
        "A resource for citizen science",
        (
            "Your stacks join everyone's, for the time-domain astronomy community: the people who "
            "watch what changes in the sky."
        ),
        (
            (
                "Every stack knows when it was taken and where it points, and lists its stars "
                "with their brightness."
            ),
            (
                "Anybody can search the public ones, here, from Python or in a notebook, and see "
                "what a place looked like on one night or another."
            ),
            "Your credit goes with them.",
        ),
    ),
)
_STEPS = (
    (
        "Observe as always",
        "Point your Seestar where you like, and let it save its single frames.",
    ),
    (
        "Drop the folder",
        (
            "Copy MyWorks from the telescope and drop it onto the upload page. If the network "
            "breaks off, it goes on by itself."
        ),
    ),
    (
        "It is stacked for you",
        (
            "Each quarter of an hour becomes one stack, with its place on the sky found from the "
            "stars in it."
        ),
    ),
    (
        "Look and take home",
        (
            "Find your stacks on a map of the sky, follow a star from night to night, download "
            "what you need."
        ),
    ),
)
_CHANGES = (
    ("variable", "Variable stars", "Observers follow a star's rise and fall, night after night."),
    (
        "nova", "Novae and supernovae",
        "Who finds a new star looks up what was there the nights before.",
    ),
    ("comet", "Comets", "Tails and outbursts change within hours, and somebody was looking."),
    ("asteroid", "Asteroids", "Measured positions make orbits better, old stacks included."),
    (
        "transit", "Exoplanet transits",
        "A planet dims its star a little; many small telescopes time it well.",
    ),
    (
        "satellite", "Satellites",
        "Stacks are cleaned of their trails; frames that were lost to them are listed as such.",
    ),
)  # fmt: skip


def page_html(state: SplashState) -> Markup:
    """The whole page: one element, its style beside it; no script.

    Parameters
    ----------
    state : SplashState

    Returns
    -------
    Markup
    """
    return join(
        tag("style", Markup(_style())),
        tag(
            "div",
            _hero(state),
            tag("div", _promises(), _how(state), class_="cs-splash-body"),
            gallery(state),
            tag("div", _map(state), _science(), _privacy(state), class_="cs-splash-body"),
            _credits(state),
            class_="cs-splash",
        ),
    )


@cache
def _style() -> str:
    return _CSS.read_text(encoding="utf-8")


def _hero(state: SplashState) -> Markup:
    places = state.places
    wide, tall = ART["milky-way"], ART["milky-way-tall"]
    background = tag(
        "picture",
        tag("source", media="(max-width: 56rem)", srcset=places.pages + tall.address),
        tag(
            "img", class_="cs-splash-night", alt="", src=places.pages + wide.address,
            width=wide.width, height=wide.height, fetchpriority="high", decoding="async",
        ),
    )  # fmt: skip
    words = tag(
        "div",
        tag("p", "For owners of ZWO Seestar telescopes", class_="cs-splash-for"),
        tag("h1", "Keep your nights.", tag("br"), "See what changes."),
        tag(
            "p", tag("strong", "Storage for Seestar users."), " ",
            "Your raw night becomes ", tag("span", "15-minute stacks", class_="cs-splash-whole"),
            ", kept free.",
        ),
        tag(
            "p", tag("strong", "A resource for citizen science."), " ",
            "Everyone's stacks together show what changes in the sky: variable stars, comets, "
            "supernovae.",
        ),
        tag(
            "div",
            tag("a", "Sign up", class_="cs-button cs-primary", href=places.sign_up),
            tag("a", "Log in", class_="cs-button", href=places.log_in),
            tag("span", "Free, and nothing to install.", class_="cs-dim cs-small-text"),
            class_="cs-row cs-splash-doors cs-when-anonymous",
        ),
        tag(
            "div",
            tag("a", "Upload a night", class_="cs-button cs-primary", href=f"{places.pages}upload"),
            tag("a", "See your stacks", class_="cs-button", href=f"{places.pages}stacks"),
            class_="cs-row cs-splash-doors cs-when-known",
        ),
        class_="cs-splash-words",
    )  # fmt: skip
    return tag(
        "div",
        background,
        tag("div", words, prints(state), class_="cs-splash-inner"),
        _figures(state.figures),
        class_="cs-splash-hero",
    )


def _figures(figures: Figures | None) -> Markup | None:
    if figures is None:
        return None
    if not figures.stacks:
        text = "The archive is new, and its first public stack may be yours."
        return tag("p", text, class_="cs-splash-figures")
    hours = figures.exposure_hours
    told = (
        (f"{figures.stacks:,}", "public stack", figures.stacks),
        (f"{hours:,.1f}" if hours < 10 else f"{hours:,.0f}", "hour of light", hours),
        (f"{figures.telescopes:,}", "telescope", figures.telescopes),
        (f"{figures.observers:,}", "observer", figures.observers),
        (f"{figures.nights:,}", "night", figures.nights),
    )
    pairs = [tag("div", tag("dt", _plural(what, n)), tag("dd", number)) for number, what, n in told]
    return tag("dl", *pairs, class_="cs-splash-figures")


def _plural(what: str, n: float) -> str:
    if n == 1:
        return what
    return what.replace("hour", "hours") if "hour" in what else f"{what}s"


def _section(title: str, name: str, *inside: object, **more: object) -> Markup:
    return tag("section", tag("h2", title, id=name), *inside, **({"aria_labelledby": name} | more))


def _promises() -> Markup:
    cards = []
    for name, title, promise, points in _PROMISES:
        cards.append(
            _section(
                title, name, tag("p", promise, class_="cs-splash-lead"),
                tag("ul", *(tag("li", point) for point in points)), class_="cs-card",
            )
        )  # fmt: skip
    return tag("div", *cards, class_="cs-splash-two")


def _how(state: SplashState) -> Markup:
    steps = [
        tag("li", picture, tag("h3", title), tag("p", text))
        for picture, (title, text) in zip(STEPS, _STEPS, strict=True)
    ]
    pair = ART["frame-and-stack"]
    figure = tag(
        "figure",
        tag(
            "img", src=state.places.pages + pair.address, alt=pair.alt, width=pair.width,
            height=pair.height, loading="lazy", decoding="async",
        ),
        tag(
            "figcaption",
            tag("p", "One frame of ten seconds, and a quarter of an hour of them."),
            tag(
                "p", "Noise goes down, faint arms come out, and stars keep their brightness to be "
                "measured. Both halves are simulated.",
            ),
        ),
        class_="cs-splash-pair",
    )  # fmt: skip
    return _section(
        "How it works", "cs-splash-how", tag("ol", *steps, class_="cs-splash-steps"), figure
    )


def _map(state: SplashState) -> Markup:
    n_stacks, n_cells = sum(n for _, n in state.cells), len(state.cells)
    if n_cells:
        stacks = f"{n_stacks:,} public {'stack' if n_stacks == 1 else 'stacks'}"
        told = f"{stacks} in {n_cells:,} {'place' if n_cells == 1 else 'places'} of the sky."
        legend = f"{told} A larger dot holds more."
    elif state.problem:
        told = "The whole sky with the Milky Way."
        legend = "Where the stacks lie is not known just now."
    else:
        told = "The whole sky with the Milky Way. No public stack lies anywhere yet."
        legend = "No public stack yet: the whole sky is waiting."
    backdrop = state.places.pages + ART["whole-sky"].address
    figure = tag(
        "figure",
        sky_map(state.cells, told, backdrop),
        tag("figcaption", legend, " East is left, as one sees it looking up; 0 h in the middle."),
        class_="cs-splash-sky",
    )
    return _section("Where we have looked", "cs-splash-where", figure)


def _science() -> Markup:
    cards = [
        tag("li", CHANGES[key], tag("div", tag("h3", title), tag("p", text)))
        for key, title, text in _CHANGES
    ]
    lead = (
        "A picture of one night is beautiful. The same place on a hundred nights, from a hundred "
        "gardens, is a measurement. Amateurs, teachers and professional astronomers can all use "
        "it for:"
    )
    return _section(
        "What changes in the sky", "cs-splash-changes",
        tag("p", lead, class_="cs-splash-lead"), tag("ul", *cards, class_="cs-splash-changes"),
    )  # fmt: skip


def _privacy(state: SplashState) -> Markup:
    lines = [tag("div", tag("dt", title), tag("dd", text)) for title, text in THREE_LINES]
    return _section(
        "Your data, in three lines", "cs-splash-privacy",
        tag("dl", *lines),
        tag("p", tag("a", "Privacy in full", href=f"{state.places.pages}privacy")),
        class_="cs-card cs-splash-privacy",
    )  # fmt: skip


def _credits(state: SplashState) -> Markup:
    told = "Milky Way: drawn from the stars of Tycho-2 and Gaia DR3. "
    if state.stacks:
        told += "Stacks: by the observers named with them."
    elif state.pictures:
        told += "Pictures: as named with them."
    else:
        told += "Fields marked as simulated were drawn here too."
    return tag("p", told, class_="cs-splash-credits cs-dim cs-small-text")
