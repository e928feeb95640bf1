"""Byte ranges and conditions of requests, after RFC 9110 (sections 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ByteRange", "RangeUnsatisfiable", "matches_etag", "requested_range"]

# A number of more digits than this is beyond every file; reading it as one would be a waste.
_MAX_DIGITS = 19
_SPEC = re.compile(r"([0-9]*)[ \t]*-[ \t]*([0-9]*)")
_ETAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``[start, end)`` of a file; never empty."""

    start: int
    end: int

    def content_range(self, n_bytes: int) -> str:
        """The header Content-Range of a part of a file of `n_bytes`."""
        return f"bytes {self.start}-{self.end - 1}/{n_bytes}"


class RangeUnsatisfiable(Exception):
    """No part of the file is what was asked for; the text says why."""


def requested_range(
    header: str | None, n_bytes: int, *, if_range: str | None = None, etag: str = ""
) -> ByteRange | None:
    """What a request asks for.

    Parameters
    ----------
    header : str or None
        Range.
    n_bytes : int
        Length of the file.
    if_range : str or None
        If-Range: the range counts only if this is the file's strong tag. (Dates never match: no
        file here has one.)
    etag : str
        Of the file, with its quotes.

    Returns
    -------
    ByteRange or None
        None: the whole file, because no range is asked for, or one in a form that is to be ignored
        (another unit, bad grammar, a tag that does not match).

    Raises
    ------
    RangeUnsatisfiable
        Where the range begins behind the end of the file, or where several were asked for that
        are not one piece: the service sends one at a time.

    Examples
    --------
    >>> requested_range("bytes=0-99", 1000)
    ByteRange(start=0, end=100)
    >>> requested_range("bytes=-100", 1000)
    ByteRange(start=900, end=1000)
    """
    if header is None or (if_range is not None and if_range.strip() != etag):
        return None
    unit, sign, listing = header.partition("=")
    if unit.strip().lower() != "bytes" or not sign:
        return None
    specs = [part.strip() for part in listing.split(",")]
    specs = [spec for spec in specs if spec]  # RFC 9110, 5.6.1: empty elements of a list
    parts: list[ByteRange] = []
    for spec in specs:
        grammar = _SPEC.fullmatch(spec)
        if grammar is None or not (grammar[1] or grammar[2]):
            return None
        if grammar[1] and grammar[2] and _number(grammar[2]) < _number(grammar[1]):
            return None
        found = _one_range(grammar[1], grammar[2], n_bytes)
        if found is not None:
            parts.append(found)
    if not specs:
        return None
    if not parts:
        raise RangeUnsatisfiable(f"{header[:80]}: the file has {n_bytes} bytes")
    return _one_piece(parts)


def _one_range(first: str, last: str, n_bytes: int) -> ByteRange | None:
    """A range, None if it is beyond the file."""
    if not first:
        length = min(_number(last), n_bytes)
        return ByteRange(n_bytes - length, n_bytes) if length else None
    start = _number(first)
    if start >= n_bytes:
        return None
    return ByteRange(start, min(_number(last) + 1, n_bytes) if last else n_bytes)


def _one_piece(parts: list[ByteRange]) -> ByteRange:
    """Join ranges that touch or overlap."""
    ordered = sorted(parts, key=lambda part: part.start)
    start, end = ordered[0].start, ordered[0].end
    for part in ordered[1:]:
        if part.start > end:
            raise RangeUnsatisfiable("one range at a time: these are not one piece of the file")
        end = max(end, part.end)
    return ByteRange(start, end)


def _number(digits: str) -> int:
    significant = digits.lstrip("0")
    if len(significant) > _MAX_DIGITS:
        return int(10**_MAX_DIGITS)
    return int(significant or "0")


def matches_etag(header: str | None, etag: str) -> bool:
    """Whether If-None-Match names a tag; compared weakly, as RFC 9110, 13.1.2 has it.

    Parameters
    ----------
    header : str or None
    etag : str
        With its quotes.

    Examples
    --------
    >>> matches_etag('"a", W/"b"', '"b"'), matches_etag("*", '"b"'), matches_etag('"a"', '"b"')
    (True, True, False)
    """
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return any(found[1] == etag for found in _ETAG.findall(header))
