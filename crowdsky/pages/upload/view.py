"""The Upload page's widget: drawn by the browser from its upload agent, copied to the kernel."""

from __future__ import annotations

from pathlib import Path

import traitlets

from crowdsky.pages.upload.state import UploadState
from crowdsky.pages.widgets.page import PageWidget, front_end

__all__ = ["UploadQueue", "show"]

_FOLDER = Path(__file__).parent
_PARTS = ("words.js", "file_row.js", "files.js", "desk.js", "upload.js")


class UploadQueue(PageWidget):
    """The queue of files that this browser sends.

    Sending goes on in the browser when the page is left or its kernel ends, so nothing of it is
    done here. Outside of CrowdSky's own pages it says where uploads are done.

    Attributes
    ----------
    snapshot : dict
        What the browser showed last, at most a second ago.
    """

    _esm = front_end(*(_FOLDER / name for name in _PARTS))
    _css = (_FOLDER / "upload.css").read_text(encoding="utf-8")

    snapshot = traitlets.Dict().tag(sync=True)

    @property
    def state(self) -> UploadState:
        """The snapshot as numbers and words."""
        return UploadState.of(self.snapshot)


def show() -> UploadQueue:
    """The page; the last line of its notebook's cell."""
    return UploadQueue()
