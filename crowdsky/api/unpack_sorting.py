"""Which files of an archive are taken, and how much of its limits is used up."""

from __future__ import annotations

import errno
import gzip
import re
import shutil
import tarfile
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from crowdsky.api.door import Entry, Report, admit, reason_of
from crowdsky.api.tus_headers import clean_name
from crowdsky.errors import RefusedArchive
from crowdsky.frames.find import reason_to_skip

__all__ = ["DAMAGE", "Sorting", "UnpackLimits", "archive_kind"]

#: What the readers of archives raise where bytes are not what they should be.
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)

_MIB = 1 << 20
_RESERVE_BYTES = 128 * _MIB
_DRIVE = re.compile(r"[A-Za-z]:")
_KINDS = (
    (".tar.gz", "tar.gz"),
    (".tgz", "tar.gz"),
    (".tar", "tar"),
    (".zip", "zip"),
    (".gz", "gz"),
)


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How far an archive is followed.

    Attributes
    ----------
    max_file_bytes : int
        Of one file, unpacked.
    max_total_bytes : int
        Of all of them.
    max_entries : int
        Files, folders and whatever else an archive lists. A night of 2,000 frames has 6,000, with
        its pictures and thumbnails.
    max_ratio : int
        Unpacked bytes for each packed one. Frames reach 3, a plain white one 1,000.
    """

    max_file_bytes: int
    max_total_bytes: int
    max_entries: int = 20_000
    max_ratio: int = 100


def archive_kind(name: str) -> str:
    """``zip``, ``tar``, ``tar.gz`` or ``gz`` by the end of a name; empty for a frame.

    Examples
    --------
    >>> archive_kind("Night.TGZ"), archive_kind("a.fit.gz"), archive_kind("a.fit")
    ('tar.gz', 'gz', '')
    """
    lower = name.lower()
    return next((kind for suffix, kind in _KINDS if lower.endswith(suffix)), "")


@dataclass
class Sorting:
    """The state of one look: what was found so far, and how much of the limits is used up."""

    folder: Path
    limits: UnpackLimits
    packed_bytes: int
    entries: list[Entry] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    n_listed: int = 0
    n_bytes: int = 0

    def count(self) -> None:
        """One more thing is listed in the archive.

        Raises
        ------
        RefusedArchive
        """
        self.n_listed += 1
        if self.n_listed > self.limits.max_entries:
            raise RefusedArchive(f"an archive lists at most {self.limits.max_entries} files")

    def passed(self, n_bytes: int) -> None:
        """So many more bytes were unpacked, wanted or not.

        Raises
        ------
        RefusedArchive
        """
        self.n_bytes += n_bytes
        self.foresee(0)

    def foresee(self, n_bytes: int) -> None:
        """So many more bytes are said to follow: refused before anybody looks for them.

        Raises
        ------
        RefusedArchive
            If they are more than the archive may hold.
        """
        total = self.n_bytes + n_bytes
        if total > self.limits.max_total_bytes:
            raise RefusedArchive(
                f"an archive holds at most {self.limits.max_total_bytes} bytes, unpacked"
            )
        # A little is always allowed: the ratio of a tiny file says nothing.
        if total > self.limits.max_ratio * self.packed_bytes + _MIB:
            raise RefusedArchive(
                f"an archive unpacks to at most {self.limits.max_ratio} times its size"
            )

    def refuse(self, name: str, reason: str) -> None:
        """List a file that is not taken."""
        self.entries.append(Entry(_shown(name), reason=reason))

    def wants(self, name: str) -> bool:
        """Whether a file of this name is worth unpacking; if not, it was listed or counted."""
        parts = tuple(part for part in name.replace("\\", "/").split("/") if part)
        reason = _forbidden(name, parts)
        if reason:
            self.refuse(name, reason)
            return False
        if archive_kind(name):
            self.refuse(name, "an archive inside an archive is not unpacked")
            return False
        reason = reason_to_skip(parts)
        if reason:
            self.skipped[reason] += 1
        return not reason

    def take(self, name: str, stream: IO[bytes], *, counted: bool = False) -> None:
        """Write a file out and check it at the door; `counted` where `passed` is told elsewhere."""
        self._check_space()
        path = self.folder / f"{len(self.entries) + 1:06d}"
        try:
            reason = self._write(stream, path, counted=counted)
        except DAMAGE as error:
            reason = f"damaged inside the archive ({error})"
        except RefusedArchive as error:
            path.unlink(missing_ok=True)
            self.refuse(name, reason_of(error))
            raise
        if reason:
            path.unlink(missing_ok=True)
            self.refuse(name, reason)
            return
        entry = admit(path, _shown(name))
        if entry.path is None:
            path.unlink(missing_ok=True)
        self.entries.append(entry)

    def report(self) -> Report:
        """What was found."""
        return Report(tuple(self.entries), dict(self.skipped.most_common()), self.stopped)

    def _write(self, stream: IO[bytes], path: Path, *, counted: bool) -> str:
        n_written = 0
        with path.open("wb") as out:
            while chunk := stream.read(256 * 1024):
                if not counted:
                    self.passed(len(chunk))
                n_written += len(chunk)
                if n_written > self.limits.max_file_bytes:
                    return f"a frame has at most {self.limits.max_file_bytes} bytes"
                out.write(chunk)
        return ""

    def _check_space(self) -> None:
        if shutil.disk_usage(self.folder).free < _RESERVE_BYTES + self.limits.max_file_bytes:
            raise OSError(errno.ENOSPC, "the reserve is not touched")


def _forbidden(name: str, parts: tuple[str, ...]) -> str:
    """Why a name is refused whatever lies behind it; empty if it is not."""
    if not parts:
        return "a file without a name"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "an absolute path in an archive"
    if ".." in parts:
        return "a path that leaves the archive"
    return ""


def _shown(name: str) -> str:
    return clean_name(name)
