"""Headers are read strictly, whatever is in them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdsky.api.tus_headers import (
    clean_name,
    http_date,
    parse_checksum,
    parse_concat,
    parse_metadata,
    parse_number,
    parse_sha256,
)
from crowdsky.api.unpack import archive_kind
from crowdsky.errors import UploadError

HEADERS = st.text(st.characters(codec="latin-1"), max_size=200)
KEYS = st.from_regex(r"[a-zA-Z_.-]{1,20}", fullmatch=True)
ID = "0123456789abcdef" * 2


@given(st.one_of(st.none(), HEADERS))
def test_whatever_comes_is_read_or_refused(text: str | None) -> None:
    for read in (
        parse_metadata, parse_checksum, parse_concat, lambda value: parse_number("X", value),
    ):  # fmt: skip
        told = None
        try:
            read(text)  # type: ignore[operator]
        except UploadError as error:
            told = error
        assert told is None or (told.numbers["status"] == 400 and len(str(told)) < 400)


@given(st.dictionaries(KEYS, st.text(max_size=50), max_size=5))
def test_metadata_comes_back(pairs: dict[str, str]) -> None:
    text = ",".join(
        f"{key} {base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}".strip()
        for key, value in pairs.items()
    )
    found = parse_metadata(text)
    assert found == {
        key: value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        for key, value in pairs.items()
    }


@given(st.integers(0, 10**18 - 1))
def test_numbers_come_back(number: int) -> None:
    assert parse_number("Upload-Offset", str(number)) == number


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "1.0", "²", "१", "0x1", "1" * 19, "1,1"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(UploadError, match="Upload-Offset is a whole number of bytes"):
        parse_number("Upload-Offset", text)


def test_too_much_metadata() -> None:
    with pytest.raises(UploadError, match="Upload-Metadata is at most 4096 bytes long"):
        parse_metadata("a " + "A" * 5000)


def test_parts_are_named_by_any_address() -> None:
    text = f"final;/api/v1/uploads/{ID} https://x.org/y/{ID}/ {ID}"
    assert parse_concat(text) == ("final", (ID, ID, ID))
    assert parse_concat("partial") == ("partial", ())
    assert parse_concat(None) == ("", ())


@pytest.mark.parametrize(
    "text", ["", "final", "final;", "final;/x/..", "partial;x", f"final;{ID}x"]
)
def test_what_names_no_parts(text: str) -> None:
    with pytest.raises(UploadError, match="Upload-Concat is 'partial' or 'final;' and uploads"):
        parse_concat(text)


def test_too_many_parts() -> None:
    with pytest.raises(UploadError, match="1001: at most 1000 uploads are joined"):
        parse_concat("final;" + f"{ID} " * 1001)


def test_a_hash_in_capitals_is_a_hash() -> None:
    assert parse_sha256({"sha256": "AB" * 32}) == "ab" * 32
    assert parse_sha256({}) is None


@given(st.text(max_size=400))
def test_a_name_is_one_printable_line(text: str) -> None:
    name = clean_name(text)
    assert 1 <= len(name) <= 255
    assert name.isprintable()
    name.encode("utf-8")
    assert clean_name(name) == name


@given(st.text(max_size=2000))
def test_the_kind_of_file_outlives_a_long_name(text: str) -> None:
    assert archive_kind(clean_name(f"{text}.fit.gz"[-1000:])) == "gz"


def test_dates_are_those_of_http() -> None:
    time = datetime(2026, 3, 27, 1, 20, 32, 955368, tzinfo=timezone(timedelta(hours=2)))
    assert http_date(time) == "Thu, 26 Mar 2026 23:20:32 GMT"
    assert http_date(datetime(2026, 1, 1, tzinfo=UTC)) == "Thu, 01 Jan 2026 00:00:00 GMT"
