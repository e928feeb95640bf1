"""The splash page in a browser: in the look of the site, without a server behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crowdsky.pages.splash.pictures import ART_FOLDER
from crowdsky.pages.splash.state import Figures, ShownStack, SplashState
from crowdsky.pages.splash.view import page_html
from tests.real_data import ROOT

__all__ = ["ADDRESS", "full_state", "open_splash", "splash_document", "thumbnails"]

ADDRESS = "http://stage.test/services/pages/"
_SOURCES = ROOT / "voila_templates" / "crowdsky" / "src"
_TARGETS = ("M 51", "NGC 7000", "M 31", "IC 1396", "T CrB", "C/2025 A6 (Lemmon)", "M 101", "M 27")


def full_state(n: int = 12) -> SplashState:
    """A lively archive."""
    start = datetime(2026, 3, 27, 21, 0, tzinfo=UTC)
    rng = np.random.default_rng(4)
    cells, counts = rng.choice(3072, 160, replace=False), rng.integers(1, 90, 160)
    return SplashState(
        figures=Figures(12_846, 3_115.25, 61, 48, 402),
        stacks=tuple(
            ShownStack(
                id=i + 1, target=_TARGETS[i % len(_TARGETS)], observer=("ann", "Bob B.")[i % 2],
                telescope="Seestar S50", licence="CC-BY-4.0", n_used=78,
                start_utc=start - timedelta(minutes=15 * i), exposure_total_s=780.0,
            )
            for i in range(n)
        ),
        cells=tuple((int(cell), int(n)) for cell, n in zip(cells, counts, strict=True)),
    )  # fmt: skip


def thumbnails(folder: Path) -> list[bytes]:
    """Pictures of the size of a stack's thumbnail."""
    made = []
    for name in ("field-m51", "field-m31", "field-m8"):
        path = folder / f"{name}.webp"
        with Image.open(ART_FOLDER / f"{name}.webp") as art:
            art.resize((288, 512)).save(path, "WEBP", quality=82)
        made.append(path.read_bytes())
    return made


def splash_document(state: SplashState, theme: str = "") -> str:
    """A page around the splash, as the template makes it."""
    look = "".join((_SOURCES / name).read_text("utf-8") for name in ("theme.css", "frame.css"))
    chosen = f' data-theme="{theme}"' if theme else ""
    return f"""<!DOCTYPE html><html lang="en"{chosen}><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>CrowdSky</title>
<style>{look}</style></head><body>
<header class="cs-top"><a class="cs-brand" href="/services/pages/">CrowdSky</a>
<nav class="cs-nav" aria-label="Main"><a href="/services/pages/" aria-current="page">Home</a></nav>
</header><main class="cs-page cs-wide" id="main"><div class="cs-outputs"><div>{page_html(state)}
</div></div></main></body></html>"""


def open_splash(
    browser: Any,
    state: SplashState,
    pictures: list[bytes],
    *,
    width: int = 1280,
    height: int = 800,
    theme: str = "",
    **options: Any,
) -> Any:
    """Open the page; ``page.asked`` lists the paths that it asked for, with the bytes sent."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.asked, page.problems = [], []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.problems.append(said.text))
    document = splash_document(state, theme)

    def answer(route: Any) -> None:
        url = route.request.url
        path = url.partition("stage.test")[2].partition("?")[0]
        body, kind, status = b"", "image/webp", 200
        if path == "/services/pages/":
            body, kind = document.encode(), "text/html; charset=utf-8"
        elif path.startswith("/services/pages/images/"):
            body = (ART_FOLDER / path.rpartition("/")[2]).read_bytes()
        elif path.endswith("/thumbnail"):
            body = pictures[int(path.split("/")[-2]) % len(pictures)]
        elif path.endswith(".svg") or path == "/favicon.ico":
            body = (_SOURCES / "pictures" / "stars.svg").read_bytes()
            kind = "image/svg+xml"
        else:
            status = 404
        page.asked.append((path, len(body)))
        route.fulfill(status=status, body=body, content_type=kind)

    page.route("**/*", answer)
    page.goto(ADDRESS)
    return page
