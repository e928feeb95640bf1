"""Clients that others wrote, unchanged."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.api.uploads_process import Nursery, Service, nursery
from tests.frames.fits_files import sub_bytes

pytestmark = [pytest.mark.enable_socket, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SCRIPT = Path(__file__).parent / "js" / "upload.mjs"


@pytest.fixture(scope="module")
def parent() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened


@pytest.fixture
def node(repo_root: Path) -> str:
    found = repo_root / ".venv/bin/node"
    if found.exists():
        return str(found)
    anywhere = shutil.which("node")
    if anywhere is None or not (repo_root / "node_modules/tus-js-client").is_dir():
        pytest.skip("no Node with tus-js-client here (make setup)")
    return anywhere


def frame(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 60_000, (960, 540)).astype(np.uint16)
    return sub_bytes(pixels=pixels)


def start_js(
    node: str, service: Service, path: Path, name: str, chunk: int, parallel: int = 1
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            node, str(SCRIPT), f"{service.address}/api/v1/uploads", service.key, str(path), name,
            str(chunk), str(parallel),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_PROXY": "*"},
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> str:
    """Address of what it sent."""
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return out.splitlines()[-1]


def state_of(service: Service, address: str) -> dict[str, object]:
    with service.client() as client:
        return dict(client.get(f"/api/v1/uploads/{address.rsplit('/', 1)[1]}").json())


@pytest.mark.parametrize("parallel", [1, 3])
def test_tus_js_client(parent: Nursery, node: str, tmp_path: Path, parallel: int) -> None:
    service = parent.start(tmp_path / "home", sandbox=False)
    content = frame(1)
    file = tmp_path / "x.fit"
    file.write_bytes(content)
    name = 'Light_"><img onerror>_😀.fit'
    address = finished(start_js(node, service, file, name, 200_000, parallel))
    state = state_of(service, address)
    assert (state["state"], state["name"]) == ("accepted", name)
    assert state["sha256"] == hashlib.sha256(content).hexdigest()
    service.stop()


def test_tus_js_client_goes_on_after_the_service_was_killed(
    parent: Nursery, node: str, tmp_path: Path
) -> None:
    content = frame(2)
    file = tmp_path / "x.fit"
    file.write_bytes(content)
    chunk = 100_000
    # It dies in the middle of the fifth part, whose bytes are written and not committed.
    first = parent.start(tmp_path / "home", sandbox=False, kill_at="upload.written", nth=5)
    process = start_js(node, first, file, "a.fit", chunk)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    first.wait()
    second = parent.start(tmp_path / "home", sandbox=False, port=first.port)
    state = state_of(second, finished(process))
    assert state["state"] == "accepted"
    assert state["sha256"] == hashlib.sha256(content).hexdigest()
    with second.client() as client:
        assert len(client.get("/api/v1/uploads").json()["uploads"]) == 1
    second.stop()


def test_tuspy(parent: Nursery, tmp_path: Path) -> None:
    from tusclient.client import TusClient

    service = parent.start(tmp_path / "home", sandbox=False)
    content = frame(3)
    file = tmp_path / "x.fit"
    file.write_bytes(content)
    client = TusClient(
        f"{service.address}/api/v1/uploads", headers={"Authorization": f"Bearer {service.key}"}
    )
    more = {"chunk_size": 300_000, "upload_checksum": True}
    with file.open("rb") as stream:
        uploader = client.uploader(file_stream=stream, metadata={"filename": "a.fit"}, **more)
        uploader.upload_chunk()
        assert uploader.offset == 300_000
    # Another process continues it.
    with file.open("rb") as stream:
        again = client.uploader(file_stream=stream, url=uploader.url, **more)
        assert again.offset == 300_000
        again.upload()
    state = state_of(service, again.url)
    assert state["state"] == "accepted"
    assert state["sha256"] == hashlib.sha256(content).hexdigest()
    service.stop()
