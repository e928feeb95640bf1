"""A whole service to send files to: uploads, blocks, jobs and stacks of one program."""

from __future__ import annotations

import io
import tarfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest_socket

from tests.api.conftest import Running, opened, serving, settings_in
from tests.api.uploads_process import TUS, create, send

__all__ = [
    "observer", "outcome_of", "send_file", "tarred", "whole_service", "zipped",
]  # fmt: skip


@contextmanager
def whole_service(folder: Path, template: Path) -> Iterator[Running]:
    """A service on a copy of a migrated SQLite file; for fixtures that outlive one test."""
    pytest_socket.enable_socket()  # such fixtures begin before the test's own marks are heard
    (folder / "crowdsky.db").write_bytes(template.read_bytes())
    here = settings_in(folder, f"sqlite:///{folder / 'crowdsky.db'}")
    with opened(here) as context, serving(context) as running:
        yield running


def observer(running: Running, name: str) -> httpx.Client:
    """A client of an observer, which speaks tus as well."""
    return running.client({**TUS, "Authorization": f"Bearer {running.key_for(name)}"})


def outcome_of(answer: httpx.Response) -> tuple[str, str]:
    """What came of an upload, as the answer to its last bytes tells it."""
    assert answer.status_code == 204, answer.text
    return answer.headers["Upload-Outcome"], unquote(answer.headers.get("Upload-Reason", ""))


def send_file(client: httpx.Client, content: bytes, name: str = "a.fit") -> dict[str, Any]:
    """Send a file; the upload as the service shows it once it was looked at."""
    path = create(client, len(content), name)
    send(client, path, 0, content)
    end = time.monotonic() + 30.0
    while (state := client.get(path).json())["state"] in ("open", "received"):
        assert time.monotonic() < end, f"nobody looks at {name}"
        time.sleep(0.02)
    return dict(state)


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A .zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: Mapping[str, bytes], *special: tarfile.TarInfo) -> bytes:
    """A .tar of files, and of whatever else a tar may hold."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in special:
            archive.addfile(info)
    return buffer.getvalue()
