"""The widget that a page is: it hears when it is shown, and its failures are seen there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anywidget
import traitlets

from crowdsky.errors import CrowdSkyError

__all__ = ["LONG_TABLE", "LONG_TABLE_LOOK", "PageWidget", "front_end", "look"]

_HERE = Path(__file__).parent
_FRAME = _HERE / "frame.js"

#: What pages with a long table share; for `front_end`, before their own parts.
LONG_TABLE = tuple(
    _HERE / name for name in ("times.js", "address.js", "picture.js", "dialog.js", "long_table.js")
)
LONG_TABLE_LOOK = _HERE / "long_table.css"

_BROKEN = "Something went wrong on our side. Load the page again; if it comes back, tell us."


def front_end(*parts: Path) -> str:
    """One ES module of the shared frame and a page's own parts, in this order.

    Parameters
    ----------
    *parts : Path
        JavaScript without imports that declares names at its top; the last has the
        ``export default page(render)``. See ``frame.js`` for what they may use.

    Returns
    -------
    str
        For ``_esm`` of a `PageWidget`.
    """
    return look(_FRAME, *parts)


def look(*parts: Path) -> str:
    """Several files as one text, in this order; for ``_css``."""
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


class PageWidget(anywidget.AnyWidget):
    """Base of the pages' widgets.

    The front end says hello when it is drawn. Before that there may be no visitor, so whatever asks
    the service belongs into `on_hello`, or into methods that are handed to `answering`.

    Attributes
    ----------
    failure : str
        Shown on the page, in plain words with the next step; empty if all is well.
    """

    failure = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(self._hear)

    def on_hello(self, url: str, query: Mapping[str, str]) -> None:
        """The page was shown, at this address, with this query: what a page does first."""

    def on_message(self, kind: str, content: Mapping[str, Any]) -> None:
        """The front end sent ``{type: kind, ...}``."""

    def answering(self, work: Callable[[], object]) -> None:
        """Do something; what goes wrong is shown, and what is our fault is raised as well."""
        try:
            work()
        except CrowdSkyError as error:
            self.failure = f"{error}"
        except Exception:
            self.failure = _BROKEN
            raise
        else:
            self.failure = ""

    def _hear(self, _: object, content: object, __: object) -> None:
        if not isinstance(content, dict) or not isinstance(content.get("type"), str):
            return
        kind = content["type"]
        if kind == "hello":
            url, text = str(content.get("url", "")), str(content.get("query", ""))
            query = {name: values[-1] for name, values in parse_qs(text.lstrip("?")).items()}
            self.answering(lambda: self.on_hello(url, query))
        else:
            self.answering(lambda: self.on_message(kind, content))
