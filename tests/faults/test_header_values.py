"""Odd header values: each has one stated rule."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crowdsky.errors import BadHeaderCard, FrameError, MissingHeaderCard, NotARawFrame
from crowdsky.frames import FrameHeader, group_blocks, read_frame_header, safe_target
from tests.frames.fits_files import card, write_sub


def header_of(folder: Path, *extra: bytes, **changed: object) -> FrameHeader:
    return read_frame_header(write_sub(folder / "a.fit", *extra, **changed))


@pytest.mark.parametrize(
    ("value", "ra_deg"),
    [
        (b"1D2", 100.0),
        (b"1.93D+02", 193.0),
        (193, 193.0),
        ("193.5", 193.5),
        ("12:50:53", 192.720833),
        ("12 50 53.5", 192.722917),
        (b"-10", 350.0),
        (370.0, 10.0),
        (360.0, 0.0),
        (b"-1E-20", 0.0),
    ],
)
def test_right_ascensions_that_are_understood(tmp_path: Path, value: object, ra_deg: float) -> None:
    pointing = header_of(tmp_path, RA=value).pointing
    assert pointing is not None
    assert pointing.ra_card_deg == pytest.approx(ra_deg, abs=1e-6)
    assert 0.0 <= pointing.ra_card_deg < 360.0


@pytest.mark.parametrize(
    ("value", "dec_deg"),
    [("-00:30:00", -0.5), ("+40:58:14", 40.970556), (90, 90.0), (-90.0, -90.0), (b"-4.1D1", -41.0)],
)
def test_declinations_that_are_understood(tmp_path: Path, value: object, dec_deg: float) -> None:
    pointing = header_of(tmp_path, DEC=value).pointing
    assert pointing is not None
    assert pointing.dec_card_deg == pytest.approx(dec_deg, abs=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        {"RA": None},
        {"DEC": None},
        {"RA": None, "DEC": None},
        {"RA": b""},
        {"RA": b"NaN"},
        {"RA": "nan"},
        {"RA": "Inf"},
        {"RA": b"Inf"},
        {"RA": b"1E400"},
        {"RA": 1e9},
        {"RA": True},
        {"RA": "12:70:53"},
        {"RA": "over there"},
        {"DEC": 91},
        {"DEC": -90.001},
        {"DEC": "91:00:00"},
        {"DEC": b"'41"},
    ],
    ids=str,
)
def test_without_a_usable_position_a_frame_is_kept_for_a_blind_solve(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    header = header_of(tmp_path, **changed)
    assert header.pointing is None
    assert len(header.notes) == 1
    assert header.notes[0].startswith("no pointing: ")
    block = group_blocks([header]).blocks[0]
    assert (block.name, block.tile) == ("", "")
    assert math.isnan(block.ra_deg)
    assert block.chunk == 5
    assert block.label == "20250327.05_M_94_S50-a2ac_IRCUT_10s_g80"


@pytest.mark.parametrize("value", [0, -1, 1e9, 3600.1, "10", True, b"NaN"])
@pytest.mark.parametrize("keyword", ["EXPTIME", "EXPOSURE"])
def test_impossible_exposures_are_refused(tmp_path: Path, keyword: str, value: object) -> None:
    changed = {"EXPTIME": None, keyword: value}
    with pytest.raises(BadHeaderCard) as caught:
        header_of(tmp_path, **changed)
    assert "a.fit" in str(caught.value)


def test_an_exposure_is_needed(tmp_path: Path) -> None:
    assert header_of(tmp_path, EXPTIME=None, EXPOSURE=20.0).exposure_s == 20.0
    assert header_of(tmp_path, EXPTIME=b"", EXPOSURE=20.0).exposure_s == 20.0
    with pytest.raises(MissingHeaderCard, match=r"a\.fit: EXPTIME \(or EXPOSURE\) is needed"):
        header_of(tmp_path, EXPTIME=None, EXPOSURE=None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-03-27T01:20:32.955368", datetime(2025, 3, 27, 1, 20, 32, 955368, UTC)),
        ("2025-03-27T01:20:32.955368Z", datetime(2025, 3, 27, 1, 20, 32, 955368, UTC)),
        ("2025-03-27T01:20:32", datetime(2025, 3, 27, 1, 20, 32, 0, UTC)),
        ("2025-03-27 01:20:32.5", datetime(2025, 3, 27, 1, 20, 32, 500000, UTC)),
        ("2025-03-27T01:20:32.9553680001", datetime(2025, 3, 27, 1, 20, 32, 955368, UTC)),
        ("2025-03-27T01:20:32+02:00", datetime(2025, 3, 26, 23, 20, 32, 0, UTC)),
        ("2025-03-26T20:20:32-0500", datetime(2025, 3, 27, 1, 20, 32, 0, UTC)),
        ("2025-12-31T24:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2025-12-31T24:00:00.000Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2025-12-31T23:59:60", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2025-12-31T23:59:60.5", datetime(2026, 1, 1, 0, 0, 0, 500000, UTC)),
        ("2026-01-01T01:59:60+02:00", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_that_are_understood(tmp_path: Path, value: str, expected: datetime) -> None:
    start = header_of(tmp_path, DATE_OBS=value).start_utc
    assert start == expected
    assert start.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("1858-11-17T00:00:00", "clock of the telescope"),
        ("1970-01-01T00:00:10", "clock of the telescope"),
        ("2099-01-01T00:00:00", "clock of the telescope"),
        ("2025-03-27", "a date and time"),
        ("27/03/25", "a date and time"),
        ("2025-03-27T01:20", "a date and time"),
        ("2025-03-27T01:20:32 CEST", "a date and time"),
        ("2025-02-30T01:20:32", "no such day"),
        ("2025-03-27T25:00:00", "no such day"),
        ("2025-03-27T24:00:01", "no such day"),
        ("2025-03-27T01:20:61", "no such day"),
        ("2025-03-27T01:20:60", "a leap second ends a UTC day"),
        ("2025-03-27T01:20:32+99:00", "no such day, hour or offset"),
        ("unknown", "a date and time"),
        (20250327, "a date and time"),
    ],
)
def test_times_that_are_refused(tmp_path: Path, value: object, rule: str) -> None:
    with pytest.raises(BadHeaderCard, match=rule) as caught:
        header_of(tmp_path, DATE_OBS=value)
    assert "a.fit" in str(caught.value)
    assert f"DATE-OBS={value}" in str(caught.value)


@pytest.mark.parametrize("value", [None, b"", "", "   "])
def test_a_frame_without_a_time_is_refused_with_the_reason(tmp_path: Path, value: object) -> None:
    with pytest.raises(MissingHeaderCard, match=r"a\.fit: DATE-OBS is needed"):
        header_of(tmp_path, DATE_OBS=value)


def test_a_time_scale_other_than_utc_is_refused(tmp_path: Path) -> None:
    assert header_of(tmp_path, card("TIMESYS", "UTC")).exposure_s == 10.0
    with pytest.raises(BadHeaderCard, match="times are UTC"):
        header_of(tmp_path, card("TIMESYS", "LOCAL"))


@pytest.mark.parametrize(
    "changed",
    [{"BAYERPAT": "XTRANS"}, {"BAYERPAT": "RGBG"}, {"ROWORDER": "BOTTOM-UP"}],
    ids=str,
)
def test_pixels_in_an_unknown_order_are_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    with pytest.raises(BadHeaderCard):
        header_of(tmp_path, **changed)


@pytest.mark.parametrize("kind", ["Dark", "FLAT", "Bias Frame"])
def test_calibration_frames_are_no_light_frames(tmp_path: Path, kind: str) -> None:
    with pytest.raises(NotARawFrame, match="calibration"):
        header_of(tmp_path, IMAGETYP=kind)


HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    "'; DROP TABLE stacks; --",
    "..",
    "../../etc/x",
    "..\\..\\x",
    ".hidden",
    "=cmd()",
    "CON",
    "com1.txt",
    "-rf",
    " " * 60,
    "a/b",
    "%00.php",
]


@pytest.mark.parametrize("text", HOSTILE_NAMES)
def test_a_target_is_text_for_display_and_never_a_path(tmp_path: Path, text: str) -> None:
    header = header_of(tmp_path, OBJECT=text, RA=None)
    assert header.target == text.strip()
    label = group_blocks([header]).blocks[0].label
    for name in (label, safe_target(text)):
        assert name == Path(name).name
        assert not set(name) & set("/\\:*?\"<>|%'; \0")
        assert ".." not in name
        assert not name.startswith((".", "-", "="))
        assert name
    assert safe_target(text).split(".")[0].upper() not in {"CON", "COM1"}


def test_a_ten_kilobyte_target_is_cut(tmp_path: Path) -> None:
    chain = b"".join(b"CONTINUE  '" + b"x" * 66 + b"&'".ljust(3) for _ in range(150))
    path = write_sub(tmp_path / "a.fit", OBJECT=None)
    raw = path.read_bytes()
    object_card = card("OBJECT", "y" * 60 + "&")
    path.write_bytes(raw[:2080] + object_card + chain + raw[2080:])
    try:
        header = read_frame_header(path)
    except FrameError as error:  # pragma: no cover - the reason helps when this test breaks
        pytest.fail(str(error))
    assert header.target.startswith("y" * 60 + "x")
    assert len(header.target) == 80
