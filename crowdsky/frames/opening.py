"""Opening a file that may be anything."""

from __future__ import annotations

import os
import stat
from io import FileIO

from crowdsky.errors import UnreadableFrame

__all__ = ["open_regular_file"]


def open_regular_file(path: str | os.PathLike[str]) -> FileIO:
    """Open a regular file for unbuffered reading; never block on a pipe or a device.

    Raises
    ------
    UnreadableFrame
        Missing, forbidden, or not a regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

    def opener(name: str, _: int) -> int:
        return os.open(name, flags)

    try:
        stream = FileIO(os.fspath(path), "rb", opener=opener)
    except (OSError, ValueError) as error:
        # ValueError: a NUL inside the name.
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFrame(f"cannot be opened ({reason})", file=path) from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise UnreadableFrame("not a regular file", file=path)
    return stream
