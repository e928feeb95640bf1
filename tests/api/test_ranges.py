"""Byte ranges after RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdsky.api.ranges import ByteRange, RangeUnsatisfiable, matches_etag, requested_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=0-", ByteRange(0, 1000)),
        ("bytes=999-", ByteRange(999, 1000)),
        ("bytes=5-99999", ByteRange(5, 1000)),
        ("bytes=-1", ByteRange(999, 1000)),
        ("bytes=-5000", ByteRange(0, 1000)),
        ("Bytes = 10 - 19", ByteRange(10, 20)),
        ("bytes=0-9,10-19", ByteRange(0, 20)),
        ("bytes=10-19, ,0-12,", ByteRange(0, 20)),
        ("bytes=0-9,5000-", ByteRange(0, 10)),
        ("bytes=0-" + "9" * 5000, ByteRange(0, 1000)),
        (None, None),
        ("", None),
        ("bytes", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=9-5", None),
        ("bytes=--5", None),
        ("bytes=0x1-2", None),
        ("bytes=1-2-3", None),
        ("bytes=٠-٩", None),
        ("lines=0-1", None),
    ],
)
def test_what_is_asked_for(header: str | None, expected: ByteRange | None) -> None:
    assert requested_range(header, 1000) == expected


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=-0", "bytes=" + "9" * 5000 + "-"])
def test_beyond_the_file(header: str) -> None:
    with pytest.raises(RangeUnsatisfiable, match="the file has 1000 bytes"):
        requested_range(header, 1000)


def test_an_empty_file_has_no_part() -> None:
    for header in ("bytes=0-", "bytes=-5"):
        with pytest.raises(RangeUnsatisfiable):
            requested_range(header, 0)


def test_several_pieces_are_refused() -> None:
    with pytest.raises(RangeUnsatisfiable, match="one range at a time"):
        requested_range("bytes=0-0,2-3", 1000)


@pytest.mark.parametrize(
    ("if_range", "counts"),
    [('"a"', True), ('W/"a"', False), ('"b"', False), ("Tue, 24 Nov 2026 10:00:00 GMT", False)],
)
def test_if_range(if_range: str, counts: bool) -> None:
    found = requested_range("bytes=0-1", 10, if_range=if_range, etag='"a"')
    assert (found is not None) is counts


def test_etags_match_weakly_for_if_none_match() -> None:
    assert matches_etag('W/"a"', '"a"')
    assert matches_etag('"b",  "a"', '"a"')
    assert not matches_etag(None, '"a"')
    assert not matches_etag("a", '"a"')


@given(
    n_bytes=st.integers(1, 500),
    specs=st.lists(
        st.tuples(st.none() | st.integers(0, 600), st.none() | st.integers(0, 600)),
        min_size=1,
        max_size=4,
    ),
)
def test_a_part_is_what_its_grammar_says(
    n_bytes: int, specs: list[tuple[int | None, int | None]]
) -> None:
    """Against sets of positions, the slow way."""
    header = "bytes=" + ",".join(
        f"{'' if first is None else first}-{'' if last is None else last}" for first, last in specs
    )
    wanted: set[int] = set()
    bad = False
    for first, last in specs:
        if first is None and last is None:
            bad = True
        elif first is None:
            wanted |= set(range(max(0, n_bytes - (last or 0)), n_bytes))
        elif last is not None and last < first:
            bad = True
        else:
            wanted |= set(range(first, min(n_bytes, n_bytes if last is None else last + 1)))
    try:
        found = requested_range(header, n_bytes)
    except RangeUnsatisfiable:
        pieces = sum(number - 1 not in wanted for number in wanted)
        assert not bad
        assert pieces != 1
        return
    if bad:
        assert found is None
    else:
        assert found is not None
        assert set(range(found.start, found.end)) == wanted


@given(st.text(max_size=40), st.integers(0, 100))
def test_nothing_else_is_raised(text: str, n_bytes: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            found = requested_range(header, n_bytes)
        except RangeUnsatisfiable:
            continue
        assert found is None or 0 <= found.start < found.end <= n_bytes
