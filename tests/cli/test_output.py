"""Strict JSON, tables, and positions as people write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdsky.cli.output import format_dec, format_ra, format_table, one_line, strict_json


class Mode(StrEnum):
    BLIND = "blind"


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def strictly_read(text: str) -> Any:
    return json.loads(text, parse_constant=refuse_constant)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (np.float32("inf"), None),
        (np.float64(1.5), 1.5),
        (np.int64(2**61), 2**61),
        (np.bool_(True), True),
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        (Path("a") / "b.fit", "a/b.fit"),
        (Mode.BLIND, "blind"),
        ((1, "a", None), [1, "a", None]),
        (datetime(2025, 3, 26, 20, 20, 46, tzinfo=UTC), "2025-03-26T20:20:46Z"),
        (
            datetime(2025, 3, 26, 22, tzinfo=timezone(timedelta(hours=2))),
            "2025-03-26T20:00:00Z",
        ),
        ("broken \udcff name", "broken ? name"),
    ],
)
def test_values_become_plain(value: object, expected: object) -> None:
    read = strictly_read(strict_json({"value": value}))["value"]
    assert read == expected
    assert type(read) is type(expected)


def test_what_is_not_plain_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot write object as JSON"):
        strict_json({"value": object()})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_everything_nested_is_read_back_by_a_strict_reader(value: object) -> None:
    text = strict_json(value)
    assert "\n" not in text
    strictly_read(text)


def test_a_table_lines_up() -> None:
    table = format_table(["name", "n", "note"], [["M 94", "32", ""], ["a", "4", "x"]], "lrl")
    assert table.splitlines() == [
        "name   n  note",
        "----  --  ----",
        "M 94  32",
        "a      4  x",
    ]


def test_a_cell_cannot_break_out_of_its_table() -> None:
    table = format_table(["target"], [["M 94\n\x1b[31mred\u202e"]])
    assert len(table.splitlines()) == 3
    assert table.splitlines()[2] == "M 94��[31mred�"


def test_one_line_is_bounded() -> None:
    assert one_line("x" * 500) == "x" * 199 + "…"


@given(st.floats(0, 360))
def test_right_ascension_never_shows_sixty_seconds(ra_deg: float) -> None:
    text = format_ra(ra_deg)
    hours, rest = text.split("h")
    minutes, seconds = rest.rstrip("s").split("m")
    assert 0 <= int(hours) < 24
    assert 0 <= int(minutes) < 60
    assert 0.0 <= float(seconds) < 60.0
    back = 15.0 * (int(hours) + int(minutes) / 60 + float(seconds) / 3600)
    assert abs((back - ra_deg + 180.0) % 360.0 - 180.0) <= 0.05 * 15 / 3600 + 1e-9


@given(st.floats(-90, 90))
def test_declination_never_shows_sixty_seconds_nor_minus_zero(dec_deg: float) -> None:
    text = format_dec(dec_deg)
    degrees, rest = text[1:].split("°")
    minutes, seconds = rest.rstrip('"').split("'")
    assert int(minutes) < 60
    assert int(seconds) < 60
    size = int(degrees) + int(minutes) / 60 + int(seconds) / 3600
    back = -size if text[0] == "-" else size
    assert abs(back - dec_deg) <= 0.5 / 3600 + 1e-9
    assert text != "-00°00'00\""
