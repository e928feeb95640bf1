"""The template under test: built aside, drawn without a kernel, served by plain Voila."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from tests.real_data import ROOT

__all__ = ["TEMPLATE", "Served", "build", "copy_of_template", "draw", "node", "served"]

TEMPLATE = ROOT / "voila_templates" / "crowdsky"
START_S = 60.0


def node() -> str:
    """The node that came with the environment, or the system's."""
    own = Path(sys.executable).with_name("node")
    return str(own) if own.exists() else "node"


def build(out: Path) -> None:
    """Build the front end into a folder."""
    command = [node(), str(TEMPLATE / "build.mjs"), "--out", str(out)]
    command += ["--jupyter", str(Path(sys.prefix) / "share" / "jupyter")]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


def copy_of_template(folder: Path) -> Path:
    """The template with a front end that was built just now, below a folder for JUPYTER_PATH."""
    copy = folder / "voila" / "templates" / "crowdsky"
    copy.mkdir(parents=True)
    for name in ("index.html.j2", "conf.json"):
        shutil.copy(TEMPLATE / name, copy / name)
    build(copy / "static")
    return copy


def draw(template: Path, outputs: list[dict[str, Any]], told: dict[str, str] | None) -> str:
    """A page with a cell of these outputs; ``told`` is what the pages server tells the template."""
    from traitlets.config import Config
    from voila.exporter import VoilaExporter
    from voila.paths import collect_template_paths

    cell = nbformat.v4.new_code_cell("", outputs=[nbformat.from_dict(one) for one in outputs])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    exporter = VoilaExporter(
        template_paths=[str(template), *collect_template_paths(["voila", "nbconvert"], "base")],
        template_name="crowdsky",
        config=Config(),
        base_url="/services/pages/",
    )

    async def start(_nb: Any) -> str:
        return "0c3f4f3e-kernel"

    async def cells(nb: Any, _kernel_id: str) -> Any:
        for one in nb.cells:
            yield one

    async def parts() -> str:
        resources = {"base_url": "/services/pages/", "metadata": {"name": "status"}}
        if told is not None:
            resources["crowdsky"] = told
        made = exporter.generate_from_notebook_node(
            notebook,
            resources=resources,
            extra_context={"kernel_start": start, "cell_generator": cells},
        )
        return "".join([part async for part, _ in made])

    return asyncio.run(parts())


@dataclass(frozen=True)
class Served:
    """A Voila that answers."""

    address: str
    process: subprocess.Popen[bytes]

    def page(self, name: str) -> str:
        """Where a notebook is shown."""
        return f"{self.address}/voila/render/{name}.ipynb"


@contextmanager
def served(folder: Path, notebooks: Path) -> Iterator[Served]:
    """Plain Voila over a folder of notebooks, with the template below ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {place: str(folder / place.lower()) for place in places}
    command = [sys.executable, "-m", "voila", "--no-browser", "--Voila.ip=127.0.0.1"]
    command += [f"--port={port}", "--template=crowdsky", "--show_tracebacks=True", str(notebooks)]
    log = (folder / "voila.log").open("wb")
    process = subprocess.Popen(
        command,
        env=os.environ | own | {"JUPYTER_PATH": str(folder)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        ready = f"{address}/voila/templates/crowdsky/static/early.js"
        _wait(ready, process, folder / "voila.log")
        yield Served(address, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"Voila does not answer: {log.read_text(errors='replace')[-2000:]}")
