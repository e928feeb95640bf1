"""HTML that cannot be broken by what it shows: text is escaped because it is text."""

from __future__ import annotations

import re
import unicodedata
from html import escape

__all__ = ["Markup", "join", "plain_text", "tag"]

_EMPTY = frozenset(
    {"br", "circle", "ellipse", "hr", "image", "img", "line", "path", "rect", "source", "use"}
)
_ADDRESS = re.compile(r"https?://|/(?!/)|#|data:image/")
_ADDRESSES = frozenset({"href", "src"})


class Markup(str):
    """Text that is HTML already. Made by `tag` and `join`; from other text only if it is ours."""

    __slots__ = ()


def tag(name: str, /, *inside: object, **attributes: object) -> Markup:
    """An element.

    Parameters
    ----------
    name : str
    *inside : object
        What it holds: `Markup` goes in as it is, everything else as text. None is left out.
    **attributes : object
        A trailing underscore is dropped and inner ones become hyphens, so that ``class_`` and
        ``aria_label`` can be written; True is an attribute without a value, None and False none.

    Raises
    ------
    ValueError
        If an address is neither of this site nor http.

    Examples
    --------
    >>> tag("p", "<b>", tag("i", "x"), class_="a", data_no='"')
    '<p class="a" data-no="&quot;">&lt;b&gt;<i>x</i></p>'
    """
    told = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        if key in _ADDRESSES and not _ADDRESS.match(str(value)):
            raise ValueError(f"not an address to link to: {value}")
        told.append(f" {key}" if value is True else f' {key}="{escape(str(value))}"')
    opened = f"<{name}{''.join(told)}>"
    if name in _EMPTY:
        return Markup(opened[:-1] + "/>")
    return Markup(f"{opened}{join(*inside)}</{name}>")


def join(*parts: object) -> Markup:
    """Several pieces one after the other, each as `tag` takes it."""
    return Markup(
        "".join(
            part if isinstance(part, Markup) else escape(str(part))
            for part in parts
            if part is not None
        )
    )


def plain_text(text: object, most: int = 60) -> str:
    r"""What somebody else wrote, fit for one line: no control characters, and not too long.

    Characters that turn the direction of writing could make what follows read as something else;
    they go too. It is not escaped yet.

    Examples
    --------
    >>> plain_text("M\t94\u202e \n galaxy")
    'M 94 galaxy'
    >>> plain_text("a" * 99, most=5)
    'aaaa…'
    """
    # Only the start counts, and somebody may have written a megabyte.
    kept = "".join(
        " " if char.isspace() else char
        for char in str(text)[: 8 * most]
        if char.isspace() or unicodedata.category(char)[0] != "C"
    )
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
