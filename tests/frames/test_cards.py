"""The 80-byte card reader against the standard."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits

from crowdsky.errors import BadHeaderCard, UnreadableFrame
from crowdsky.frames import DoorLimits, HeaderCards, read_cards
from tests.frames.fits_files import header_bytes, sub_bytes


def cards_of(*lines: str) -> HeaderCards:
    raw = "".join(line.ljust(80) for line in [*lines, "END"])
    assert len(raw) == 80 * (len(lines) + 1)
    return read_cards(raw.encode("ascii").ljust(2880))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY     =                   10 / a count", 10),
        ("KEY     = -10", -10),
        ("KEY     = +0010/no blank", 10),
        ("KEY     =                  10. / a real", 10.0),
        ("KEY     = .5", 0.5),
        ("KEY     = 1.5E+03", 1500.0),
        ("KEY     = -1.5d-3 / double", -0.0015),
        ("KEY     = 1D2", 100.0),
        ("KEY     =                    T / yes", True),
        ("KEY     = F", False),
        ("KEY     = 'M 94    '           / target", "M 94"),
        ("KEY     = 'O''HARA'", "O'HARA"),
        ("KEY     = ''''", "'"),
        ("KEY     = 'a / b'  / a slash inside", "a / b"),
        ("KEY     = '  leading blanks count'", "  leading blanks count"),
        ("KEY     = ''", ""),
        ("KEY     = '        '", ""),
        ("KEY     =      'late'", "late"),
        ("KEY     = 'ends with &'", "ends with &"),
        ("KEY     =                      / undefined", None),
        ("KEY     =", None),
        ("HIERARCH A long  key = 3 / x", 3),
    ],
)
def test_values(line: str, value: object) -> None:
    cards = cards_of("SIMPLE  =                    T", line)
    key = "A LONG KEY" if line.startswith("HIERARCH") else "KEY"
    assert key in cards
    assert cards[key] == value
    assert type(cards[key]) is type(value)
    assert cards.get(key, "default") == value


@pytest.mark.parametrize(
    "field",
    ["1O", "1.2.3", "0x10", "NaN", "Inf", "1e", "T rue", "1 2", "(1, 2)", "--1", "1E999999"],
)
def test_what_is_no_value_is_refused_when_asked_for(field: str) -> None:
    cards = cards_of(f"KEY     = {field}", "OTHER   = 1")
    assert cards["OTHER"] == 1
    with pytest.raises(BadHeaderCard, match="KEY is neither text, number nor logical"):
        cards["KEY"]


def test_a_quote_must_be_closed() -> None:
    cards = cards_of("KEY     = 'open / comment", "KEY2    = 'a'''")
    with pytest.raises(BadHeaderCard, match="no closing quote"):
        cards["KEY"]
    assert cards["KEY2"] == "a'"


def test_continued_text_is_joined() -> None:
    cards = cards_of(
        "KEY     = 'one &'",
        "CONTINUE  'two, &' / comment",
        "CONTINUE  'it''s three'",
        "CONTINUE  'not joined: nothing asked for it'",
        "AFTER   = 1",
    )
    assert cards["KEY"] == "one two, it's three"
    assert list(cards) == ["KEY", "AFTER"]


def test_an_ampersand_without_a_continuation_is_text() -> None:
    cards = cards_of("KEY     = 'a&'", "CONTINUE   no quote", "B       = 'R&D'", "C       = 1")
    assert cards["KEY"] == "a&"
    assert cards["B"] == "R&D"


def test_commentary_has_no_value_and_the_first_of_two_cards_counts() -> None:
    cards = cards_of(
        "COMMENT = 'not a value'",
        "HISTORY x",
        "",
        "KEY     = 1",
        "KEY     = 2",
        "NOVALUE   3",
        "TIGHT   =4",
    )
    assert dict(cards) == {"KEY": 1}
    assert "COMMENT" not in cards
    assert cards.get("NONE") is None
    with pytest.raises(KeyError):
        cards["NONE"]


def test_the_data_start_at_a_whole_block() -> None:
    for n_cards, offset in ((1, 2880), (35, 2880), (36, 5760), (71, 5760), (72, 8640)):
        raw = header_bytes({f"K{i}": i for i in range(n_cards)})
        assert read_cards(raw).data_offset == offset
    assert read_cards(bytes(2880) + raw, offset=2880).data_offset == 2880 + 8640


def test_the_word_end_inside_a_card_does_not_end_a_header() -> None:
    cards = cards_of("A       = 'END'", " " * 40 + "END", "B       = 2")
    assert cards["B"] == 2


def test_the_limit_is_exact() -> None:
    limits = DoorLimits(max_cards=40)
    within = header_bytes({f"K{i}": i for i in range(40)})
    assert len(read_cards(within, limits)) == 40
    with pytest.raises(UnreadableFrame, match="first 40 cards"):
        read_cards(header_bytes({f"K{i}": i for i in range(41)}), limits)
    with pytest.raises(UnreadableFrame, match="stops before the END"):
        read_cards(b"SIMPLE  =                    T".ljust(2880), limits)


def test_a_path_is_read_like_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.fit"
    path.write_bytes(sub_bytes())
    cards = read_cards(path)
    assert dict(cards) == dict(read_cards(sub_bytes()))
    assert cards["OBJECT"] == "M 94"


@pytest.mark.real
def test_real_headers_read_as_astropy_reads_them(real_frames: list[Path]) -> None:
    for path in (real_frames[0], real_frames[-1]):
        cards = read_cards(path)
        header = fits.getheader(path)
        keys = {k for k in header if k not in ("", "COMMENT", "HISTORY")}
        assert set(cards) == {k.upper() for k in keys}
        assert {k: cards[k] for k in cards} == {k: header[k] for k in cards}
