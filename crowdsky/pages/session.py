"""Whose page it is, and the client that acts for that visitor.

A page's kernel is started before anybody has asked for the page, and holds no token of the Hub.
Once it has been handed to a visitor, the server of the pages gives it tickets, of a few minutes
each. Outside of a page (in JupyterLab, in a script) the visitor is the owner of the key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache

import httpx

from crowdsky.client.client import Client
from crowdsky.client.refusals import error_of
from crowdsky.errors import Conflict, NotAuthenticated, ServiceUnreachable
from crowdsky.settings import Settings, load_settings

__all__ = ["Tickets", "Visitor", "make_visitor", "visitor"]

_RENEW_BEFORE_S = 60.0
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who opened a page.

    Attributes
    ----------
    name : str
        The observer's.
    client : Client
        Speaks with the service on the visitor's behalf; may be used from several threads.
    """

    name: str
    client: Client


@cache
def visitor() -> Visitor:
    """Who opened the page that this kernel draws; ask when the page says hello, not before.

    Raises
    ------
    Conflict
        If nobody has, so far.
    NotAuthenticated
        If the server does not know this kernel, or the key is no good.
    ServiceUnreachable
        If there is no answer.
    SettingsError
        If there is neither a server of pages nor a service to ask.
    """
    # A kernel never gets another visitor, so one answer is kept; errors are not.
    return make_visitor(load_settings())


def make_visitor(settings: Settings) -> Visitor:
    """As `visitor`, of these settings, and nothing is kept."""
    if not settings.kernel_key:
        client = Client(settings.server, settings.api_key or None)
        return Visitor(client.me().name, client)
    tickets = Tickets(settings.pages_url, settings.kernel_key)
    return Visitor(tickets.name(), Client(settings.server, "", auth=tickets))


class Tickets(httpx.Auth):
    """Shows a ticket with every request, and fetches the next one before it ends.

    Parameters
    ----------
    pages_url : str
        Address of the server of the pages.
    kernel_key : str
        By which it knows this kernel.
    clock : callable
        Seconds, from any zero.
    """

    def __init__(
        self, pages_url: str, kernel_key: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url, self._key, self._clock = f"{pages_url}/ticket", kernel_key, clock
        self._lock = threading.Lock()
        self._text = self._name = ""
        self._renew_s = self._end_s = float("-inf")

    def name(self) -> str:
        """The visitor's, which takes a ticket to know."""
        self.current()
        return self._name

    def current(self, refused: str | None = None) -> str:
        """A ticket that is good for a while.

        Parameters
        ----------
        refused : str, optional
            One that the service did not take.

        Raises
        ------
        Conflict, NotAuthenticated, ServiceUnreachable
            As `visitor` says.
        """
        with self._lock:
            now_s = self._clock()
            if now_s >= self._renew_s or self._text == refused:
                try:
                    self._fetch()
                except ServiceUnreachable:
                    # What is still good will do while its server is started again.
                    if now_s >= self._end_s or self._text == refused:
                        raise
            return self._text

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Show the ticket; if it is refused (this clock may have slept), show a new one."""
        shown = self.current()
        request.headers["Authorization"] = f"Ticket {shown}"
        response = yield request
        if response.status_code == 401 and isinstance(request.stream, httpx.ByteStream):
            request.headers["Authorization"] = f"Ticket {self.current(refused=shown)}"
            yield request

    def _fetch(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        try:
            answer = httpx.get(self._url, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
        except httpx.HTTPError as error:
            raise ServiceUnreachable(
                f"the server of this page does not answer ({error}); it is asked again"
            ) from error
        if answer.status_code == 409:
            raise Conflict("nobody has opened this page so far", status=409)
        if answer.status_code in (401, 403):
            raise NotAuthenticated(
                "this page is no longer known to its server; load it again",
                status=answer.status_code,
            )
        if not answer.is_success:
            raise error_of(answer)
        told = answer.json()
        now_s, life_s = self._clock(), float(told["expires_s"])
        self._text, self._name = str(told["ticket"]), str(told["name"])
        self._end_s = now_s + life_s
        self._renew_s = now_s + max(life_s - _RENEW_BEFORE_S, life_s / 2.0)
