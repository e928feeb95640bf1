"""Who asks, and what they may do.

=================================================  =======  =======================================
shown                                              via      scopes
=================================================  =======  =======================================
``Authorization: Bearer csk_...``, an API key      key      the key's
``Authorization: token ...``, a Hub token          hub      read, write
``Authorization: Ticket ...``, of a page's kernel  ticket   read, write
the cookie of a sign-in through the Hub            session  all
=================================================  =======  =======================================

A browser sends a cookie with whatever request any page makes, so with a cookie a request that
changes something must prove that it comes from a page of ours: by ``Sec-Fetch-Site``, which the
browser sets and no page can; where a browser sends none, by the header ``X-CSRF-Token`` with the
value that ``GET /api/v1/me`` gives, or by being tus, whose headers no foreign page may send.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import cookie_parser
from starlette.types import Scope

from crowdsky.api.context import Context
from crowdsky.api.hub import HubDoor
from crowdsky.api.limits import Recent, WrongKeys
from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.keys import SCOPES, find_key
from crowdsky.archive.models import Observer
from crowdsky.errors import NotAuthenticated, NotPermitted
from crowdsky.tickets import read as read_ticket

__all__ = ["Caller", "Doorkeeper", "caller", "csrf_token", "doorkeeper", "maybe_caller", "needs"]

CHECKED_FOR_S = 2.0  # a revoked key is refused after that
KNOWN_FOR_S = 600.0
_SAFE = ("GET", "HEAD", "OPTIONS")
# One text, whatever is wrong: it tells nobody which keys or names there are.
_WRONG = "the key or token is not known, has expired or was revoked"
_NONE = "sign in, or send an API key: 'Authorization: Bearer csk_...'"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who signed in.

    Attributes
    ----------
    name : str
        The observer's.
    scopes : frozenset of str
        Of `crowdsky.archive.keys.SCOPES`.
    via : str
        ``key``, ``hub``, ``ticket`` or ``session``.
    key_id : int or None
        Of the key, if it is one.
    """

    observer_id: int
    name: str
    scopes: frozenset[str]
    via: str
    is_operator: bool
    key_id: int | None = None


class Doorkeeper:
    """Finds out who a request comes from; one a service.

    Parameters
    ----------
    context : Context
    hub : HubDoor, optional
        Where people sign in; without one there are only keys.
    """

    def __init__(self, context: Context, hub: HubDoor | None = None) -> None:
        self.context, self.hub = context, hub
        self.wrong = WrongKeys()
        self._callers: Recent[Caller] = Recent(CHECKED_FOR_S)
        self._known: Recent[str] = Recent(KNOWN_FOR_S)

    async def identify(self, request: Request) -> Caller | None:
        """Who asks; None if nothing was shown.

        Raises
        ------
        NotAuthenticated
            What was shown is no good.
        NotPermitted
            A request with a cookie that does not prove where it comes from, or an account that is
            not active.
        LimitExceeded
            Too many wrong keys came from the address.
        """
        kind, text = _shown(request.scope, self.hub)
        if not kind:
            return None
        if kind == "malformed":
            raise NotAuthenticated("the header is 'Authorization: Bearer ...'")
        if kind == "session" and request.method not in _SAFE:
            _check_origin(request, text)
        return await self._resolve(kind, text, _address(request.scope))

    async def still_good(self, request: Request) -> bool:
        """Whether what a long request showed when it began is good even now."""
        try:
            return await self.identify(request) is not None
        except (NotAuthenticated, NotPermitted):
            return False

    def name_of(self, scope: Scope) -> tuple[str, bool]:
        """Whose requests these are, for counting, and whether they are known to have signed in."""
        kind, text = _shown(scope, self.hub)
        if kind == "ticket" and (visitor := self._visitor_of(text)) is not None:
            return f"ticket:{visitor}", True
        known = self._known.get(_digest(text)) if kind else None
        return (known, True) if known else (f"address:{_address(scope)}", False)

    def forget(self, observer_id: int) -> None:
        """Ask the archive again about an observer, whose keys or state have changed."""
        self._callers.forget(lambda caller: caller.observer_id == observer_id)

    def end_session(self, session: str) -> None:
        """Have a session end, also for whoever has a copy of its cookie."""
        self._callers.pop(_digest(session))
        self._known.pop(_digest(session))
        if self.hub is not None:
            self.hub.sign_out(session)

    async def _resolve(self, kind: str, text: str, address: str) -> Caller:
        digest = _digest(text)
        found = self._callers.get(digest)
        if found is not None:
            return found
        # A ticket cannot be guessed, and pages' kernels have the address that notebooks here have.
        signed = kind == "ticket" and self._visitor_of(text) is not None
        if not signed and self._known.get(digest) is None:
            self.wrong.check(address)
        if kind == "key":
            found = await run_in_threadpool(self._owner_of_key, text)
        else:
            name = await self._name_of(kind, text)
            found = None if name is None else await run_in_threadpool(self._observer, name, kind)
        if found is None:
            self._known.pop(digest)
            self.wrong.note(address)
            raise NotAuthenticated(_WRONG)
        self._callers.put(digest, found)
        self._known.put(digest, f"observer:{found.observer_id}:{found.key_id or kind}")
        return found

    async def _name_of(self, kind: str, text: str) -> str | None:
        """Whose a ticket or a token of the Hub is."""
        if kind == "ticket":
            return self._visitor_of(text)
        return None if self.hub is None else await self.hub.name_of(text)

    def _visitor_of(self, ticket: str) -> str | None:
        return read_ticket(self.context.settings.ticket_secret, ticket, time.time())

    def _owner_of_key(self, text: str) -> Caller | None:
        facts = find_key(self.context.archive, text)
        if facts is None:
            return None
        return Caller(
            observer_id=facts.observer_id,
            name=facts.observer_name,
            scopes=facts.scopes,
            via="key",
            is_operator=facts.observer_name in self.context.settings.operators,
            key_id=facts.key_id,
        )

    def _observer(self, name: str, kind: str) -> Caller:
        archive = self.context.archive
        observer_id = ensure_observer(archive, name)
        with archive.reading() as session:
            state = session.scalar(select(Observer.state).where(Observer.id == observer_id))
        if state != "active":
            raise NotPermitted(
                "this account is being erased" if state == "erasing" else "this account is closed"
            )
        return Caller(
            observer_id=observer_id,
            name=name,
            # What runs in a kernel cannot end the account or make keys that outlive it.
            scopes=frozenset(SCOPES if kind == "session" else ("read", "write")),
            via=kind,
            is_operator=name in self.context.settings.operators,
        )


