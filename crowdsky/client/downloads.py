"""Stacks brought home, one by one or as one ZIP."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from crowdsky.aside import written_aside
from crowdsky.client.facts import Zipped
from crowdsky.client.fetch import fetch_file, has_sha256, part_of, safe_name
from crowdsky.client.transport import API, Transport
from crowdsky.client.tus import Stopped
from crowdsky.errors import NotFound, ObjectMissing, ObjectRotten

__all__ = ["download_stacks", "download_zip"]

_AT_ONCE = 4
OnProgress = Callable[[int, int, str], None]


def download_stacks(
    transport: Transport,
    stacks: Sequence[Mapping[str, Any]],
    folder: Path,
    on_progress: OnProgress | None,
) -> list[Path]:
    """Download the files of stacks, several at a time; those that are there already are kept.

    Parameters
    ----------
    transport : Transport
    stacks : sequence of mapping
        With ``id``, ``name``, ``label``, ``sha256`` and ``n_bytes``.
    folder : Path
        Made if need be.
    on_progress : callable, optional
        Given bytes done, bytes in all, and a name.

    Returns
    -------
    list of Path
        In the order of the stacks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = _paths(stacks, folder)
    count = _Count(sum(int(stack["n_bytes"]) for stack in stacks), on_progress)

    def fetch(stack: Mapping[str, Any], path: Path) -> None:
        sha256, n_bytes = str(stack["sha256"]), int(stack["n_bytes"])
        if has_sha256(path, sha256):
            count.add(n_bytes, path.name)
            return
        fetch_file(
            transport,
            f"{API}/stacks/{int(stack['id'])}/file",
            path,
            sha256=sha256,
            n_bytes=n_bytes,
            on_bytes=lambda n: count.add(n, path.name),
            stop=count.stop,
        )

    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pull")
    try:
        for done in [pool.submit(fetch, *pair) for pair in zip(stacks, paths, strict=True)]:
            done.result()
    finally:
        count.stop.set()
        pool.shutdown(cancel_futures=True)
    return paths


def download_zip(
    transport: Transport, asked: Mapping[str, Any], path: Path, on_progress: OnProgress | None
) -> Zipped:
    """Download a selection as one ZIP; called again after a break, it continues.

    Parameters
    ----------
    transport : Transport
    asked : mapping
        ``ids``, or the parameters of a query.
    path : Path
    on_progress : callable, optional

    Returns
    -------
    Zipped

    Raises
    ------
    ObjectRotten
        If the file that came is no whole ZIP.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    note = path.with_name(f".{path.name}.json")
    begun = _begun(note, transport.server, asked)
    for _ in range(2):
        if begun is None:
            part_of(path).unlink(missing_ok=True)
            begun = transport.ask("POST", f"{API}/downloads", json=dict(asked)).json()
            facts = {"server": transport.server, "asked": dict(asked), "download": begun}
            with written_aside(note) as stream:
                stream.write(json.dumps(facts).encode("utf-8"))
        n_bytes = int(begun["n_bytes"])
        count = _Count(n_bytes, on_progress)
        try:
            fetch_file(
                transport,
                str(begun["url"]),
                path,
                n_bytes=n_bytes,
                on_bytes=lambda n, count=count: count.add(n, path.name),  # type: ignore[misc]
            )
        except (NotFound, ObjectMissing):
            # What was begun some days ago has expired.
            begun = None
        else:
            note.unlink(missing_ok=True)
            _check_zip(path)
            return Zipped(path, int(begun["n_stacks"]), int(begun.get("n_missing", 0)))
    raise NotFound("the service has lost the download twice", file=path)


class _Count:
    """Bytes of several threads, added up; ends them all when told to."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total, self._on_progress, self._done = total, on_progress, 0
        self._lock = threading.Lock()
        self.stop = threading.Event()

    def add(self, n_bytes: int, name: str) -> None:
        if self.stop.is_set():
            raise Stopped
        with self._lock:
            self._done += n_bytes
            if self._on_progress is not None:
                self._on_progress(self._done, self._total, name)


def _paths(stacks: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Names of the files; those that several stacks would have get the stack's number."""
    names = [_name(stack) for stack in stacks]
    taken = [name.casefold() for name in names]
    return [
        folder / name
        if taken.count(name.casefold()) == 1
        else folder / f"{Path(name).stem}_{int(stack['id'])}{Path(name).suffix}"
        for stack, name in zip(stacks, names, strict=True)
    ]


def _name(stack: Mapping[str, Any]) -> str:
    name = safe_name(str(stack["label"]), f"stack_{int(stack['id'])}")
    return name if name.lower().endswith((".fits", ".fit", ".fz")) else f"{name}.fits"


def _begun(note: Path, server: str, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    try:
        facts = json.loads(note.read_text(encoding="utf-8"))
        same = facts["server"] == server and facts["asked"] == dict(asked)
        return dict(facts["download"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile:
        damaged = path.name
    if damaged is not None:
        path.unlink()
        raise ObjectRotten("damaged on its way; ask for it again", file=path, value=damaged)
