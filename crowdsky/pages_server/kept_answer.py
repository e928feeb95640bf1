"""An answer that is kept in memory, packed once and sent to everybody."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, field

from tornado.web import RequestHandler

__all__ = ["KeptAnswer", "send_kept"]

_LEAST_PACKED = 600  # below that, packing saves no packet


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A body with what belongs to it.

    Attributes
    ----------
    body : bytes
    media_type : str
    cache_control : str
    """

    body: bytes
    media_type: str
    cache_control: str
    packed: bytes = field(init=False)
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        text = self.media_type.startswith("text/") or self.media_type.partition(";")[0] in (
            "application/javascript",
            "application/json",
            "application/manifest+json",
            "application/wasm",
            "image/svg+xml",
        )
        packed = gzip.compress(self.body, 9, mtime=0) if text else b""
        worth_it = len(self.body) >= _LEAST_PACKED and 0 < len(packed) < len(self.body)
        object.__setattr__(self, "packed", packed if worth_it else b"")
        object.__setattr__(self, "etag", hashlib.sha256(self.body).hexdigest()[:32])


def send_kept(handler: RequestHandler, answer: KeptAnswer) -> None:
    """Send it, or say that the browser has it already (RFC 9110, 13.1.2)."""
    packs = answer.packed and "gzip" in handler.request.headers.get("Accept-Encoding", "")
    etag = f'"{answer.etag}{"-gz" if packs else ""}"'
    handler.set_header("Content-Type", answer.media_type)
    handler.set_header("Cache-Control", answer.cache_control)
    handler.set_header("ETag", etag)
    if handler.request.headers.get("If-None-Match", "").removeprefix("W/") == etag:
        handler.set_status(304)
        handler.clear_header("Content-Type")
        handler.finish()
        return
    if packs:
        handler.set_header("Content-Encoding", "gzip")
    body = answer.packed if packs else answer.body
    handler.set_header("Content-Length", str(len(body)))
    handler.finish(None if handler.request.method == "HEAD" else body)
