"""Gives a kernel a ticket for its visitor, see `crowdsky.tickets`."""

from __future__ import annotations

import time
from typing import Any

from crowdsky import tickets
from crowdsky.pages_server.handlers import PublicHandler
from crowdsky.pages_server.kernels import PageKernels

__all__ = ["TicketHandler"]


class TicketHandler(PublicHandler):
    """``GET ticket`` with a kernel's key."""

    def initialize(self, facts: Any, kernels: PageKernels, secret: str) -> None:  # type: ignore[override]
        """Take the kernels, and what tickets are signed with."""
        super().initialize(facts)
        self.kernels, self.secret = kernels, secret

    def get(self) -> None:
        """Answer with a ticket."""
        scheme, _, key = self.request.headers.get("Authorization", "").partition(" ")
        kernel = self.kernels.with_key(key.strip()) if scheme.lower() == "bearer" else None
        if kernel is None:
            self._refuse(401, "no page has this key; load the page again")
        elif not kernel.owner:
            self._refuse(409, "nobody has opened this page yet")
        elif not self.secret:
            self._refuse(503, "this site gives no tickets: CROWDSKY_TICKET_SECRET is not set")
        else:
            ticket = tickets.mint(self.secret, kernel.owner, time.time())
            self.finish({"ticket": ticket, "name": kernel.owner, "expires_s": tickets.LIFE_S})

    def _refuse(self, status: int, message: str) -> None:
        self.set_status(status)
        if status == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="crowdsky-pages"')
        self.finish({"error": status, "message": message})
