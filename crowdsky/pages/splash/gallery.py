"""The newest public stacks in pictures; else the operator's pictures; else those drawn here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from crowdsky.pages.splash.markup import Markup, plain_text, tag
from crowdsky.pages.splash.pictures import ART
from crowdsky.pages.splash.state import ShownStack, SplashState

__all__ = ["gallery", "prints"]

_PRINTS = 3
_SIMULATED = "Simulated"
_FIELDS = ("field-m31", "field-m51", "field-m8")


@dataclass(frozen=True, slots=True)
class _Picture:
    """One picture: where it is, what it shows, what is written beneath it."""

    address: str
    alt: str
    title: str
    line: str
    credit: str
    width: int = 288
    height: int = 512

    @property
    def short(self) -> str:
        """What is written beneath it where there is little room."""
        return f"{self.title}, simulated" if self.line == _SIMULATED else self.title


def prints(state: SplashState) -> Markup:
    """Three pictures for the head of the page. The gallery tells what they are."""
    shown = [
        tag(
            "figure",
            _img(picture, alt="", loading=None),
            tag("figcaption", picture.short) if picture.short else None,
        )
        for picture in islice(_pictures(state), _PRINTS)
    ]
    return tag("div", *shown, class_="cs-splash-prints", aria_hidden="true")


def gallery(state: SplashState) -> Markup:
    """The region of the latest stacks."""
    tiles = [
        tag(
            "li",
            tag(
                "figure",
                _img(picture, alt=picture.alt, loading="lazy"),
                tag(
                    "figcaption",
                    tag("strong", picture.title) if picture.title else None,
                    tag("span", picture.line) if picture.line else None,
                    tag("span", picture.credit) if picture.credit else None,
                ),
            ),
        )
        for picture in _pictures(state)
    ]
    name = "cs-splash-latest"
    return tag(
        "section",
        tag("div", tag("h2", "Latest stacks", id=name), _introduction(state)),
        tag("ul", *tiles, class_="cs-splash-tiles"),
        class_="cs-splash-gallery",
        aria_labelledby=name,
    )


def _introduction(state: SplashState) -> Markup:
    if state.stacks:
        text = "What observers have sent, the newest night first."
    elif state.problem:
        text = "The archive does not answer just now. Nothing is lost; look again in a minute."
    elif state.pictures:
        text = "No public stacks yet. Yours could be the first; until then, some pictures."
    else:
        text = (
            "No public stacks yet. Yours could be the first; until then, here is the sky as this "
            "site's simulator draws it."
        )
    return tag("p", text)


def _img(picture: _Picture, *, alt: str, loading: str | None) -> Markup:
    return tag(
        "img", src=picture.address, alt=alt, width=picture.width, height=picture.height,
        loading=loading, decoding="async",
    )  # fmt: skip


def _pictures(state: SplashState) -> Iterator[_Picture]:
    if state.stacks:
        yield from (_of_stack(state, stack) for stack in state.stacks)
    elif state.pictures:
        for own in state.pictures:
            credit = plain_text(own.credit, 120)
            yield _Picture(
                own.address, credit or "A picture of the night sky.", "", "",
                credit and f"Picture: {credit}", own.width, own.height,
            )  # fmt: skip
    else:
        for name in _FIELDS:
            art = ART[name]
            yield _Picture(
                state.places.pages + art.address, f"{art.alt} Simulated.", art.caption,
                _SIMULATED, "", art.width, art.height,
            )  # fmt: skip


def _of_stack(state: SplashState, stack: ShownStack) -> _Picture:
    target = plain_text(stack.target, 40) or "Field without a name"
    date = f"{stack.start_utc.day} {stack.start_utc:%b %Y}"
    exposure = _duration(stack.exposure_total_s)
    licence = plain_text(stack.licence, 24)
    who = plain_text(stack.observer, 40)
    credit = ", ".join(part for part in (f"by {who}" if who else "", licence) if part)
    return _Picture(
        address=state.places.thumbnail(stack.id),
        alt=f"Stack of {target}, {exposure}",
        title=target,
        line=f"{date}, {exposure}",
        credit=credit,
    )


def _duration(seconds: float) -> str:
    """An exposure in words.

    Examples
    --------
    >>> _duration(50.0), _duration(870.0)
    ('50 s', '14.5 min')
    """
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    return f"{round(seconds / 60.0, 1):g} min"
