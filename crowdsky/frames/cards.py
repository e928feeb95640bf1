"""FITS header cards, read without a C parser.

Headers come from strangers, so this reader is small enough to check by eye, reads a bounded number
of bytes and evaluates a card only when it is asked for. It follows the FITS Standard 4.0, sections
4.1 and 4.2 (80-byte cards, free format, doubled quotes, ``CONTINUE``, ``D`` exponents), and the
registered ``HIERARCH`` convention for long keywords.

Rules where the standard leaves a choice:

* Bytes outside printable ASCII (0x20 to 0x7E) before the END card are refused; padding behind it
  is not looked at.
* END must stand at the start of a card with 77 blanks behind it.
* Of a repeated keyword the first card counts; a repeated *structural* keyword whose cards differ is
  refused, because two readers could otherwise see two different images in one file.
* A card without ``'= '`` in columns 9 and 10 carries no value (commentary).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from crowdsky.errors import BadHeaderCard, UnreadableFrame
from crowdsky.frames.limits import DoorLimits
from crowdsky.frames.opening import open_regular_file

__all__ = ["BLOCK_BYTES", "CARD_BYTES", "CardValue", "HeaderCards", "read_cards"]

CARD_BYTES = 80
BLOCK_BYTES = 2880
_FIRST_READ_BYTES = 4 * BLOCK_BYTES  # a Seestar header is two blocks, four leave room for a WCS

CardValue = str | bool | int | float | None
"""A value; ``None`` is the standard's 'undefined' (a value field left blank)."""

_PRINTABLE = bytes(range(0x20, 0x7F))
_END_CARD = b"END" + b" " * 77
# All values but text with a quote or an ampersand in it, which may go on. Lengths are bounded
# because the cost of a hostile field must be.
_SIMPLE_VALUE = re.compile(
    r" *(?:(?P<integer>[+-]?\d{1,40})"
    r"|(?P<real>[+-]?(?:\d{1,70}\.?\d{0,70}|\.\d{1,70})(?:[EDed][+-]?\d{1,5})?)"
    r"|'(?P<text>[^'&]*)'"
    r"|(?P<logical>[TF]))? *(?:/|$)"
)
_STRUCTURAL = frozenset(
    ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "BZERO", "BSCALE")
) | {"PCOUNT", "GCOUNT"}
_VALUELESS = frozenset(("", "COMMENT", "HISTORY", "CONTINUE"))


class HeaderCards(Mapping[str, CardValue]):
    """The cards of one header, by keyword.

    A card is evaluated when it is first asked for, so that a malformed card nobody needs does no
    harm. ``header.get(key)`` and ``header[key]`` raise `BadHeaderCard` if that card is malformed.

    Parameters
    ----------
    text : str
        The header up to, without, its END card; a multiple of 80 printable ASCII characters.
    data_offset : int
        Byte at which the data start: the first multiple of 2880 behind the END card.
    file : str
        For error messages.
    """

    __slots__ = ("_fields", "_file", "_text", "data_offset")

    def __init__(self, text: str, data_offset: int, file: str = "") -> None:
        self._text = text
        self._file = file
        self.data_offset = data_offset
        fields: dict[str, int] = {}  # where the value field of a keyword starts
        for start in range(0, len(text), CARD_BYTES):
            keyword = text[start : start + 8].rstrip()
            if text[start + 8 : start + 10] == "= ":
                first = fields.setdefault(keyword, start + 10)
                if first != start + 10 and keyword in _STRUCTURAL:
                    self._refuse_contradiction(keyword, first, start + 10)
            elif keyword == "HIERARCH":
                name, equals, _ = text[start + 9 : start + CARD_BYTES].partition("=")
                if equals:
                    fields.setdefault(" ".join(name.split()).upper(), start + 10 + len(name))
        for keyword in _VALUELESS:
            fields.pop(keyword, None)
        self._fields = fields

    def __getitem__(self, keyword: str) -> CardValue:
        return self._value(keyword, self._fields[keyword])

    def get(self, keyword: str, default: Any = None) -> Any:
        """The value of a card, or ``default`` where there is no such card."""
        at = self._fields.get(keyword)
        return default if at is None else self._value(keyword, at)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, keyword: object) -> bool:
        return keyword in self._fields

    def _refuse_contradiction(self, keyword: str, first: int, second: int) -> None:
        length = CARD_BYTES - 10
        if self._text[first : first + length] != self._text[second : second + length]:
            raise UnreadableFrame(
                "a structural card may not be given twice with different content",
                file=self._file or None,
                value=keyword,
            )

    def _value(self, keyword: str, at: int) -> CardValue:
        end = at - at % CARD_BYTES + CARD_BYTES
        match = _SIMPLE_VALUE.match(self._text, at, end)
        if match is not None:
            kind = match.lastgroup
            if kind is None:
                return None
            token = match[kind]
            if kind == "text":
                return token.rstrip()
            if kind == "integer":
                return int(token)
            if kind == "real":
                return float(token.upper().replace("D", "E"))
            return token == "T"
        field = self._text[at:end].lstrip()
        if field.startswith("'"):
            return self._string(keyword, end - CARD_BYTES, field)
        raise BadHeaderCard(
            f"the value of {keyword} is neither text, number nor logical",
            file=self._file or None,
            value=field.partition("/")[0].rstrip(),
            keyword=keyword,
        )

    def _string(self, keyword: str, start: int, field: str) -> str:
        parts = [self._quoted(keyword, field)]
        # A trailing '&' joins the next card only if that card is a CONTINUE (Standard 4.2.1.2);
        # otherwise it is an ordinary character.
        while parts[-1].endswith("&"):
            start += CARD_BYTES
            following = self._text[start : start + CARD_BYTES]
            tail = following[10:].lstrip()
            if following[:10] != "CONTINUE  " or not tail.startswith("'"):
                break
            parts[-1] = parts[-1][:-1]
            parts.append(self._quoted(keyword, tail))
        return "".join(parts).rstrip()

    def _quoted(self, keyword: str, field: str) -> str:
        end = 1
        while True:
            end = field.find("'", end)
            if end < 0:
                raise BadHeaderCard(
                    f"the text of {keyword} has no closing quote",
                    file=self._file or None,
                    value=field,
                    keyword=keyword,
                )
            if field[end + 1 : end + 2] != "'":
                return field[1:end].replace("''", "'").rstrip()
            end += 2


