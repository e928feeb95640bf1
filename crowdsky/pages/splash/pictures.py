"""Pictures of the splash page that no stack gave: the operator's own, and those drawn here.

The server of the pages shows both under ``images/``. Those drawn here come with the package; they
are made of the star catalogue and the simulator by ``scripts/draw_splash_art.py``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

__all__ = ["ART", "ART_FOLDER", "Art", "OwnPicture", "art_version", "own_pictures"]

ART_FOLDER = Path(__file__).with_name("art")

#: A name that the server of the pages gives to a picture.
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\.(?:webp|png|jpe?g)")

_MOST = 12
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Art:
    """A picture drawn here.

    Attributes
    ----------
    name : str
        Of the file.
    width, height : int
        Pixels.
    alt : str
        What it shows, for whoever does not see it.
    caption : str
        Shown beneath it; empty if it stands for itself.
    """

    name: str
    width: int
    height: int
    alt: str
    caption: str = ""

    @property
    def address(self) -> str:
        """Below the pages; another one when the picture changes, so that it may be kept."""
        return f"images/{self.name}?v={art_version(self.name)}"


ART = {
    art.name.removesuffix(".webp"): art
    for art in (
        Art("milky-way.webp", 1920, 1080, ""),  # behind the words, which say what there is to say
        Art("milky-way-tall.webp", 780, 1170, ""),
        Art("whole-sky.webp", 1200, 600, ""),
        Art(
            "frame-and-stack.webp", 844, 420,
            "Left, one simulated frame of ten seconds, in which a galaxy is barely seen through "
            "noise; right, the stack of 72 such frames, with its spiral arms.",
        ),
        Art("field-m31.webp", 384, 512, "A large, tilted galaxy with a bright core.", "M 31"),
        Art("field-m8.webp", 384, 512, "A red nebula beside a cluster of stars.", "M 8"),
        Art("field-m51.webp", 384, 512, "Two small galaxies joined by a spiral arm.", "M 51"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OwnPicture:
    """A picture that the operator of the site put there.

    Attributes
    ----------
    address : str
        Path on this site.
    width, height : int
        Pixels.
    credit : str
        As the operator wrote it.
    """

    address: str
    width: int
    height: int
    credit: str


@cache
def art_version(name: str) -> str:
    """A word for the contents of a picture drawn here."""
    return hashlib.blake2b((ART_FOLDER / name).read_bytes(), digest_size=5).hexdigest()


def own_pictures(pages_url: str, pages: str) -> tuple[OwnPicture, ...]:
    """Ask the server of the pages for the operator's pictures; none if it does not tell.

    Parameters
    ----------
    pages_url : str
        Its address as a kernel reaches it; empty if there is none.
    pages : str
        Its path as a visitor reaches it; ends with a slash.

    Returns
    -------
    tuple of OwnPicture
    """
    if not pages_url:
        return ()
    try:
        answer = httpx.get(f"{pages_url}/images/", timeout=_TIMEOUT_S, trust_env=False)
        told = answer.raise_for_status().json()["images"]
        return tuple(_own_picture(one, pages) for one in told[:_MOST])
    except (httpx.HTTPError, KeyError, TypeError, ValueError):
        return ()  # the page has others


def _own_picture(told: Mapping[str, Any], pages: str) -> OwnPicture:
    name, version = str(told["name"]), str(told["version"])
    if not NAME.fullmatch(name) or not version.isalnum():
        raise ValueError(f"not a name of a picture: {name}")
    return OwnPicture(
        address=f"{pages}images/{name}?v={version}",
        width=int(told["width"]),
        height=int(told["height"]),
        credit=str(told["credit"]),
    )
