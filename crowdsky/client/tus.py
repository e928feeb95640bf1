"""Send one file by the tus protocol 1.0.0, through whatever happens on the way.

A thin client on httpx rather than tuspy, which opens a connection for every request, holds each
part in memory, takes a refusal for a lost connection (and tries it again at a fixed pace), and can
be told neither when the service wants to be asked again nor to stop.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO
from urllib.parse import unquote

import httpx

from crowdsky.client.patience import Patience
from crowdsky.client.transport import API, Transport
from crowdsky.client.walk import LocalFile
from crowdsky.errors import (
    ChecksumMismatch,
    NotFound,
    ObjectMissing,
    OffsetMismatch,
    ServiceUnreachable,
    UploadError,
)

__all__ = ["Stopped", "TusUpload"]

_VERSION = {"Tus-Resumable": "1.0.0"}
# One request a frame; archives in parts, so that no proxy sees a request without an end.
PART_BYTES = 64 * 1024 * 1024
# A raw frame is sent with the request that begins its upload (creation-with-upload), which saves
# each a question and an answer. Who is cut off then begins again, and the service forgets the rest.
WHOLE_BYTES = 6 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_LOOKED_AT_S = 1800.0
_TIMES = 5.0  # a night's upload is worth more patience than a question


class Stopped(Exception):
    """The push was called off."""


class TusUpload:
    """The upload of one file.

    Parameters
    ----------
    transport : Transport
    file : LocalFile
    sha256 : str
        Of the whole file, in hexadecimal.
    url : str
        Of an upload that was begun before; empty to begin one.
    stop : threading.Event
        Calls the upload off.
    on_bytes : callable
        Given the bytes that are sent as they are, and taken back what has to be sent again.
    """

    def __init__(
        self,
        transport: Transport,
        file: LocalFile,
        sha256: str,
        *,
        url: str,
        stop: threading.Event,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._transport, self._file, self._sha256 = transport, file, sha256
        self._stop, self._on_bytes = stop, on_bytes
        self._patience: Patience = transport.patience(stop, _TIMES)
        self.url = url
        self.n_bytes_sent = 0
        self._offset: int | None = None if url else 0
        self._may_be_there = False
        self._counted = 0

    def run(self) -> tuple[str, str]:
        """Send the file.

        Returns
        -------
        outcome, reason : str
            As the service tells them.

        Raises
        ------
        UploadError
            If the file changes meanwhile.
        Stopped
        CrowdSkyError
            What the service refused, or that it does not answer.
        """
        while True:
            if self._stop.is_set():
                raise Stopped
            if self._file.has_changed:
                raise UploadError("the file changed while it was sent", file=self._file.path)
            try:
                if not self.url and self._file.n_bytes > WHOLE_BYTES:
                    self._create()
                if self._may_be_there and self._is_there():
                    return "accepted", ""
                answer = self._ask_offset() if self._offset is None else self._send()
            except (NotFound, ObjectMissing):
                # Expired, or given up by another program: begin again.
                self._patience.spend(ServiceUnreachable("the upload is gone again and again"))
                self.url, self._offset = "", 0
                continue
            except OffsetMismatch as error:
                self._patience.spend(error)
                self._offset = None
                continue
            if answer is not None:
                return self._look(*answer)

    def _create(self) -> None:
        response = self._transport.ask(
            "POST", f"{API}/uploads", headers=self._announced(), patience=self._patience
        )
        self._begun(response)
        self._offset = 0

    def _announced(self) -> dict[str, str]:
        name = base64.b64encode(self._file.path.name.encode("utf-8", "replace")).decode("ascii")
        digest = base64.b64encode(self._sha256.encode("ascii")).decode("ascii")
        return _VERSION | {
            "Upload-Length": str(self._file.n_bytes),
            "Upload-Metadata": f"filename {name},sha256 {digest}",
        }

    def _begun(self, response: httpx.Response) -> None:
        self.url = response.headers.get("Location", "")
        if not self.url:
            raise ServiceUnreachable("the service did not say where to send the file")

    def _is_there(self) -> bool:
        """Whether only the answer to the whole file was lost."""
        self._may_be_there = False
        hashes = {"sha256": [self._sha256]}
        asked = self._transport.ask(
            "POST", f"{API}/uploads/have", json=hashes, patience=self._patience
        )
        return bool(asked.json()["have"])

    def _ask_offset(self) -> tuple[str, str] | None:
        response = self._transport.ask("HEAD", self.url, headers=_VERSION, patience=self._patience)
        self._stand_at(response)
        return _outcome(response)

    def _send(self) -> tuple[str, str] | None:
        """Send from where the upload stands; its outcome once it is whole."""
        offset = self._offset
        assert offset is not None
        n_bytes = min(self._file.n_bytes - offset, PART_BYTES)
        begins = not self.url
        headers = self._announced() if begins else _VERSION | {"Upload-Offset": str(offset)}
        headers |= {
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(n_bytes),
        }
        self._count(offset)
        try:
            with self._file.path.open("rb") as stream:
                stream.seek(offset)
                response = self._transport.once(
                    "POST" if begins else "PATCH",
                    self.url or f"{API}/uploads",
                    headers=headers,
                    content=self._body(stream, n_bytes),
                )
        except ServiceUnreachable as error:
            self._patience.spend(error)
            self._offset = None if self.url else 0
            self._may_be_there = begins
            return None
        if not response.is_success:
            self._refused(response)
            self._offset = None if self.url else 0
            return None
        if begins:
            self._begun(response)
        if self._stand_at(response) > offset:
            self._patience.progress()
        return _outcome(response)

    def _refused(self, response: httpx.Response) -> None:
        if response.status_code == 409:
            raise OffsetMismatch("another program sends the same upload", file=self._file.path)
        if response.status_code == 460:
            raise ChecksumMismatch("the file changed while it was sent", file=self._file.path)
        self._transport.refused(response, self._patience)

    def _stand_at(self, response: httpx.Response) -> int:
        text = response.headers.get("Upload-Offset", "")
        if not text.isdecimal() or int(text) > self._file.n_bytes:
            raise ServiceUnreachable("the service did not say where the upload stands", value=text)
        self._offset = int(text)
        self._count(self._offset)
        return self._offset

    def _body(self, stream: IO[bytes], n_bytes: int) -> Iterator[bytes]:
        while n_bytes > 0:
            if self._stop.is_set():
                raise Stopped
            chunk = stream.read(min(_CHUNK_BYTES, n_bytes))
            if not chunk:
                raise UploadError("the file changed while it was sent", file=self._file.path)
            yield chunk
            n_bytes -= len(chunk)
            self.n_bytes_sent += len(chunk)
            self._count(self._counted + len(chunk))

    def _count(self, offset: int) -> None:
        self._on_bytes(offset - self._counted)
        self._counted = offset

    def _look(self, outcome: str, reason: str) -> tuple[str, str]:
        """Wait until the service has looked at what it received."""
        pause_s, deadline_s = 0.1, time.monotonic() + _LOOKED_AT_S
        while outcome == "received" and time.monotonic() < deadline_s:
            if self._stop.wait(pause_s):
                raise Stopped
            pause_s = min(2.0 * pause_s, 2.0)
            response = self._transport.ask(
                "HEAD", self.url, headers=_VERSION, patience=self._patience
            )
            outcome, reason = _outcome(response) or (outcome, reason)
        return outcome, reason


def _outcome(response: httpx.Response) -> tuple[str, str] | None:
    outcome = response.headers.get("Upload-Outcome", "")
    return (outcome, unquote(response.headers.get("Upload-Reason", ""))) if outcome else None
