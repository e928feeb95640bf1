"""The page about privacy: what the site keeps, what it publishes, what it does with a location."""

from __future__ import annotations

import logging
from html import escape

from crowdsky.pages.splash.privacy import PRIVACY
from crowdsky.pages_server.facts import Facts
from crowdsky.pages_server.handlers import PublicHandler
from crowdsky.pages_server.kept_answer import KeptAnswer, send_kept
from crowdsky.pages_server.plain_pages import plain_page
from crowdsky.pages_server.rendering import PageNotDrawn, Renderer, written
from crowdsky.pages_server.security_headers import make_nonce, page_policy, plain_policy

__all__ = ["Privacy", "PrivacyHandler"]

log = logging.getLogger(__name__)
_TITLE = "Privacy"
_CACHE = "public, max-age=300"
_TEXT = "\n".join(
    f"<h2>{escape(title)}</h2>\n" + "\n".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    for title, paragraphs in PRIVACY
)


class Privacy:
    """The page, drawn once in the frame of the others."""

    def __init__(self, facts: Facts, renderer: Renderer) -> None:
        self.facts, self.renderer = facts, renderer
        self.nonce = ""
        self._kept: KeptAnswer | None = None

    async def answer(self) -> KeptAnswer:
        """What to send; the bare text if the template does not work, for this must be readable."""
        if self._kept is None:
            nonce = make_nonce()
            told = self.facts.told(page="privacy", title=_TITLE, nonce=nonce)
            try:
                text = f"<h1>{_TITLE}</h1>\n{_TEXT}"
                html = await self.renderer.draw(written(text), "", told)
                self.nonce = nonce
            except PageNotDrawn as error:
                log.error("%s", error)
                html = plain_page(self.facts, _TITLE, (), html=_TEXT)
            self._kept = KeptAnswer(html.encode("utf-8"), "text/html; charset=utf-8", _CACHE)
        return self._kept


class PrivacyHandler(PublicHandler):
    """``privacy``."""

    def initialize(self, facts: Facts, privacy: Privacy) -> None:  # type: ignore[override]
        """Take the page."""
        super().initialize(facts)
        self.privacy = privacy

    async def get(self) -> None:
        """Send it."""
        answer = await self.privacy.answer()
        nonce = self.privacy.nonce
        policy = page_policy(self.request, nonce) if nonce else plain_policy()
        self.set_header("Content-Security-Policy", policy)
        send_kept(self, answer)

    head = get
