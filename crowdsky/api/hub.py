"""Sign-in through JupyterHub: its OAuth for browsers, its tokens for kernels.

The browser is sent to the Hub and comes back with a code, which is changed for a token of the Hub
that is good for this service alone. That token is the session: it lies in a cookie that no script
can read, and the Hub takes it back when its user signs out there. Nothing is kept here but a short
memory of the Hub's answers, so the service can be restarted without signing anybody out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from crowdsky.api.limits import Recent
from crowdsky.errors import NotAuthenticated, NotFound, ServiceUnreachable

__all__ = ["HubDoor", "hub_door", "router"]

SIGNED_IN_S = 14 * 86400  # the Hub's own default for its tokens
ASKED_AGAIN_S = 30.0
STATE_S = 600.0
_PAGE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class HubDoor:
    """The Hub, as far as this service needs it.

    Parameters
    ----------
    auth : jupyterhub.services.auth.HubOAuth
    secure : bool
        Whether people reach the service by https, so that cookies may be bound to it.
    """

    def __init__(self, auth: Any, *, secure: bool = False) -> None:
        self.auth, self.secure = auth, secure
        self.prefix: str = auth.base_url.rstrip("/")
        host_only = "__Host-" if auth.cookie_host_prefix_enabled else ""
        self.cookie_name = f"{host_only}crowdsky-session"
        self._state_cookie = f"{host_only}crowdsky-sign-in"
        self._names: Recent[str] = Recent(ASKED_AGAIN_S)
        self._states: Recent[tuple[str, str]] = Recent(STATE_S, most=5000)
        self._signed_out: Recent[bool] = Recent(SIGNED_IN_S)

    async def name_of(self, token: str) -> str | None:
        """Whose a Hub token is; None if it is nobody's or not meant for this service.

        Raises
        ------
        ServiceUnreachable
        """
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        if self._signed_out.get(digest):
            return None
        name = self._names.get(digest)
        if name is not None:
            return name
        if not token.isascii() or not token.isprintable():
            return None
        user = await self._ask(self.auth.user_for_token(token, use_cache=False, sync=False))
        # The Hub knows what a token may do; ours is to ask whether that holds this service.
        if not user or not self.auth.check_scopes(self.auth.access_scopes, user):
            return None
        if user.get("kind") != "user":
            return None  # another service's
        self._names.put(digest, user["name"])
        return str(user["name"])

    def state_cookie_name(self, state: str) -> str:
        """Each sign-in has its own: a page and its upload agent may sign in at the same moment."""
        return f"{self._state_cookie}-{state[:8]}"

    def begin(self, next_path: str) -> tuple[str, str]:
        """Where to send a browser to sign in, and the state it has to bring back."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        self._states.put(state, (self.safe_path(next_path), verifier))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "state": state,
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return f"{self.auth.login_url}&{urlencode(asked)}", state

    async def finish(self, code: str, state: str, cookie: str) -> tuple[str, str]:
        """The token that a code stands for, and where its browser wanted to go.

        Raises
        ------
        NotAuthenticated
            The sign-in was not begun by this browser, or too long ago, or the Hub knows no such
            code.
        ServiceUnreachable
        """
        begun = None
        if state and hmac.compare_digest(state.encode(), cookie.encode()):
            begun = self._states.pop(state)
        if begun is None:
            raise NotAuthenticated(
                "this sign-in was not begun here, or too long ago: begin again", status=400
            )
        next_path, verifier = begun
        token = await self._ask(
            self.auth._token_for_code(code, code_verifier=verifier), refused_too=True
        )
        if not token or await self.name_of(token) is None:
            raise NotAuthenticated("the Hub does not know this sign-in: begin again", status=400)
        return token, next_path

    def sign_out(self, token: str) -> None:
        """Have a session end here, also for whoever has a copy of its cookie."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        self._signed_out.put(digest, True)
        self._names.pop(digest)

    def safe_path(self, path: str) -> str:
        """A path of this site; the start page for anything else."""
        plain = path.isascii() and path.isprintable() and "\\" not in path
        if plain and path.startswith("/") and not path.startswith("//"):
            return path
        return f"{self.prefix}/"

    def set_cookie(self, response: Response, name: str, value: str, max_age_s: float) -> None:
        """Set a cookie that stays with us; an age of 0 removes it."""
        host_only = name.startswith("__Host-")
        response.set_cookie(
            name,
            value,
            max_age=int(max_age_s),
            path="/" if host_only else f"{self.prefix}/",
            secure=self.secure or host_only,
            httponly=True,
            samesite="lax",
        )

    async def _ask(self, question: Any, *, refused_too: bool = False) -> Any:
        from jupyterhub.services.auth import HTTPError

        try:
            return await question
        except HTTPError as error:
            # A code that is wrong, and a Hub that is down, are both told as 500.
            if refused_too and (error.log_message or "").startswith("Failed to check"):
                return None
            raise ServiceUnreachable(
                "sign-in cannot be checked just now: the Hub does not answer"
            ) from error


def hub_door(*, secure: bool = False) -> HubDoor | None:
    """The Hub that runs this process, or that its environment describes; None if there is none."""
    from jupyterhub.services.auth import HubOAuth

    try:
        auth = HubOAuth()
        known = bool(auth.api_token and auth.oauth_client_id and auth.access_scopes)
    except ValueError:  # what HubOAuth says to a token or client id that is not there
        return None
    return HubDoor(auth, secure=secure) if known else None


router = APIRouter(tags=["sign-in"])


@router.get("/login", include_in_schema=False)
async def login(request: Request, next_path: Annotated[str, Query(alias="next")] = "") -> Response:
    """Send a browser to the Hub."""
    door = _door(request)
    address, state = door.begin(next_path)
    answer = RedirectResponse(address, 302, _PAGE)
    door.set_cookie(answer, door.state_cookie_name(state), state, STATE_S)
    return answer


@router.get("/oauth_callback", include_in_schema=False)
async def oauth_callback(
    request: Request, code: str = "", state: str = "", error: str = ""
) -> Response:
    """A browser comes back from the Hub."""
    door = _door(request)
    if error or not code:
        raise NotAuthenticated("the Hub did not sign you in", status=403)
    cookie = request.cookies.get(door.state_cookie_name(state), "")
    token, next_path = await door.finish(code, state, cookie)
    answer = RedirectResponse(quote(next_path, safe="/?&=%:@!$'()*+,;~-._"), 302, _PAGE)
    # Whatever session the browser had before is replaced by one that nobody has seen.
    door.set_cookie(answer, door.cookie_name, token, SIGNED_IN_S)
    door.set_cookie(answer, door.state_cookie_name(state), "", 0)
    return answer


def _door(request: Request) -> HubDoor:
    door: HubDoor | None = request.app.state.doorkeeper.hub
    if door is None:
        raise NotFound("there is no Hub to sign in at; use an API key")
    return door
