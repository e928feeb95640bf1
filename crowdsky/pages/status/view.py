"""The Status page as a widget: what goes to the front end, and what it asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from crowdsky.client.client import Client
from crowdsky.errors import CrowdSkyError, NotFound
from crowdsky.pages.session import visitor
from crowdsky.pages.status.follow import Follower
from crowdsky.pages.status.state import Board, frame_line
from crowdsky.pages.widgets.page import (
    LONG_TABLE,
    LONG_TABLE_LOOK,
    PageWidget,
    front_end,
    look,
)

__all__ = ["StatusPage", "show"]

_HERE = Path(__file__).parent
# Changes are gathered for so long, so that a thousand jobs are one message.
_GATHER_S = 0.15
_MOST_AT_ONCE = 10_000

Message = Mapping[str, Any]


class StatusPage(PageWidget):
    """All jobs of the visitor.

    To the front end: ``changes`` (rows, gone, books, head), ``deleted``, ``retried``, ``refused``,
    ``frames``, ``log``. From it: ``delete`` and ``retry`` of ``ids``, ``open`` (the ledger) and
    ``log`` of an ``id``.

    Parameters
    ----------
    client : callable, optional
        Gives the client once there is a visitor; the visitor's when omitted.
    """

    _esm = front_end(
        *LONG_TABLE,
        _HERE / "books.js",
        _HERE / "rows.js",
        _HERE / "details.js",
        _HERE / "status.js",
    )
    _css = look(LONG_TABLE_LOOK, _HERE / "status.css")

    def __init__(self, client: Callable[[], Client] | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        self.board = Board()
        self._client_of = client or (lambda: visitor().client)
        self._follower: Follower | None = None
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="status")
        self._due: threading.Timer | None = None
        self._lock = threading.Lock()

    def on_hello(self, url: str, query: Mapping[str, str]) -> None:  # noqa: ARG002
        """The first figures; then everything that happens."""
        if self._follower is None:
            self._follower = Follower(self._client_of, self.board, self.tell_soon)
            self._follower.start()
        else:
            with self._lock:  # no change of before may come after it
                self.send(self.board.everything())
        self._do(self._tell_operator)

    def on_message(self, kind: str, content: Message) -> None:
        """What the visitor asks for is done beside the kernel's own thread."""
        ids = [number for number in content.get("ids", ()) if isinstance(number, int)]
        if not ids or len(ids) > _MOST_AT_ONCE:
            return
        asked = {
            "delete": self._delete,
            "retry": self._retry,
            "open": self._send_ledger,
            "log": self._send_logs,
        }.get(kind)
        if asked is not None:
            self._do(lambda: self._told(kind, ids, asked))

    def close(self) -> None:
        """Follow no longer."""
        if self._follower is not None:
            self._follower.stop()
        self._workers.shutdown(wait=False, cancel_futures=True)
        super().close()

    def tell_soon(self) -> None:
        """Send what is new, with whatever else comes in a moment."""
        with self._lock:
            if self._due is None:
                self._due = threading.Timer(_GATHER_S, self._tell_now)
                self._due.daemon = True
                self._due.start()

    def _tell_now(self) -> None:
        with self._lock:
            self._due = None
            changes = self.board.changes()
            if changes is not None:
                self.send(changes)

    def _do(self, work: Callable[[], object]) -> None:
        self._workers.submit(self.answering, work)

    def _told(self, kind: str, ids: list[int], work: Callable[[list[int]], None]) -> None:
        try:
            work(ids)
        except CrowdSkyError as error:
            # Said at its row, where it can be tried again; it is no failure of the page.
            self.send({"type": "refused", "what": kind, "ids": ids, "text": str(error)})

    def _tell_operator(self) -> None:
        me = self._client_of().me()
        if me.raw.get("is_operator"):
            self.send({"type": "operator"})

    def _delete(self, ids: list[int]) -> None:
        client = self._client_of()
        if len(ids) == 1:
            with suppress(NotFound):  # gone is gone, whoever did it
                client.delete_job(ids[0])
            gone: Sequence[int] = ids
        else:
            deleted, unknown = client.delete_jobs(ids)
            gone = [*deleted, *unknown]
        self.board.drop(gone)
        self._tell_now()
        self.send({"type": "deleted", "ids": list(gone)})

    def _retry(self, ids: list[int]) -> None:
        client = self._client_of()
        for job_id in ids:
            client.retry_job(job_id)
            self.board.take_jobs([client.job(job_id)])
        self._tell_now()
        self.send({"type": "retried", "ids": ids})

    def _send_ledger(self, ids: list[int]) -> None:
        client = self._client_of()
        for job_id in ids:
            lines = [frame_line(frame) for frame in client.job_frames(job_id)]
            self.send({"type": "frames", "id": job_id, "frames": lines})

    def _send_logs(self, ids: list[int]) -> None:
        client = self._client_of()
        for job_id in ids:
            try:
                log = client.job(job_id).log
            except NotFound:
                continue
            self.send({"type": "log", "id": job_id, "log": log if isinstance(log, str) else ""})


def show() -> None:
    """Draw the page in a notebook."""
    from IPython.display import display

    display(StatusPage())
