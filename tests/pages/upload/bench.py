"""A page with the front end of Upload, and a fake agent in place of the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crowdsky.pages.upload.view import UploadQueue
from tests.real_data import ROOT

__all__ = ["HERE", "fill", "open_page"]

HERE = Path(__file__).parent
SOURCE = ROOT / "voila_templates" / "crowdsky" / "src"
SITE = "http://upload.test/"

PAGE = """<!doctype html>
<html lang="en" data-theme="%(theme)s"><head><meta charset="utf-8"><title>Upload</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>%(css)s</style></head>
<body><main id="page" style="max-width: 72rem; margin: 0 auto; padding: 1rem"></main>
<script>%(fake)s
const sent = [];
window.sent = sent;
window.fetched = [];
if (%(agent)s) window.crowdsky = {
  agent: new FakeAgent(), user: "ann", base: "/services/pages/", api: "/services/crowdsky/api/v1",
  preview: { blocks: [], n_blocks: 0, n_frames: 0 },
  async fetchApi(path) {
    window.fetched.push(path);
    return new Response(JSON.stringify(this.preview));
  },
};
</script>
<script type="module">
import widget from "/upload.mjs";
const values = {};
const model = {
  get: (name) => values[name], set: (name, value) => { values[name] = value; },
  save_changes: () => sent.push(["saved", values.snapshot]), send: (message) => sent.push(message),
  on: () => {}, off: () => {}, values,
};
window.model = model;
const el = document.getElementById("page").appendChild(document.createElement("div"));
window.leave = widget.render({ model, el });
window.drawn = true;
</script></body></html>"""


def open_page(
    opened: Any, *, width: int = 1280, height: int = 800, theme: str = "dark", agent: bool = True
) -> Any:
    """A page in a browser; nothing of it comes from a network."""
    page = opened.new_page(viewport={"width": width, "height": height})
    css = "".join(path.read_text(encoding="utf-8") for path in (SOURCE / "theme.css", _own_css()))
    fake = (HERE / "fake_agent.js").read_text(encoding="utf-8")
    body = PAGE % {"theme": theme, "css": css, "fake": fake, "agent": str(agent).lower()}
    script = UploadQueue._esm

    def answer(route: Any) -> None:
        if route.request.url == SITE:
            route.fulfill(body=body, content_type="text/html")
        elif route.request.url == f"{SITE}upload.mjs":
            route.fulfill(body=str(script), content_type="text/javascript")
        else:
            route.fulfill(status=404)

    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.route("**/*", answer)
    page.goto(SITE)
    page.wait_for_function("window.drawn")
    return page


def fill(page: Any, n_files: int, **more: Any) -> None:
    """Have the agent tell of so many files under way; `more` as in its snapshot."""
    told = {
        "state": "uploading", "files": n_files, "bytes": n_files * 4152960, "sentFiles": 0,
        "counts": {"queued": n_files},
    }  # fmt: skip
    page.evaluate("change => crowdsky.agent.set(change)", told | more)
    page.wait_for_function(
        "n => document.querySelectorAll('[role=table] [aria-rowindex]').length >= n",
        arg=min(n_files, 5),
    )


def _own_css() -> Path:
    return Path(ROOT / "crowdsky" / "pages" / "upload" / "upload.css")
