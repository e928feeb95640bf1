"""Raws that turn out to be gone, or rotten, when they are wanted."""

from __future__ import annotations

from collections.abc import Mapping

from crowdsky.archive.engine import Archive
from crowdsky.archive.scrub import mark_rotten
from crowdsky.errors import ObjectMissing, StoreError

__all__ = ["note_lost"]


def note_lost(archive: Archive, lost: Mapping[str, StoreError]) -> None:
    """Mark raws as the scrubber would: nobody is served them, and the same bytes are taken again.

    Frames that no stack holds stay pending with a note, and are asked for when their folder is
    sent once more.

    Parameters
    ----------
    archive : Archive
    lost : mapping of str to StoreError
        What is wrong with each, by SHA-256.
    """
    for sha256, error in sorted(lost.items()):
        # One by one: an object is locked before its frames, never after another's.
        with archive.writing() as session:
            missing = isinstance(error, ObjectMissing)
            mark_rotten(session, sha256, "missing" if missing else "damaged", actor="worker")
