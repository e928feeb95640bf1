"""The upload agent in a real browser, before a real service."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.agent.nights import hashes, write_night
from tests.agent.site import Site, page_files
from tests.api.uploads_process import Nursery, Service, nursery, wait_until
from tests.browser.chromium import browser as chromium_browser
from tests.real_data import ROOT

AGENT = ROOT / "voila_templates" / "crowdsky" / "src" / "agent"
ROUTERS = ("serve_health", "account", "uploads", "blocks", "frames")
DONE_S = 60.0
SENDERS = 4  # requests with bytes at once

# As the pages' shell does it. `?worker=` (empty) is a browser without SharedWorker; other addresses
# are those of other versions of the site.
_PAGE = """<!doctype html><title>{title}</title>
<input id="files" type="file" multiple><input id="folder" type="file" webkitdirectory>
<div id="drop" style="width: 300px; height: 200px">Drop files here</div>
<script type="module">
import {{ createAgent }} from '/agent.js'
const asked = new URLSearchParams(location.search)
window.agent = createAgent({{
  user: asked.get('user') ?? 'alice',
  api: '/services/crowdsky/api/v1',
  workerUrl: asked.get('worker') ?? '/agent-worker.js'
}})
window.seen = new Set()
agent.subscribe(snapshot => {{ window.snap = snapshot; seen.add(snapshot.state) }})
for (const input of [files, folder]) {{
  input.onchange = () => {{ window.added = agent.addFiles(input.files).then(() => true) }}
}}
addEventListener('dragover', event => event.preventDefault())
addEventListener('drop', event => {{
  event.preventDefault()
  window.added = agent.addDrop(event.dataTransfer.items).then(() => true)
}})
</script>"""
PAGES = {
    "/": _PAGE.format(title="Upload"),
    "/status": _PAGE.format(title="Status"),
    "/foreign": "<!doctype html><title>A page without an agent</title>",
}


def find_node() -> str | None:
    own = ROOT / ".venv" / "bin" / "node"
    return str(own) if own.exists() else shutil.which("node")


@dataclass
class Stage:
    """A service, a site around it, and what came of a night."""

    parent: Nursery
    home: Path
    site: Site
    service: Service
    opened: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.site.address

    def restart_service(self) -> None:
        self.service = self.parent.start(self.home, sandbox=False, routers=ROUTERS)
        self.site.upstream_port = self.service.port

    def frames(self, name: str = "alice") -> list[str]:
        """SHA-256 of all frames that somebody has at the service, sorted."""
        with self.service.client(name) as client:
            found = client.get("/api/v1/frames", params={"limit": 5000}).json()["frames"]
        return sorted(one["sha256"] for one in found)

    def uploads(self, name: str = "alice") -> list[dict[str, Any]]:
        with self.service.client(name) as client:
            told = client.get("/api/v1/uploads", params={"limit": 1000}).json()
        return list(told["uploads"])

    @property
    def bytes_received(self) -> int:
        """Bytes of bodies that came in, lost ones too."""
        return sum(self.site.received.values())

    def more(self, n_bytes: int) -> None:
        """Wait until so many more bytes came in."""
        wanted = self.bytes_received + n_bytes
        wait_until(lambda: self.bytes_received >= wanted, "no bytes come in", DONE_S)

    def check(
        self, page: Any, night: Path, *, count: int, lost_parts: int, faults: int = 1
    ) -> None:
        """All arrived once; `lost_parts` parts, one of a file and fault, came twice."""
        counts = page.evaluate("snap.counts")
        assert counts["accepted"] == count, counts
        assert self.frames() == hashes(night)
        uploads = self.uploads()
        assert [one["state"] for one in uploads] == ["accepted"] * count
        sizes = sum(one["length"] for one in uploads)
        largest = max(one["length"] for one in uploads)
        assert sizes <= self.bytes_received <= sizes + lost_parts * largest
        for one in uploads:
            assert self.site.received[one["id"]] <= (1 + faults) * one["length"]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as browsers get it; skips where it cannot be built."""
    esbuild, node = ROOT / "node_modules" / ".bin" / "esbuild", find_node()
    if node is None or not esbuild.exists():
        pytest.skip("no Node with esbuild here (make setup)")
    out = tmp_path_factory.mktemp("bundle")
    path = f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"
    for source, target, form in (
        ("index.js", "agent.js", "esm"),
        ("agent_worker.js", "agent-worker.js", "esm"),
    ):
        subprocess.run(
            [
                str(esbuild), str(AGENT / source), "--bundle", "--log-level=warning",
                f"--format={form}", f"--outfile={out / target}",
            ],
            check=True,
            env={**os.environ, "PATH": path},
        )  # fmt: skip
    return out


@pytest.fixture(scope="session")
def services() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened


@pytest.fixture
def stage(services: Nursery, bundle: Path, tmp_path: Path) -> Iterator[Stage]:
    """A service with an empty archive, and alice signed in."""
    home = tmp_path / "home"
    service = services.start(home, sandbox=False, routers=ROUTERS)
    site = Site(page_files(bundle, PAGES), service.port, key=service.keys["alice"])
    site.start()
    made = Stage(services, home, site, service)
    try:
        yield made
    finally:
        site.stop()
        made.service.stop()
        shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with chromium_browser() as opened:
        yield opened


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    """A browser profile of its own."""
    opened = chromium.new_context()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def make_night(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folders of frames of real size; made once for each count."""
    made: dict[int, Path] = {}

    def make(count: int) -> Path:
        if count not in made:
            made[count] = tmp_path_factory.mktemp("frames") / "MyWorks"
            write_night(made[count], count)
        return made[count]

    return make


def open_page(context: Any, url: str) -> Any:
    """A page whose agent has found its queue."""
    page = context.pages[0] if context.pages else context.new_page()
    return go(page, url)


def go(page: Any, url: str) -> Any:
    page.goto(url)
    return ready(page)


def ready(page: Any) -> Any:
    page.wait_for_function("window.snap && !snap.loading")
    return page


def choose_folder(page: Any, folder: Path) -> None:
    """As with the button, and until everything is in the list."""
    page.evaluate("window.added = null")
    page.set_input_files("#folder", str(folder))
    page.wait_for_function("window.added", timeout=1000 * DONE_S)
    page.evaluate("window.added")


def until_state(page: Any, state: str) -> None:
    page.wait_for_function(f"snap.state === '{state}'", timeout=1000 * DONE_S)
