"""The widget in its kernel: what it holds, hears and shows; no browser here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from crowdsky.errors import ServiceUnreachable
from crowdsky.pages import upload
from crowdsky.pages.widgets.page import PageWidget


def hear(widget: PageWidget, content: object) -> None:
    """What the front end sends, as it comes in."""
    widget._handle_custom_msg(content, [])


def test_the_page_is_one_short_cell(repo_root: Path) -> None:
    book = json.loads((repo_root / "notebooks" / "upload.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in book["cells"]]
    assert cells == ["from crowdsky.pages import upload\n\nupload.show()"]
    assert book["cells"][0]["outputs"] == []


def test_the_queue_is_copied_to_the_kernel() -> None:
    queue = upload.show()
    assert queue.state.headline == "Nothing to upload yet."
    queue.set_state({"snapshot": {"state": "scanning", "files": 3}})
    assert queue.state.headline == "Reading what you chose: 3 files so far."


def test_the_front_end_needs_nobody_else() -> None:
    script, style = str(upload.UploadQueue._esm), str(upload.UploadQueue._css)
    assert len(re.findall(r"^export default ", script, re.MULTILINE)) == 1
    assert not re.search(r"^\s*import\b|\bimport\(", script, re.MULTILINE)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", script + style)
    assert "url(" not in style


def test_names_of_files_are_never_markup() -> None:
    script = str(upload.UploadQueue._esm)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_colours_are_the_themes() -> None:
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsl", str(upload.UploadQueue._css))


class Greeter(PageWidget):
    _esm = "export default { render() {} }"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []
        self.error: Exception | None = None

    def on_hello(self, url: str, query: Mapping[str, str]) -> None:
        self.heard.append((url, dict(query)))
        if self.error is not None:
            raise self.error

    def on_message(self, kind: str, content: Mapping[str, object]) -> None:
        self.heard.append((kind, dict(content)))


def test_a_widget_hears_hello_with_the_query() -> None:
    widget = Greeter()
    hear(widget, {"type": "hello", "url": "http://a/b?x=1", "query": "?x=1&y=a%20b&x=2"})
    hear(widget, {"type": "open", "id": 3})
    assert widget.heard == [
        ("http://a/b?x=1", {"x": "2", "y": "a b"}),
        ("open", {"type": "open", "id": 3}),
    ]


@pytest.mark.parametrize("content", [None, [], "hello", {}, {"type": 3}])
def test_what_makes_no_sense_is_not_heard(content: object) -> None:
    widget = Greeter()
    hear(widget, content)
    assert widget.heard == []


def test_what_fails_is_shown_until_it_goes_well() -> None:
    widget = Greeter()
    widget.error = ServiceUnreachable("the service does not answer")
    hear(widget, {"type": "hello"})
    assert widget.failure == "the service does not answer"
    widget.error = None
    hear(widget, {"type": "hello"})
    assert widget.failure == ""


def test_what_is_our_fault_is_shown_plainly_and_raised() -> None:
    widget = Greeter()
    widget.error = ZeroDivisionError("secret")
    with pytest.raises(ZeroDivisionError):
        widget.answering(lambda: widget.on_hello("", {}))
    assert widget.failure.startswith("Something went wrong on our side. Load the page again")
    assert "secret" not in widget.failure
