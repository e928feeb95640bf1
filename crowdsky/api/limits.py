"""How often somebody may ask: rates, wrong keys, sizes of bodies, and no key in an address.

All of it is kept in this process and bounded: whoever was not seen for long is forgotten.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crowdsky.api.errors_http import error_answer
from crowdsky.errors import CrowdSkyError, LimitExceeded, UploadError

__all__ = ["Guard", "Recent", "TokenBuckets", "WrongKeys"]

Value = TypeVar("Value")

MAX_BODY_BYTES = 8 << 20
WRONG_KEYS_PER_MINUTE = 10
_MOST_NAMES = 20_000
_SECRET_NAMES = {"token", "access_token", "api_key", "apikey", "key", "password", "authorization"}
# Where a body is streamed to a file, part by part, and never read into memory: the routes of tus.
_STREAMED = re.compile(r"(?:.*/)?api/v1/uploads(?:/[0-9a-f]{32})?/?")
_FREE = ("/api/v1/health", "/api/v1/ready")


class Recent(Generic[Value]):
    """A dictionary that forgets: after some seconds, and the oldest when it is full.

    Parameters
    ----------
    keep_s : float
    most : int
    clock : callable, optional
        Seconds, monotonic.
    """

    def __init__(
        self, keep_s: float, most: int = _MOST_NAMES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.keep_s, self.most, self.clock = keep_s, most, clock
        self._kept: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()

    def get(self, name: Hashable) -> Value | None:
        """What was put there, unless it is too old."""
        found = self._kept.get(name)
        if found is None:
            return None
        if found[0] <= self.clock():
            del self._kept[name]
            return None
        return found[1]

    def put(self, name: Hashable, value: Value) -> None:
        """Remember."""
        self._kept.pop(name, None)
        self._kept[name] = (self.clock() + self.keep_s, value)
        if len(self._kept) > self.most:
            self._kept.popitem(last=False)

    def pop(self, name: Hashable) -> Value | None:
        """Take out."""
        value = self.get(name)
        self._kept.pop(name, None)
        return value

    def forget(self, unwanted: Callable[[Value], bool]) -> None:
        """Forget the values that are unwanted."""
        for name in [name for name, (_, value) in self._kept.items() if unwanted(value)]:
            del self._kept[name]

    def __len__(self) -> int:
        return len(self._kept)


class TokenBuckets:
    """A bucket of tokens for each name, which fills up again by itself.

    Parameters
    ----------
    per_minute : int
        What a full bucket holds, and what flows into it in a minute.
    clock : callable, optional
        Seconds, monotonic.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Seconds until there is a token; 0 if there is one."""
        level = self._level(name)
        return 0.0 if level >= 1.0 else (1.0 - level) * 60.0 / self.per_minute

    def take(self, name: str) -> float:
        """Take a token: 0 if there was one, else the seconds until there is."""
        level = self._level(name)
        if level < 1.0:
            return (1.0 - level) * 60.0 / self.per_minute
        self._buckets.pop(name, None)
        self._buckets[name] = (level - 1.0, self.clock())
        if len(self._buckets) > _MOST_NAMES:
            self._buckets.popitem(last=False)
        return 0.0

    def _level(self, name: str) -> float:
        level, seen = self._buckets.get(name, (float(self.per_minute), self.clock()))
        return min(self.per_minute, level + (self.clock() - seen) * self.per_minute / 60.0)

    def __len__(self) -> int:
        return len(self._buckets)


class WrongKeys:
    """Wrong keys of an address; after so many in a minute it has to wait."""

    def __init__(
        self,
        per_minute: int = WRONG_KEYS_PER_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buckets = TokenBuckets(per_minute, clock)

    def check(self, address: str) -> None:
        """Refuse an address that has guessed too often.

        Raises
        ------
        LimitExceeded
        """
        wait_s = self._buckets.wait_s(address)
        if wait_s > 0.0:
            limit = self._buckets.per_minute
            raise LimitExceeded(
                f"more than {limit} wrong keys in a minute came from this address",
                limit=limit,
                retry_after_s=round(wait_s, 1),
            )

    def note(self, address: str) -> None:
        """A wrong key came from there."""
        self._buckets.take(address)


class Guard:
    """ASGI middleware in front of all routes.

    Parameters
    ----------
    app : ASGI application
    per_minute : int
        Requests of one key or address.
    name_of : callable
        Whose bucket a request takes from, and whether that is somebody who signed in.
    """

    def __init__(
        self, app: ASGIApp, *, per_minute: int, name_of: Callable[[Scope], tuple[str, bool]]
    ) -> None:
        self.app = app
        self.name_of = name_of
        self.buckets = TokenBuckets(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            _refuse_secrets(scope)
            self._count(scope)
            await self._bounded(scope, receive, send)
        except CrowdSkyError as error:
            await error_answer(error)(scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through whose body is no larger than any JSON of ours."""
        if scope["method"] in ("GET", "HEAD", "OPTIONS") or _is_tus(scope):
            await self.app(scope, receive, send)
            return
        announced = _header(scope, b"content-length") or b"0"
        if not announced.isdigit() or int(announced) > MAX_BODY_BYTES:
            raise _too_large()
        taken = 0
        refused = False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise _too_large()
            return message

        async def answered(message: Message) -> None:
            # Whoever read the body may have taken our refusal for a body that makes no sense.
            nonlocal refused
            if taken <= MAX_BODY_BYTES:
                await send(message)
            elif not refused:
                refused = True
                await error_answer(_too_large())(scope, receive, send)

        await self.app(scope, counted, answered)

    def _count(self, scope: Scope) -> None:
        if scope["path"].endswith(_FREE):
            return
        name, signed_in = self.name_of(scope)
        if signed_in and _is_tus(scope):
            return  # a night has thousands of files; the quota is what bounds them
        wait_s = self.buckets.take(name)
        if wait_s > 0.0:
            limit = self.buckets.per_minute
            raise LimitExceeded(
                f"more than {limit} requests in a minute",
                limit=limit,
                retry_after_s=round(wait_s, 1),
            )


def _is_tus(scope: Scope) -> bool:
    if scope["method"] == "GET" or _header(scope, b"tus-resumable") is None:
        return False
    return _STREAMED.fullmatch(scope["path"]) is not None


def _refuse_secrets(scope: Scope) -> None:
    query: bytes = scope["query_string"]
    if not query:
        return
    text = query.decode("latin-1")
    names = {name.lower() for name, _ in parse_qsl(text, keep_blank_values=True)}
    if names & _SECRET_NAMES or "csk_" in text:
        raise UploadError(
            "a key does not belong into an address, where others can read it; send it in the "
            "header 'Authorization: Bearer ...', and revoke it if it was a real one",
            status=400,
        )


def _too_large() -> LimitExceeded:
    return LimitExceeded(
        f"the body of a request has at most {MAX_BODY_BYTES >> 20} MiB",
        limit=MAX_BODY_BYTES,
        status=413,
    )


def _header(scope: Scope, name: bytes) -> bytes | None:
    headers: Any = scope["headers"]
    return next((value for key, value in headers if key == name), None)
