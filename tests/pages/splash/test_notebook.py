"""The notebook, as it is run by a timer, with a service and without one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.api.conftest import Running
from tests.api.product_rows import make_stack
from tests.real_data import ROOT

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def drawn(server: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The HTML of the one output of the notebook."""
    notebook: Any = nbformat.read(ROOT / "notebooks" / "splash.ipynb", as_version=4)
    assert [cell.cell_type for cell in notebook.cells] == ["code"]
    assert notebook.cells[0].outputs == []
    for name in [name for name in os.environ if name.startswith("CROWDSKY_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "CROWDSKY_SERVER": server, "IPYTHONDIR": str(folder), "JUPYTER_PLATFORM_DIRS": "1",
        "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(folder))
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "execute_result"
    assert output.data["text/plain"] == "<the splash page>"
    html: str = output.data["text/html"]
    return html


def test_with_a_service(service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_stack(service.context, "ann", target="<b>M 94</b>", credit="Ann A.")
    html = drawn(service.url, tmp_path, monkeypatch)
    assert f"/services/crowdsky/api/v1/stacks/{made.id}/thumbnail" in html
    assert "&lt;b&gt;M 94&lt;/b&gt;" in html
    assert "by Ann A., CC-BY-4.0" in html


def test_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    html = drawn("http://127.0.0.1:9", tmp_path, monkeypatch)
    assert "The archive does not answer just now" in html
    assert ">Sign up</a>" in html