def doorkeeper(request: Request) -> Doorkeeper:
    """The doorkeeper of the service that got a request (a FastAPI dependency)."""
    found: Doorkeeper = request.app.state.doorkeeper
    return found


async def maybe_caller(request: Request) -> Caller | None:
    """Who asks, or None (a FastAPI dependency).

    Raises
    ------
    NotAuthenticated, NotPermitted, LimitExceeded
        Something was shown, and it is no good.
    """
    return await doorkeeper(request).identify(request)


async def caller(request: Request) -> Caller:
    """Who asks (a FastAPI dependency).

    Raises
    ------
    NotAuthenticated, NotPermitted, LimitExceeded
    """
    found = await maybe_caller(request)
    if found is None:
        raise NotAuthenticated(_NONE)
    return found


def needs(scope: str) -> Callable[[Caller], Awaitable[Caller]]:
    """A FastAPI dependency: who asks, and they may do this.

    Raises
    ------
    NotPermitted
        When called, naming the scope that is missing.
    """
    if scope not in SCOPES:
        raise ValueError(f"no such scope: {scope}")

    async def permitted(found: Annotated[Caller, Depends(caller)]) -> Caller:
        if scope not in found.scopes:
            raise NotPermitted(
                f"this needs the scope '{scope}', which the {found.via} does not have", scope=scope
            )
        return found

    return permitted


def csrf_token(session: str) -> str:
    """What a page shows beside its cookie; only a page that may read our answers knows it."""
    return hmac.new(session.encode(), b"crowdsky csrf", hashlib.sha256).hexdigest()


def _check_origin(request: Request, session: str) -> None:
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    if site is None:
        shown = headers.get("x-csrf-token", "").encode("utf-8", "replace")
        if hmac.compare_digest(shown, csrf_token(session).encode()):
            return
        if headers.get("tus-resumable"):
            return
    raise NotPermitted(
        "a request with a cookie must come from a page of this site, or show its X-CSRF-Token"
    )


def _shown(scope: Scope, hub: HubDoor | None) -> tuple[str, str]:
    """What kind of proof a request shows, and its text; empty if none."""
    headers = {name: value for name, value in scope["headers"] if name in _PROOFS}
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, text = authorization.decode("latin-1").strip().partition(" ")
        text = text.strip()
        if scheme.lower() not in ("bearer", "token", "ticket") or not text:
            return "malformed", ""
        if scheme.lower() == "ticket":
            return "ticket", text
        return ("key" if text.startswith("csk_") else "hub"), text
    if hub is not None and b"cookie" in headers:
        cookies = cookie_parser(headers[b"cookie"].decode("latin-1"))
        text = cookies.get(hub.cookie_name, "")
        return ("session", text) if text else ("", "")
    return "", ""


_PROOFS = (b"authorization", b"cookie")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
