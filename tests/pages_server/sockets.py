"""A page's websocket, as a browser opens it."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.pages_server.site import BASE, Site

V1 = "v1.kernel.websocket.jupyter.org"


def message(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "session": "s",
        "username": "",
        "version": "5.3",
        "date": "2026-01-01T00:00:00Z",
    }
    return {"header": header, "parent_header": {}, "metadata": {}, "content": content}


class PageSocket:
    """Speaks either form of Jupyter's protocol."""

    def __init__(self, raw: ClientConnection) -> None:
        self.raw, self.is_v1 = raw, raw.subprotocol == V1
        self.comm_id = ""

    def send(self, kind: str, content: dict[str, Any], channel: str = "shell") -> None:
        told = message(kind, content)
        if self.is_v1:
            packed = serialize_msg_to_ws_v1(told, channel, lambda part: json.dumps(part).encode())
            self.raw.send(packed)
        else:
            self.raw.send(json.dumps(told | {"channel": channel, "buffers": []}))

    def receive(self) -> dict[str, Any]:
        got = self.raw.recv(timeout=60)
        if self.is_v1:
            assert isinstance(got, bytes)
            _, parts = deserialize_msg_from_ws_v1(got)
            header, parent, _, content = (json.loads(part) for part in parts[:4])
            return {"header": header, "parent_header": parent, "content": content}
        return dict(json.loads(got))

    def ask(self, what: str) -> Any:
        """Ask the notebook's comm something."""
        if not self.comm_id:
            self.comm_id = uuid.uuid4().hex
            opened = {"comm_id": self.comm_id, "target_name": "test", "data": {}}
            self.send("comm_open", opened)
        self.send("comm_msg", {"comm_id": self.comm_id, "data": {"ask": what}})
        while True:
            got = self.receive()
            if got["header"]["msg_type"] == "comm_msg":
                return got["content"]["data"]["told"]

    def why_closed(self) -> tuple[int, str]:
        """Code and reason, once the server has closed it."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.receive()
        assert self.raw.close_code is not None
        return self.raw.close_code, self.raw.close_reason or ""


@contextmanager
def page_socket(
    site: Site, browser: httpx.Client, kernel_id: str, *, v1: bool = True, origin: str | None = None
) -> Iterator[PageSocket]:
    """The websocket of a kernel, with a browser's cookies."""
    address = f"{BASE}api/kernels/{kernel_id}/channels"
    shown = browser.build_request("GET", address).headers.get("cookie", "")
    with connect(
        site.url.replace("http", "ws", 1) + address + "?session_id=" + uuid.uuid4().hex,
        additional_headers={"Cookie": shown},
        subprotocols=[Subprotocol(V1)] if v1 else None,
        origin=origin or site.url,
        open_timeout=60,
        proxy=None,
    ) as raw:
        yield PageSocket(raw)
