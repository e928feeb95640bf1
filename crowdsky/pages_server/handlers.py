"""What the handlers have in common: headers, errors in plain words, requests from our own pages."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError, RequestHandler

from crowdsky.pages_server.facts import Facts
from crowdsky.pages_server.plain_pages import plain_page
from crowdsky.pages_server.security_headers import plain_policy, standing_headers

__all__ = ["Nothing", "PublicHandler", "SignedInHandler"]

log = logging.getLogger(__name__)
_TITLES = {
    403: "This is not yours",
    404: "There is no such page",
    429: "Too many pages are open",
    503: "Not just now",
}


class PublicHandler(RequestHandler):
    """For everybody; sets no cookie and asks nobody."""

    facts: Facts

    def initialize(self, facts: Facts) -> None:
        """Take what the server knows."""
        self.facts = facts

    def set_default_headers(self) -> None:
        """Headers of every answer."""
        set_headers(self)

    def write_error(self, status_code: int, **told: Any) -> None:
        """Say what is wrong in a sentence."""
        write_plain_error(self, self.settings["facts"], status_code, told.get("exc_info"))


class SignedInHandler(JupyterHandler):
    """For those who signed in; a browser that has not is sent to the Hub and comes back."""

    @property
    def facts(self) -> Facts:
        """What the server knows."""
        found: Facts = self.settings["facts"]
        return found

    @property
    def visitor(self) -> str:
        """The name of who asks.

        Raises
        ------
        HTTPError
            403, if nobody has signed in.
        """
        user = self.current_user
        if user is None:
            raise HTTPError(403, "sign in first")
        return str(user.username)

    def set_default_headers(self) -> None:
        """Headers of every answer; Jupyter's own name another policy."""
        set_headers(self)

    def check_xsrf_cookie(self) -> None:
        """Refuse what changes something, or is read by a script, unless a page of ours sends it.

        Raises
        ------
        HTTPError
            403.
        """
        headers = self.request.headers
        site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
        if site == "same-origin":
            return
        if site is None and origin and urlsplit(origin).netloc == self.request.host:
            return
        raise HTTPError(403, "this must come from a page of this site")

    def write_error(self, status_code: int, **told: Any) -> None:
        """Say what is wrong in a sentence."""
        write_plain_error(self, self.facts, status_code, told.get("exc_info"))


class Nothing(PublicHandler):
    """Every address that is none."""

    def prepare(self) -> None:
        """Say so."""
        raise HTTPError(404, "the address leads nowhere; the links above do")


def set_headers(handler: RequestHandler) -> None:
    """The headers of an answer that runs nothing, and is not kept."""
    for name, value in standing_headers().items():
        handler.set_header(name, value)
    handler.set_header("Content-Security-Policy", plain_policy())
    handler.set_header("Cache-Control", "no-store")


def write_plain_error(
    handler: RequestHandler, facts: Facts, status: int, exc_info: Any = None
) -> None:
    """A page for people, JSON for scripts."""
    error = exc_info[1] if exc_info else None
    sentence = error.log_message if isinstance(error, HTTPError) else None
    if sentence is None or "%" in sentence:
        sentence = "something went wrong here; the operator's log says what"
    # A page that cannot be had just now comes by itself as soon as it can.
    refresh_s = int(handler._headers.get("Retry-After") or 10) if status in (502, 503) else 0
    if refresh_s:
        handler.set_header("Retry-After", str(refresh_s))
    if "text/html" in handler.request.headers.get("Accept", ""):
        handler.set_header("Content-Type", "text/html; charset=utf-8")
        title = _TITLES.get(status, "This did not work")
        text = sentence[:1].upper() + sentence[1:] + ("" if sentence.endswith(".") else ".")
        handler.finish(plain_page(facts, title, (text,), refresh_s=refresh_s))
    else:
        handler.finish({"error": status, "message": sentence})
