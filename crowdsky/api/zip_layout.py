"""A ZIP archive whose every byte is known before the first one is sent.

Entries are stored, not compressed (a stack's noise does not shrink), and their sizes and CRC-32s
are known, so the offsets of all headers follow: the archive has an exact length and any range of it
can be sent again, byte for byte.

Format: PKWARE APPNOTE 6.3.10. ZIP64 fields (4.5.3) are used where a number needs them and not
elsewhere, so that small archives open everywhere.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Piece", "ZipEntry", "ZipLayout"]

_MAX_32 = 0xFFFFFFFF
_MAX_16 = 0xFFFF
_UNIX = 3 << 8
_VERSION, _VERSION_64 = 20, 45
_UTF8 = 1 << 11
_REGULAR_FILE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """A file of the archive.

    Attributes
    ----------
    name : str
        With slashes between folders; unique.
    n_bytes : int
    crc32 : int
    """

    name: str
    n_bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of the archive's bytes: ``data`` itself, or bytes ``[start, end)`` of entry `entry`."""

    data: bytes | None
    entry: int = -1
    start: int = 0
    end: int = 0


class ZipLayout:
    """Where everything lies in an archive.

    Parameters
    ----------
    entries : sequence of ZipEntry
    modified_utc : datetime
        Written for every entry.

    Attributes
    ----------
    n_bytes : int
        Length of the whole archive.
    """

    def __init__(self, entries: Sequence[ZipEntry], modified_utc: datetime) -> None:
        self.entries = tuple(entries)
        self._when = _dos_time(modified_utc)
        self._offsets: list[int] = []  # of the local headers
        offset = 0
        for entry in self.entries:
            self._offsets.append(offset)
            offset += _local_size(entry) + entry.n_bytes
        self._directory_at = offset
        self._directory_bytes = sum(
            _central_size(entry, at) for entry, at in zip(self.entries, self._offsets, strict=True)
        )
        self._tail = self._end_records()
        self.n_bytes = offset + self._directory_bytes + len(self._tail)

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[Piece]:
        """The bytes ``[start, end)`` of the archive, in order.

        Parameters
        ----------
        start : int
        end : int, optional
            The end of the archive when omitted.

        Yields
        ------
        Piece
        """
        stop = self.n_bytes if end is None else min(end, self.n_bytes)
        if start >= stop:
            return
        first = max(bisect.bisect_right(self._offsets, start) - 1, 0)
        for number in range(first, len(self.entries)):
            at, entry = self._offsets[number], self.entries[number]
            if at >= stop:
                return
            begin = at + _local_size(entry)
            if start < begin:
                header = self._local_header(entry)
                yield Piece(header[max(start - at, 0) : stop - at])
            low, high = max(start - begin, 0), min(stop - begin, entry.n_bytes)
            if low < high:
                yield Piece(None, number, low, high)
        yield from self._end_pieces(start, stop)

    def _end_pieces(self, start: int, stop: int) -> Iterator[Piece]:
        at = self._directory_at
        for entry, offset in zip(self.entries, self._offsets, strict=True):
            if at >= stop:
                return
            size = _central_size(entry, offset)
            if at + size > start:
                record = self._central_header(entry, offset)
                yield Piece(record[max(start - at, 0) : stop - at])
            at += size
        if at < stop:
            yield Piece(self._tail[max(start - at, 0) : stop - at])

    # -- records ------------------------------------------------------------------------------

    def _local_header(self, entry: ZipEntry) -> bytes:
        name = entry.name.encode()
        big = entry.n_bytes >= _MAX_32
        size = _MAX_32 if big else entry.n_bytes
        extra = struct.pack("<HHQQ", 1, 16, entry.n_bytes, entry.n_bytes) if big else b""
        return (
            struct.pack(
                "<4sHHHHHIIIHH",
                b"PK\x03\x04",
                _VERSION_64 if big else _VERSION,
                _UTF8,
                0,  # stored
                *self._when,
                entry.crc32,
                size,
                size,
                len(name),
                len(extra),
            )
            + name
            + extra
        )

    def _central_header(self, entry: ZipEntry, offset: int) -> bytes:
        name = entry.name.encode()
        big, far = entry.n_bytes >= _MAX_32, offset >= _MAX_32
        numbers = ([entry.n_bytes] * 2 if big else []) + ([offset] if far else [])
        extra = b""
        if numbers:
            extra = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers)
        version = _VERSION_64 if numbers else _VERSION
        size = _MAX_32 if big else entry.n_bytes
        return (
            struct.pack(
                "<4sHHHHHHIIIHHHHHII",
                b"PK\x01\x02",
                _UNIX | version,
                version,
                _UTF8,
                0,
                *self._when,
                entry.crc32,
                size,
                size,
                len(name),
                len(extra),
                0,  # no comment
                0,  # first disk
                0,
                _REGULAR_FILE,
                _MAX_32 if far else offset,
            )
            + name
            + extra
        )

    def _end_records(self) -> bytes:
        count, size, at = len(self.entries), self._directory_bytes, self._directory_at
        records = b""
        if count >= _MAX_16 or size >= _MAX_32 or at >= _MAX_32:
            records = struct.pack(
                "<4sQHHIIQQQQ",
                b"PK\x06\x06",
                44,
                _UNIX | _VERSION_64,
                _VERSION_64,
                0,
                0,
                count,
                count,
                size,
                at,
            ) + struct.pack("<4sIQI", b"PK\x06\x07", 0, at + size, 1)
        return records + struct.pack(
            "<4sHHHHIIH",
            b"PK\x05\x06",
            0,
            0,
            min(count, _MAX_16),
            min(count, _MAX_16),
            min(size, _MAX_32),
            min(at, _MAX_32),
            0,
        )


def _local_size(entry: ZipEntry) -> int:
    return 30 + len(entry.name.encode()) + (20 if entry.n_bytes >= _MAX_32 else 0)


def _central_size(entry: ZipEntry, offset: int) -> int:
    numbers = (2 if entry.n_bytes >= _MAX_32 else 0) + (offset >= _MAX_32)
    return 46 + len(entry.name.encode()) + (4 + 8 * numbers if numbers else 0)


def _dos_time(moment: datetime) -> tuple[int, int]:
    """Time and date as ZIP has them: two-second steps, 1980 to 2107."""
    year = min(max(moment.year, 1980), 2107)
    return (
        moment.hour << 11 | moment.minute << 5 | moment.second // 2,
        (year - 1980) << 9 | moment.month << 5 | moment.day,
    )
