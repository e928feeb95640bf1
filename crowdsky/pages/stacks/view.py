"""The Stacks page as a widget: lists of stacks, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from crowdsky.client.client import Client
from crowdsky.client.facts import StackPage
from crowdsky.client.patience import Patience
from crowdsky.errors import CrowdSkyError
from crowdsky.pages.session import visitor
from crowdsky.pages.stacks.state import Choice, stack_line
from crowdsky.pages.widgets.page import (
    LONG_TABLE,
    LONG_TABLE_LOOK,
    PageWidget,
    front_end,
    look,
)

__all__ = ["StacksPage", "show"]

_HERE = Path(__file__).parent
_FIRST, _MORE = 100, 500
_PATIENCE_S = 5.0


class StacksPage(PageWidget):
    """Stacks of the visitor, or everyone's public ones, the newest first.

    To the front end: ``stacks`` (rows of a list, with the ``ask`` that they answer), ``totals``
    (of the same list now), ``working`` (jobs on their way), ``refused``. From it: ``list`` with
    ``scope``, ``target`` and a number ``ask``; ``more`` of the list; ``look`` for its totals.

    Parameters
    ----------
    client : callable, optional
        Gives the client once there is a visitor; the visitor's when omitted.
    """

    _esm = front_end(*LONG_TABLE, _HERE / "rows.js", _HERE / "stacks.js")
    _css = look(LONG_TABLE_LOOK, _HERE / "stacks.css")

    def __init__(self, client: Callable[[], Client] | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        self._client_of = client or (lambda: visitor().client)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="stacks")
        self._choice = Choice()
        self._ask = 0
        self._after: int | None = None

    def on_hello(self, url: str, query: Mapping[str, str]) -> None:  # noqa: ARG002
        """The list that the address asks for."""
        self._do(lambda: self._list(Choice.of(query), 0))

    def on_message(self, kind: str, content: Mapping[str, Any]) -> None:
        """What the visitor asks for is done beside the kernel's own thread, in turn."""
        ask = content.get("ask")
        if not isinstance(ask, int):
            return
        if kind == "list":
            self._do(lambda: self._list(Choice.of(content), ask))
        elif kind == "more":
            self._do(lambda: self._go_on(ask))
        elif kind == "look":
            self._do(lambda: self._look(ask))

    def close(self) -> None:
        """Answer no longer."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _do(self, work: Callable[[], None]) -> None:
        def told() -> None:
            try:
                work()
            except CrowdSkyError as error:
                self.send({"type": "refused", "ask": self._ask, "text": str(error)})

        self._worker.submit(self.answering, told)

    def _list(self, choice: Choice, ask: int) -> None:
        self._choice, self._ask, self._after = choice, ask, None
        page = self._page(_FIRST)
        self._tell(page, anew=True)
        if not page.total and choice.scope == "mine":
            jobs = self._client_of().job_page(limit=1)
            counts = {name: jobs.counts.get(name, 0) for name in ("queued", "running", "failed")}
            self.send({"type": "working", "ask": ask, **counts})

    def _go_on(self, ask: int) -> None:
        if ask == self._ask and self._after is not None:
            self._tell(self._page(_MORE, self._after))

    def _look(self, ask: int) -> None:
        if ask == self._ask:
            page = self._page(1)
            self.send({"type": "totals", "ask": ask, "total": page.total, "n_bytes": page.n_bytes})

    def _page(self, limit: int, after: int | None = None) -> StackPage:
        return self._client_of().stack_page(
            patience=Patience(_PATIENCE_S), limit=limit, after=after, **self._choice.query()
        )

    def _tell(self, page: StackPage, *, anew: bool = False) -> None:
        self._after = page.next_after
        self.send(
            {
                "type": "stacks",
                "ask": self._ask,
                "anew": anew,
                "rows": [stack_line(stack) for stack in page.stacks],
                "total": page.total,
                "n_bytes": page.n_bytes,
                "more": page.next_after is not None,
            }
        )


def show() -> None:
    """Draw the page in a notebook."""
    from IPython.display import display

    display(StacksPage())
