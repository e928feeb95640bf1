"""Reports of blocks on disk, and how a second run knows that there is nothing to do."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crowdsky.aside import written_aside
from crowdsky.errors import StackError
from crowdsky.frames import Block
from crowdsky.pipeline.outcome import BlockReport, FrameOutcome
from crowdsky.pipeline.recipe import Recipe

__all__ = ["fingerprint", "load_report", "retire_report", "save_report", "sweep_leftovers"]

FORMAT = 2
PRODUCTS = ("output", "preview", "thumbnail")
LEFTOVER_AGE_S = 3600.0


def fingerprint(block: Block, recipe: Recipe) -> str:
    """Key of a block's frames (names, sizes, times of change, starts) and of the recipe."""
    key = hashlib.blake2b(f"{FORMAT} {recipe.digest()}".encode(), digest_size=16)
    for header in block.headers:
        try:
            changed = header.path.stat().st_mtime_ns
        except OSError:
            changed = 0  # gone since it was listed: reading it will say so
        line = f"{header.path.name}|{header.file_bytes}|{changed}|{header.start_utc}\n"
        key.update(os.fsencode(line))
    return key.hexdigest()


def save_report(report: BlockReport, path: Path) -> None:
    """Write a report, aside first: where it is, the files it names are complete.

    Raises
    ------
    StackError
        If it cannot be written.
    """
    # Escaped to ASCII, because a file's name may hold bytes that are no text in UTF-8.
    text = json.dumps(report.as_dict(), indent=1, allow_nan=False)
    try:
        with written_aside(path) as stream:
            stream.write(text.encode("ascii"))
    except OSError as error:
        raise StackError(
            f"the report could not be written ({error.strerror or error})", file=path
        ) from error


def retire_report(path: Path) -> None:
    """Remove the report of an earlier run before the files that it names are replaced.

    Raises
    ------
    StackError
        If the folder cannot be written to; better said before an hour of stacking than after.
    """
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StackError("the output folder cannot be written to", file=path.parent)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StackError(
            f"the old report could not be removed ({error.strerror or error})", file=path
        ) from error


def sweep_leftovers(folder: Path) -> None:
    """Remove what a run that was killed left half-written, once nobody can be writing it still."""
    for leftover in folder.glob(".*.part"):
        try:
            if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE_S:
                leftover.unlink()
        except OSError:
            continue  # another run was faster, or it is not ours to remove


def load_report(path: Path, block: Block, key: str) -> BlockReport | None:
    """The report of an earlier run, if it is of the same frames and its files are still there.

    Files are looked for beside the report and frames named as they were found now, so that neither
    a moved folder nor another working directory makes a stack again.

    A block that gave no stack is tried again: what kept it may have been a full disk.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["fingerprint"] != key or not plain["output"]:
            return None
        products = {kind: path.parent / Path(plain[kind]).name for kind in PRODUCTS}
        if not all(product.is_file() for product in products.values()):
            return None
        frames = [
            {**frame, "file": str(header.path)}
            for frame, header in zip(plain["frames"], block.headers, strict=True)
        ]
        named = {kind: str(product) for kind, product in products.items()}
        return _report({**plain, **named, "frames": frames})
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
        if item.name.endswith("_utc") and value is not None:
            value = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        elif value is None and "float" in str(item.type):
            value = float("nan")
        values[item.name] = value
    return kind(**values)
