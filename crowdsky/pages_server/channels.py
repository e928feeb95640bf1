"""The websocket between a page and its kernel, over which nobody can run code.

A page's widgets send comm messages; everything else that Jupyter's protocol knows (above all
``execute_request``, on whichever channel) is dropped here. What is passed on is put together anew
from what was checked, so that no two readers can read it differently.
"""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado.web import HTTPError
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from crowdsky.pages_server.kernel_route import own_kernel
from crowdsky.pages_server.kernels import ALLOWED_MESSAGES, PageKernels
from crowdsky.pages_server.sessions import Sessions

__all__ = ["ChannelsHandler", "PageConnection"]

log = logging.getLogger(__name__)
_V1 = "v1.kernel.websocket.jupyter.org"
_PARTS = ("header", "parent_header", "metadata", "content")
_MOST_PARTS = 1000
_UNREADABLE = 1003  # RFC 6455, 7.4.1: data that cannot be accepted


class PageConnection(ZMQChannelsWebsocketConnection):
    """A kernel's connection that passes on what a page may say."""

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Check one message and pass it on, or drop it."""
        if not self.channels:
            return  # already closed
        try:
            channel, parts, buffers = _read(incoming_msg, self.subprotocol == _V1)
            kind = parts[0]["msg_type"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            log.warning("a message to kernel %s cannot be read", self.kernel_id)
            self.websocket_handler.close(_UNREADABLE, "not a message of Jupyter's protocol")
            return
        if channel != "shell" or kind not in ALLOWED_MESSAGES:
            log.warning("a page may not send %r on %r", kind, channel)
            return
        stream = self.channels["shell"]
        packed = [self.session.pack(part) for part in parts]
        self.session.send_raw(stream, [*packed, *buffers])


class ChannelsHandler(VoilaKernelWebsocketHandler):  # type: ignore[misc]  # Voila has no types
    """``api/kernels/<id>/channels``, for the kernel's owner."""

    def initialize(self, kernels: PageKernels, sessions: Sessions) -> None:
        """Take the kernels, and who looks after sign-ins."""
        self.kernels, self.sessions = kernels, sessions

    def check_origin(self, origin: str | None = None) -> bool:
        """Whether the page that opens the socket is one of this site."""
        origin = origin or self.request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc.lower() == self.request.host.lower()

    def check_xsrf_cookie(self) -> None:
        """What counts for a websocket is its origin."""
        if not self.check_origin():
            raise HTTPError(403, "this must come from a page of this site")

    async def pre_get(self) -> None:
        """Before the handshake: whose kernel it is."""
        user = self.current_user
        if user is None or not self.check_origin():
            raise HTTPError(403)
        self.page_kernel = own_kernel(self.kernels, self.kernel_id, str(user.username))
        await super().pre_get()

    async def open(self, kernel_id: str) -> None:
        """After the handshake."""
        self.sessions.add(self, self.page_kernel)
        await super().open(kernel_id)

    def on_close(self) -> None:
        """The page was closed, or its network is gone."""
        self.sessions.remove(self)
        super().on_close()


def _read(message: Any, is_v1: bool) -> tuple[str, list[dict[str, Any]], list[bytes]]:
    """Channel, the four parts and the buffers of a message of either form of the protocol."""
    if is_v1:
        if not isinstance(message, bytes):
            raise ValueError("text where bytes belong")
        count = int.from_bytes(message[:8], "little")
        if not len(_PARTS) + 2 <= count <= _MOST_PARTS:
            raise ValueError("too few parts, or too many")
        channel, found = deserialize_msg_from_ws_v1(message)
        parts = [_table(json.loads(text)) for text in found[: len(_PARTS)]]
        return str(channel), parts, list(found[len(_PARTS) :])
    if not isinstance(message, str):
        raise ValueError("bytes where text belongs")
    told = _table(json.loads(message))
    return str(told.get("channel", "shell")), [_table(told[name]) for name in _PARTS], []


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("no table")
    return value