def read_cards(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    limits: DoorLimits | None = None,
    *,
    offset: int = 0,
) -> HeaderCards:
    """Read one header.

    Parameters
    ----------
    source : path, bytes or binary file
        Where the header is. At most ``limits.max_cards`` cards are read.
    limits : DoorLimits, optional
    offset : int
        Byte at which the header starts.

    Returns
    -------
    HeaderCards

    Raises
    ------
    UnreadableFrame
        Empty, not printable ASCII, no END card within the limit, or cut short.
    """
    limits = limits or DoorLimits()
    if isinstance(source, bytes):
        return _parse(source[offset : offset + _limit_bytes(limits)], limits, offset, "")
    if isinstance(source, (str, os.PathLike)):
        with open_regular_file(source) as stream:
            return read_cards(stream, limits, offset=offset)
    name = str(getattr(source, "name", ""))
    source.seek(offset)
    raw = source.read(min(_FIRST_READ_BYTES, _limit_bytes(limits)))
    if _find_end(raw) < 0 and len(raw) == _FIRST_READ_BYTES:
        # Looked at before more is read: a picture or a random file need not be read any further.
        _refuse_unprintable(raw, name)
        raw += source.read(_limit_bytes(limits) - len(raw))
    return _parse(raw, limits, offset, name)


def _limit_bytes(limits: DoorLimits) -> int:
    return -(-limits.max_cards * CARD_BYTES // BLOCK_BYTES) * BLOCK_BYTES


def _find_end(raw: bytes) -> int:
    """Byte of the END card, or -1."""
    at = raw.find(_END_CARD)
    while at >= 0 and at % CARD_BYTES:
        at = raw.find(_END_CARD, at + 1)
    return at


def _refuse_unprintable(header: bytes, file: str) -> None:
    stray = header.translate(None, _PRINTABLE)
    if stray:
        raise UnreadableFrame(
            "a FITS header is printable ASCII up to its END card",
            file=file or None,
            value=f"byte 0x{stray[0]:02x} in card {header.index(stray[:1]) // CARD_BYTES + 1}",
        )


def _parse(raw: bytes, limits: DoorLimits, offset: int, file: str) -> HeaderCards:
    end = _find_end(raw)
    header = raw if end < 0 else raw[:end]
    _refuse_unprintable(header, file)
    n_cards = len(header) // CARD_BYTES
    if end < 0 or n_cards > limits.max_cards:
        rule = (
            f"no END card within the first {limits.max_cards} cards"
            if n_cards >= limits.max_cards
            else "the file stops before the END card of its header"
        )
        raise UnreadableFrame(rule, file=file or None, n_cards=n_cards)
    data_offset = offset + -(-(end + CARD_BYTES) // BLOCK_BYTES) * BLOCK_BYTES
    return HeaderCards(header.decode("ascii"), data_offset, file)
