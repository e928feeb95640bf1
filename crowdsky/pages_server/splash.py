"""The first page: drawn by Voila now and then, and served from memory to everybody.

A visitor who has not signed in never starts a kernel. What is served is the last drawing that was
good; while there is none yet, a plain page that asks again by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time

from tornado.httputil import HTTPServerRequest

from crowdsky.errors import CrowdSkyError
from crowdsky.pages_server.facts import Facts
from crowdsky.pages_server.handlers import PublicHandler
from crowdsky.pages_server.kept_answer import KeptAnswer, send_kept
from crowdsky.pages_server.plain_pages import plain_page
from crowdsky.pages_server.pool import Pool
from crowdsky.pages_server.security_headers import make_nonce, page_policy, plain_policy

__all__ = ["Splash", "SplashHandler"]

log = logging.getLogger(__name__)
DRAWN_EVERY_S = 60.0
# Where nobody looks, nothing needs to be fresh.
DRAWN_AT_LEAST_EVERY_S = 900.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_TITLE = "Seestar nights, stacked and shared"
_CACHE = "public, max-age=30, stale-while-revalidate=300"


class Splash:
    """Draws the first page and keeps it.

    Parameters
    ----------
    facts : Facts
    pool : Pool
        Where kernels come from.
    """

    def __init__(self, facts: Facts, pool: Pool) -> None:
        self.facts, self.pool = facts, pool
        self._kept: KeptAnswer | None = None
        self._nonce = ""
        self._drawn_s = 0.0
        self._asked_for = asyncio.Event()

    def answer(self) -> KeptAnswer:
        """What to send now."""
        if self._kept is None or time.monotonic() - self._drawn_s > DRAWN_EVERY_S:
            self._asked_for.set()
        return self._kept or self._waiting()

    def policy(self, request: HTTPServerRequest) -> str:
        """The policy that goes with it."""
        if self._kept is None:
            return plain_policy()
        return page_policy(request, self._nonce)

    async def keep_drawing(self) -> None:
        """Draw again and again, until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self.draw()
            except CrowdSkyError as error:
                log.error("the first page stays as it was: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
                continue
            pause_s = _FIRST_PAUSE_S
            self._asked_for.clear()
            await asyncio.sleep(DRAWN_EVERY_S)
            try:
                idle_s = DRAWN_AT_LEAST_EVERY_S - DRAWN_EVERY_S
                await asyncio.wait_for(self._asked_for.wait(), idle_s)
            except TimeoutError:
                continue

    async def draw(self) -> None:
        """Draw once.

        Raises
        ------
        PageNotThere, PageNotDrawn
        """
        kernel = await self.pool.make("splash")
        try:
            nonce = make_nonce()
            told = self.facts.told(page="splash", title=_TITLE, nonce=nonce)
            html = await self.pool.renderer.draw(kernel.notebook, "", told)
        finally:
            await self.pool.kernels.end(kernel)
        self._nonce = nonce
        self._kept = KeptAnswer(html.encode("utf-8"), "text/html; charset=utf-8", _CACHE)
        self._drawn_s = time.monotonic()

    def _waiting(self) -> KeptAnswer:
        html = plain_page(
            self.facts,
            "CrowdSky is waking up",
            (
                "CrowdSky turns raw nights of Seestar telescopes into 15-minute stacks.",
                "The site has just been started. This page comes by itself in a few seconds.",
            ),
            refresh_s=3,
            html=f'<p><a href="{self.facts.hub}signup">Sign up</a> '
            f'<a href="{self.facts.hub}login">Log in</a></p>',
        )
        return KeptAnswer(html.encode("utf-8"), "text/html; charset=utf-8", "no-store")


class SplashHandler(PublicHandler):
    """The pages' root."""

    def initialize(self, facts: Facts, splash: Splash) -> None:  # type: ignore[override]
        """Take the page."""
        super().initialize(facts)
        self.splash = splash

    def get(self) -> None:
        """Answer from memory."""
        answer = self.splash.answer()
        self.set_header("Content-Security-Policy", self.splash.policy(self.request))
        send_kept(self, answer)

    head = get
