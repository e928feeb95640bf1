"""Cards: whatever the standard can say is read back, and nothing makes the reader fall over."""

from __future__ import annotations

import string

import pytest
from astropy.io import fits
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crowdsky.errors import BadHeaderCard, FrameError
from crowdsky.frames import HeaderCards, read_cards
from tests.frames.fits_files import card, header_bytes, long_card, sub_bytes

PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))
texts = st.text(PRINTABLE, max_size=300).map(str.rstrip)
short_texts = st.text(PRINTABLE, max_size=30).map(str.rstrip)
values = st.one_of(
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    short_texts,
)
keywords = st.text(string.ascii_uppercase + string.digits + "-_", min_size=1, max_size=8).filter(
    lambda key: key not in ("END", "COMMENT", "HISTORY", "CONTINUE", "HIERARCH")
)


@given(st.dictionaries(keywords, values, max_size=60))
def test_any_values_are_read_back(cards: dict[str, object]) -> None:
    assert dict(read_cards(header_bytes(cards))) == cards


@given(texts)
@example("it''s")
@example("&")
@example("'" * 200)
@example("a&" * 100)
def test_long_text_is_read_back(text: str) -> None:
    raw = header_bytes({}, long_card("LONG", text), card("NEXT", 1))
    cards = read_cards(raw)
    assert cards["LONG"] == text
    assert cards["NEXT"] == 1


# Astropy may cut a doubled quote in two, which the standard does not allow, so here are none.
@given(st.text(PRINTABLE.replace("'", ""), max_size=300).map(str.rstrip))
def test_long_text_is_read_as_astropy_reads_it(text: str) -> None:
    header = fits.Header()
    header["LONG"] = text
    cards = read_cards(header.tostring().encode("ascii"))
    assert cards["LONG"] == header["LONG"]


@given(st.binary(max_size=6000))
@settings(max_examples=200)
def test_random_bytes_are_refused_or_read_never_worse(raw: bytes) -> None:
    try:
        evaluate(read_cards(raw))
    except FrameError:
        return


@given(st.lists(st.text(PRINTABLE, min_size=80, max_size=80), max_size=40))
def test_random_cards_are_refused_or_read_never_worse(lines: list[str]) -> None:
    raw = "".join(lines).encode("ascii") + b"END".ljust(80)
    try:
        cards = read_cards(raw.ljust(-(-len(raw) // 2880) * 2880))
    except FrameError:
        return
    evaluate(cards)


@given(st.integers(0, 5759), st.integers(0, 255))
def test_one_flipped_byte_is_refused_or_read_never_worse(at: int, byte: int) -> None:
    raw = bytearray(sub_bytes())
    raw[min(at, len(raw) - 1)] = byte
    try:
        evaluate(read_cards(bytes(raw)))
    except FrameError:
        return


def evaluate(cards: HeaderCards) -> None:
    """Ask for every card; a malformed one may only say so in the way that it should."""
    for key in cards:
        try:
            value = cards[key]
        except BadHeaderCard:
            continue
        assert isinstance(value, (str, bool, int, float, type(None)))
    with pytest.raises(KeyError):
        cards["\0"]
