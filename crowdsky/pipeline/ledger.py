"""Reports of blocks on disk, and how a second run knows that there is nothing to do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crowdsky.frames import Block
from crowdsky.pipeline.outcome import BlockReport, FrameOutcome
from crowdsky.pipeline.recipe import Recipe
from crowdsky.stacking.aside import written_aside

__all__ = ["fingerprint", "load_report", "save_report"]

FORMAT = 1


def fingerprint(block: Block, recipe: Recipe) -> str:
    """Key of a block's frames (names, sizes, times of change, starts) and of the recipe."""
    key = hashlib.blake2b(f"{FORMAT} {recipe.digest()}".encode(), digest_size=16)
    for header in block.headers:
        changed = header.path.stat().st_mtime_ns if header.path.exists() else 0
        key.update(
            f"{header.path.name}|{header.file_bytes}|{changed}|{header.start_utc}\n".encode()
        )
    return key.hexdigest()


def save_report(report: BlockReport, path: Path) -> None:
    """Write a report, aside first: where it is, the files it names are complete."""
    text = json.dumps(report.as_dict(), indent=1, allow_nan=False, ensure_ascii=False)
    with written_aside(path) as stream:
        stream.write(text.encode())


def load_report(path: Path, key: str) -> BlockReport | None:
    """The report of an earlier run, if it is of the same frames and its files are still there.

    A block that gave no stack is tried again: what kept it may have been a full disk.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["fingerprint"] != key or not plain["output"]:
            return None
        if not all(Path(plain[kind]).is_file() for kind in ("output", "preview", "thumbnail")):
            return None
        return _report(plain)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _report(plain: dict[str, Any]) -> BlockReport:
    frames = tuple(_known(FrameOutcome, frame) for frame in plain["frames"])
    plain = {**plain, "frames": frames, "solution": plain["solution"] or {}, "unchanged": True}
    report: BlockReport = _known(BlockReport, plain)
    return report


def _known(kind: type, plain: dict[str, Any]) -> Any:
    values = {}
    for item in fields(kind):
        value = plain[item.name]
        if item.name == "start_utc" and value is not None:
            value = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        elif value is None and "float" in str(item.type):
            value = float("nan")
        values[item.name] = value
    return kind(**values)
