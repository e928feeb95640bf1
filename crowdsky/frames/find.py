"""Finding the frames in folders as a Seestar leaves them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FoundFrames", "Skipped", "find_frames", "reason_to_skip"]

_FITS_SUFFIXES = (".fit", ".fits", ".fts")
_COMPRESSED_SUFFIXES = (".gz", ".fz", ".bz2", ".xz", ".z", ".zip")
_PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
_VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".ser")
_NOT_DEEP_SKY = re.compile(r"(lunar|solar)([ _.-].*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was set aside, and why in plain words."""

    file: Path
    reason: str


@dataclass(frozen=True, slots=True)
class FoundFrames:
    """What was found.

    Attributes
    ----------
    frames : list of Path
        Files that are named like FITS images, sorted, each once.
    skipped : list of Skipped
        Everything else, sorted.
    """

    frames: list[Path]
    skipped: list[Skipped]

    @property
    def skipped_counts(self) -> dict[str, int]:
        """How many files were set aside for each reason, most frequent first."""
        return dict(Counter(item.reason for item in self.skipped).most_common())


def find_frames(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> FoundFrames:
    """List the frames among files and, recursively, in folders.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files and folders. Links to folders are not followed.

    Returns
    -------
    FoundFrames
        The same for the same files whatever the order of ``paths``. No file is opened: whether a
        file is what its name says is decided at the door.

    Notes
    -----
    Set aside: pictures and thumbnails, videos, whatever lies in or is named ``Lunar_*``,
    ``Solar_*`` or ``*_video``, hidden files (``._x.fit`` of macOS among them), compressed files,
    other files, and paths that do not exist.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    frames: dict[tuple[object, ...], Path] = {}
    skipped: set[tuple[Path, str]] = set()
    for top in sorted(Path(path) for path in paths):
        if not os.path.lexists(top):
            skipped.add((top, "no such file or folder"))
            continue
        for file in sorted(_walk(top, skipped)):
            # The folder given by the user may bear any name; only what lies below it is judged.
            parts = file.relative_to(top).parts if top.is_dir() else (file.name,)
            reason = reason_to_skip(parts)
            if reason:
                skipped.add((file, reason))
                continue
            frames.setdefault(_identity(file), file)
    # A file that was given both by itself and in a folder is reported once.
    return FoundFrames(sorted(frames.values()), [Skipped(*item) for item in sorted(skipped)])


def _walk(top: Path, skipped: set[tuple[Path, str]]) -> Iterator[Path]:
    if not top.is_dir():
        yield top
        return

    def note(error: OSError) -> None:
        skipped.add((Path(error.filename or top), f"cannot be listed ({error.strerror})"))

    for folder, _, names in os.walk(top, onerror=note):
        for name in names:
            yield Path(folder, name)


def reason_to_skip(parts: tuple[str, ...]) -> str:
    """Why a file with these parts of a path is no frame; empty if it may be one."""
    name = Path(parts[-1].lower())
    stem, suffix = name.stem, name.suffix
    if any(part.startswith(".") for part in parts):
        return "hidden file"
    if suffix in _PICTURE_SUFFIXES or stem.endswith("_thn"):
        return "picture or thumbnail"
    if suffix in _VIDEO_SUFFIXES or any(
        part.lower().endswith("_video") for part in (*parts[:-1], stem)
    ):
        return "video"
    if any(_NOT_DEEP_SKY.fullmatch(part) for part in parts):
        return "Moon or Sun"
    if suffix in _COMPRESSED_SUFFIXES:
        return "compressed file, unpack it first"
    if suffix not in _FITS_SUFFIXES:
        return "not a FITS image"
    return ""


def _identity(file: Path) -> tuple[object, ...]:
    """Equal for two names of one file (links, a file given twice)."""
    try:
        status = file.stat()
    except OSError:
        return (file.absolute(),)
    return (status.st_dev, status.st_ino)
