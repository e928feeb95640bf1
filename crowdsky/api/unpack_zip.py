"""ZIP: judged by its central directory before anything is unpacked.

The directory is read by the standard library only once its size and its count are known to be
small, and its entries are unpacked only where no two of them claim the same bytes (D. Fifield,
"A better zip bomb", WOOT 2019).
"""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from crowdsky.api.unpack_sorting import DAMAGE, Sorting
from crowdsky.errors import RefusedArchive

__all__ = ["sort_zip"]

_END = struct.Struct("<4s4H2LH")  # end of central directory record, APPNOTE 4.3.16
_END64 = struct.Struct("<4sQ2H2L4Q")  # its Zip64 sibling, 4.3.14
_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_LOCAL_BYTES = 30  # of a local file header without its name, 4.3.7
_MAX_COMMENT = 65_535
_MAX_CARD = 1024  # bytes of the directory for each entry: a name of that length is no frame's
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


def sort_zip(path: Path, sorting: Sorting) -> None:
    """Unpack and judge what a ZIP holds.

    Raises
    ------
    RefusedArchive
        No ZIP, or beyond a limit.
    """
    with path.open("rb") as stream:
        _check_directory(stream, path.stat().st_size, sorting.limits.max_entries)
        try:
            archive = zipfile.ZipFile(stream)
        except (*DAMAGE, NotImplementedError, ValueError, struct.error) as error:
            raise RefusedArchive(f"not a ZIP archive that can be read ({error})") from None
        with archive:
            overlapping = _overlapping(archive.infolist())
            for number, info in enumerate(archive.infolist()):
                sorting.count()
                if not info.is_dir():
                    _sort_entry(archive, info, sorting, shared=number in overlapping)


def _sort_entry(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, sorting: Sorting, *, shared: bool
) -> None:
    # As written: the library cuts names at a NUL and turns backslashes.
    name = info.orig_filename
    if shared:
        sorting.refuse(name, "its bytes are another file's too")
        return
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        sorting.refuse(name, "a link or device, not a file")
        return
    if not sorting.wants(name):
        return
    if info.flag_bits & _ENCRYPTED:
        sorting.refuse(name, "encrypted")
    elif info.compress_type not in _METHODS:
        sorting.refuse(name, "packed by a method that is not read (only stored and deflated are)")
    elif info.file_size > sorting.limits.max_file_bytes:
        sorting.refuse(name, f"a frame has at most {sorting.limits.max_file_bytes} bytes")
    else:
        try:
            stream = archive.open(info)
        except (*DAMAGE, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
            sorting.refuse(name, f"damaged inside the archive ({error})")
            return
        with stream:
            sorting.take(name, stream)


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Places of the entries that begin before the one in front of them ends."""
    shared = set()
    end = 0
    order = sorted(range(len(infos)), key=lambda number: infos[number].header_offset)
    for number in order:
        info = infos[number]
        if info.header_offset < end:
            shared.add(number)
        # Without the name, whose length the two headers of an entry may tell differently.
        end = max(end, info.header_offset + _LOCAL_BYTES + info.compress_size)
    return shared


def _check_directory(stream: BinaryIO, size: int, max_entries: int) -> None:
    """Refuse a directory that would not fit in memory, before the library reads it."""
    tail = min(size, _END.size + _MAX_COMMENT)
    stream.seek(size - tail)
    end = stream.read(tail)
    place = end.rfind(b"PK\x05\x06")
    if place < 0 or len(end) - place < _END.size:
        raise RefusedArchive("not a ZIP archive: it has no directory at its end")
    count, directory_bytes = _END.unpack_from(end, place)[4:6]
    locator = place - _LOCATOR.size
    if locator >= 0 and end.startswith(b"PK\x06\x07", locator):
        # Numbers that do not fit are all ones here and told there.
        count64, bytes64 = _zip64(stream, size - tail + locator - _END64.size)
        count = count64 if count == 0xFFFF else max(count, count64)
        directory_bytes = bytes64 if directory_bytes == 0xFFFFFFFF else directory_bytes
    if count > max_entries or directory_bytes > max_entries * _MAX_CARD:
        raise RefusedArchive(f"an archive lists at most {max_entries} files", value=count)
    stream.seek(0)


def _zip64(stream: BinaryIO, place: int) -> tuple[int, int]:
    if place < 0:
        return 0, 0
    stream.seek(place)
    raw = stream.read(_END64.size)
    if len(raw) < _END64.size or not raw.startswith(b"PK\x06\x06"):
        return 0, 0
    fields = _END64.unpack(raw)
    return fields[7], fields[8]
