"""What lies beside the stacks."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdsky.api.manifest import (
    COLUMNS,
    ManifestRow,
    citation,
    file_name,
    guarded,
    manifest_csv,
    readme,
)

WHEN = datetime(2026, 3, 27, 20, 15, 7, tzinfo=UTC)


@given(st.text(max_size=200), st.integers(1, 2**40))
def test_names_are_safe(label: str, stack_id: int) -> None:
    name = file_name(label, stack_id)
    folder, _, stem = name.partition("/")
    assert folder == "stacks"
    assert set(stem) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")
    assert stem.endswith(f"_{stack_id}.fits")
    assert not stem.startswith(".")
    assert len(stem) < 160


def test_windows_has_no_quarrel_with_a_name() -> None:
    assert file_name("CON", 3) == "stacks/CON_3.fits"
    assert file_name("..", 3) == "stacks/stack_3.fits"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1"])
def test_formulas_are_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"


def test_numbers_are_not_guarded() -> None:
    row = ManifestRow(stack_id=1, dec_deg=-72.08, ra_deg=float("1e-7"))
    line = dict(zip(COLUMNS, manifest_csv([row]).splitlines()[1].split(","), strict=True))
    assert (line["dec_deg"], line["ra_deg"], line["n_bytes"]) == ("-72.08", "1e-07", "")


@given(st.lists(st.text(max_size=30), max_size=3))
def test_every_text_is_one_cell(targets: list[str]) -> None:
    rows = [ManifestRow(stack_id=1, target=target, start_utc=WHEN) for target in targets]
    read = list(csv.DictReader(io.StringIO(manifest_csv(rows), newline="")))
    assert len(read) == len(targets)
    for line in read:
        assert line["start_utc"] == "2026-03-27T20:15:07.000000Z"
        assert None not in line
        assert not line["target"].startswith(("=", "+", "-", "@"))


def test_texts_for_people() -> None:
    rows = [
        ManifestRow(stack_id=1, file="stacks/a_1.fits", n_bytes=10, observer="ann", licence="CC0"),
        ManifestRow(stack_id=2, status="missing: the file is damaged", observer="bob\nx"),
    ]
    text = readme(rows, "M 94\r\nBcc: x", WHEN)
    assert "Selection: M 94  Bcc: x\n" in text
    assert "Stacks: 1, 10 bytes" in text
    assert "  stack 2: missing: the file is damaged\n" in text
    assert "ann: 1 stack, CC0\n" in citation(rows)
    assert "bob" not in citation(rows)
