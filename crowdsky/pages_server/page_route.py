"""A page of somebody who signed in."""

from __future__ import annotations

import logging

from tornado.web import HTTPError

from crowdsky.errors import LimitExceeded
from crowdsky.pages_server.facts import PAGES
from crowdsky.pages_server.handlers import SignedInHandler
from crowdsky.pages_server.rendering import PageNotDrawn, PageNotThere, Renderer
from crowdsky.pages_server.security_headers import make_nonce, page_policy
from crowdsky.pages_server.views import SiteFull, Views

__all__ = ["PageHandler"]

log = logging.getLogger(__name__)
_BUSY_RETRY_S = 15


class PageHandler(SignedInHandler):
    """Draws a page around a kernel that is this visitor's alone."""

    def initialize(self, views: Views, renderer: Renderer) -> None:
        """Take what is needed to draw."""
        self.views, self.renderer = views, renderer

    async def get(self, page: str) -> None:
        """Answer with the page."""
        name = self.visitor
        if self.request.headers.get("Sec-Purpose", "").startswith("prefetch"):
            raise HTTPError(503, "a page is opened by people, not ahead of them")
        try:
            kernel = await self.views.open(page, name)
            nonce = make_nonce()
            told = self.facts.told(page=page, title=PAGES[page], user=name, nonce=nonce)
            html = await self.renderer.draw(kernel.notebook, kernel.id, told)
        except LimitExceeded as error:
            if isinstance(error, SiteFull):
                self.set_header("Retry-After", str(_BUSY_RETRY_S))
            raise HTTPError(503 if isinstance(error, SiteFull) else 429, str(error)) from None
        except PageNotThere as error:
            log.error("%s", error)
            raise HTTPError(404, f"the page '{page}' is not installed here") from None
        except PageNotDrawn as error:
            log.error("%s", error)
            raise HTTPError(
                500, "the page could not be drawn; try again, and tell the operator if it stays so"
            ) from None
        kernel.notebook = None  # the browser has it now
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", page_policy(self.request, nonce))
        self.finish(html)

    async def head(self, page: str) -> None:  # noqa: ARG002  # named by its address
        """Say that there is such a page, and start nothing."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish()
