"""What a file turned out to be: looked at in a process that may die of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from crowdsky.errors import CrowdSkyError, FrameError, UnreadableFrame
from crowdsky.frames.frame_header import FrameHeader
from crowdsky.frames.header import read_frame_header

__all__ = ["Entry", "Report", "admit", "look_at_frame", "reason_of", "sha256_of"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that was sent, alone or in an archive.

    Attributes
    ----------
    name : str
        As it is shown.
    path : Path or None
        Where its bytes lie; None if it was refused.
    sha256 : str
        Of its bytes; empty for a file that was sent alone, whose hash is known already.
    header : FrameHeader or None
    reason : str
        Why it was refused; empty if it was not.
    """

    name: str
    path: Path | None = None
    sha256: str = ""
    header: FrameHeader | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a file, or the files of an archive, turned out to be.

    Attributes
    ----------
    entries : tuple of Entry
        In their order; what was skipped is not among them.
    skipped : dict
        How many files were set aside, by reason.
    stopped : str
        Why the rest of an archive was not looked at; empty if all of it was.
    """

    entries: tuple[Entry, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)
    stopped: str = ""


def look_at_frame(path: Path, name: str) -> Report:
    """Judge a file that was sent alone."""
    return Report((admit(path, name, sha256=""),))


def admit(path: Path, name: str, *, sha256: str | None = None) -> Entry:
    """Check one file at the door and read its header.

    Parameters
    ----------
    path : Path
    name : str
        As it is shown.
    sha256 : str, optional
        Its hash; read from the file when omitted, if the file passes.
    """
    try:
        header = read_frame_header(path)
    except FrameError as error:
        return Entry(name, reason=reason_of(error))
    if sha256 is None:
        try:
            sha256 = sha256_of(path)
        except OSError as error:
            raise UnreadableFrame(f"cannot be read ({error.strerror})", file=name) from error
    return Entry(name, path, sha256, replace(header, path=Path(name)))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def reason_of(error: CrowdSkyError) -> str:
    """An error without the path, which means nothing to whoever sent the file."""
    without = type(error)(error.rule, value=error.value)
    return str(without)
