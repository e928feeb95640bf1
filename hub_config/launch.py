"""Last step before somebody's server: as them, limited, in their own folder. Standard library only.

Run as ``python launch.py ORDERS PROGRAM ARGUMENT ...``, where ORDERS is JSON: ``limits`` (names of
RLIMIT_* without that, to numbers), ``nice``, ``log`` (a file below the folder, for what the server
says), ``fresh`` (a folder to copy, and the name it gets here). Whatever is written here is written
as the user, so that no link in their folder can lead the Hub to write elsewhere.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import resource
import shutil
import sys
from pathlib import Path

_NO_NEW_PRIVILEGES = 38  # of prctl(2)
_RECORD = ".delivered.json"
_LOG_BYTES = 4 << 20


def limit(limits: dict[str, int], nice: int) -> None:
    """Lower what this process and its children may use; nothing that is lower already is raised."""
    for name, wanted in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(number)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(number, (most, most))
    if nice:
        os.nice(nice)
    if sys.platform == "linux":
        # No su, no sudo, nothing set-uid: this user is all it can be.
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def copy_fresh(source: Path, target: Path) -> None:
    """Copy a folder as it is now. What its user changed stays, under another name."""
    target.mkdir(exist_ok=True)
    record = target / _RECORD
    try:
        delivered = dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        delivered = {}
    for file in sorted(source.rglob("*")):
        if not file.is_file() or "." in (part[0] for part in file.relative_to(source).parts):
            continue
        name = file.relative_to(source).as_posix()
        fresh, place = file.read_bytes(), target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_file():
            digest = hashlib.sha256(place.read_bytes()).hexdigest()
            if digest == hashlib.sha256(fresh).hexdigest():
                delivered[name] = digest
                continue
            if digest != delivered.get(name):
                place.rename(_free_name(place))
        place.write_bytes(fresh)
        delivered[name] = hashlib.sha256(fresh).hexdigest()
    record.write_text(json.dumps(delivered), encoding="utf-8")


def _free_name(place: Path) -> Path:
    for number in range(1, 1000):
        free = place.with_name(f"{place.stem}-yours-{number}{place.suffix}")
        if not free.exists():
            return free
    return place


def say_to(log: Path) -> None:
    """Have what the server says go to a file of its user, begun anew when it is long."""
    if log.is_file() and log.stat().st_size > _LOG_BYTES:
        shutil.move(log, log.with_suffix(".old.log"))
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def main(arguments: list[str]) -> None:
    """Become the program that is named."""
    orders = json.loads(arguments[0])
    if orders.get("log"):
        say_to(Path(orders["log"]))
    if orders.get("fresh"):
        source, target = orders["fresh"]
        try:
            copy_fresh(Path(source), Path(target))
        except OSError as error:  # the server is of use without tutorials
            os.write(2, f"tutorials were not copied: {error}\n".encode())
    if os.environ.get("TMPDIR"):
        Path(os.environ["TMPDIR"]).mkdir(mode=0o700, parents=True, exist_ok=True)
    limit(orders.get("limits", {}), int(orders.get("nice", 0)))
    os.execvp(arguments[1], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
