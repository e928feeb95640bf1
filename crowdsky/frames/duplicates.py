"""The same frame twice.

Telescopes, phones and clouds copy files under new names, so a duplicate is known by its content.
Only frames of one telescope that began at the same microsecond and have the same size are compared.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from crowdsky.errors import UnreadableFrame
from crowdsky.frames.find import Skipped
from crowdsky.frames.frame_header import FrameHeader
from crowdsky.frames.opening import open_regular_file

__all__ = ["content_digest", "split_duplicates"]


def content_digest(path: Path) -> str:
    """BLAKE2b of a whole file, in hexadecimal.

    Raises
    ------
    UnreadableFrame
        The file cannot be read (any more).
    """
    with open_regular_file(path) as stream:
        try:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as error:
            raise UnreadableFrame(f"cannot be read ({error.strerror})", file=path) from error


def split_duplicates(
    headers: Iterable[FrameHeader], digest: Callable[[Path], str] = content_digest
) -> tuple[list[FrameHeader], list[Skipped], list[Skipped]]:
    """Part the frames that are wanted from their copies.

    Parameters
    ----------
    headers : iterable of FrameHeader
    digest : callable
        Content of a file as a short text; replaceable for tests.

    Returns
    -------
    kept : list of FrameHeader
        One of each content, the first by path.
    skipped : list of Skipped
        Copies, and files that vanished before they could be compared.
    flagged : list of Skipped
        Frames that are kept although another of the same telescope began at the same time.
    """
    by_start: dict[tuple[object, ...], list[FrameHeader]] = defaultdict(list)
    for header in headers:
        by_start[(header.telescope_id, header.start_utc)].append(header)
    kept: list[FrameHeader] = []
    skipped: list[Skipped] = []
    flagged: list[Skipped] = []
    for group in by_start.values():
        if len(group) == 1:
            kept += group
            continue
        first_of: dict[object, FrameHeader] = {}
        for header in sorted(group, key=lambda item: item.path):
            alike = [other for other in group if other.file_bytes == header.file_bytes]
            try:
                # A file whose size none shares can be no copy and need not be read.
                content = digest(header.path) if len(alike) > 1 else header.path
            except UnreadableFrame as error:
                skipped.append(Skipped(header.path, error.rule))
                continue
            first = first_of.setdefault(content, header)
            if first is not header:
                skipped.append(Skipped(header.path, f"duplicate of {first.path}"))
        kept += first_of.values()
        names = [header.path for header in first_of.values()]
        flagged += [Skipped(name, f"same start as {names[0]}, other content") for name in names[1:]]
    return kept, skipped, flagged
