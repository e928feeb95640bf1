"""One quarter hour in which everything is mixed, and the places where the sky wraps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crowdsky.frames import TELESCOPES, FrameHeader, MountMode, find_frames, group_blocks
from crowdsky.frames import read_frame_header as read
from tests.frames.fits_files import make_header, write_sub

NAN = float("nan")


def series(prefix: str, n: int = 3, **changed: object) -> list[FrameHeader]:
    return [make_header(f"{prefix}{i}.fit", after_s=11.0 * i, **changed) for i in range(n)]


@pytest.mark.parametrize(
    "other",
    [
        {"filter": "LP"},
        {"exposure_s": 20.0},
        {"gain": 120.0},
        {"gain": NAN},
        {"telescope_id": "S50_ffffffff"},
        {"model": "S30"},
        {"binning": 2, "nx": 540, "ny": 960},
        {"bayer": "RGGB"},
        {"ra_deg": 194.0},
        {"dec_deg": 40.0},
    ],
    ids=str,
)
def test_what_differs_is_stacked_separately(other: dict[str, object]) -> None:
    one, two = series("one"), series("two", **other)
    mixed = [header for pair in zip(one, two, strict=True) for header in pair]
    grouping = group_blocks(mixed, digest=str)
    assert not grouping.skipped
    members = sorted(sorted(h.path.name for h in b.headers) for b in grouping.blocks)
    assert members == [[f"{p}{i}.fit" for i in range(3)] for p in ("one", "two")]
    labels = [block.label for block in grouping.blocks]
    assert len(set(labels)) == 2


def test_a_great_mixture_parts_into_every_combination() -> None:
    mixed = [
        make_header(f"{f}{e}{m}{g}{i}.fit", after_s=i, filter=f, exposure_s=e, model=m, gain=g)
        for f in ("LP", "IRCUT")
        for e in (10.0, 20.0)
        for m in TELESCOPES
        for g in (80.0, 120.0)
        for i in range(2)
    ]
    blocks = group_blocks(mixed, digest=str).blocks
    assert len(blocks) == 2 * 2 * 3 * 2
    assert all(len(block.headers) == 2 for block in blocks)
    assert len({block.label for block in blocks}) == len(blocks)


def test_owners_are_grouped_apart() -> None:
    ann = group_blocks(series("a"), owner="ann").blocks
    bob = group_blocks(series("b"), owner="bob").blocks
    assert [b.owner for b in ann + bob] == ["ann", "bob"]


def test_field_rotation_and_mount_do_not_part_frames() -> None:
    # The orientation of the field is in no card; registration undoes it.
    frames = series("a") + series("b", mount=MountMode.ALTAZ) + series("c", ccd_temp_c=3.0)
    frames = [
        replace(h, start_utc=h.start_utc.replace(microsecond=i)) for i, h in enumerate(frames)
    ]
    assert len(group_blocks(frames).blocks) == 1


def test_frames_without_a_gain_belong_together() -> None:
    # Two NaN are not equal, and only the very same object passes for equal inside a tuple.
    frames = [make_header(f"{i}.fit", after_s=i, gain=float("nan")) for i in range(3)]
    assert len(group_blocks(frames).blocks) == 1


def test_on_board_stacks_are_not_stacked_again() -> None:
    stacks = series("s", n_planes=3, n_stacked=20)
    grouping = group_blocks(series("a") + stacks)
    assert [len(block.headers) for block in grouping.blocks] == [3]
    assert [item.reason for item in grouping.skipped] == ["an on-board stack, not a raw sub"] * 3


# --- wraps ----------------------------------------------------------------------------------------


def test_frames_on_both_sides_of_ra_zero_are_one_block_at_zero() -> None:
    # 2000-01-01 is outside the years of a Seestar, so the mean equinox of date is close to J2000.
    start = datetime(2020, 1, 1, 0, 1, tzinfo=UTC)
    frames = [
        make_header(f"{i}.fit", after_s=i, ra_deg=ra, dec_deg=10.0, start=start)
        for i, ra in enumerate([359.9, 0.1, 359.9, 0.1])
    ]
    (block,) = group_blocks(frames).blocks
    # Precession of twenty years moves right ascension by a quarter of a degree here.
    assert block.ra_deg == pytest.approx(359.743, abs=0.01)
    assert block.dec_deg == pytest.approx(9.889, abs=0.01)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_frames_around_a_pole_are_one_block_at_the_pole(sign: float) -> None:
    frames = [
        make_header(f"{i}.fit", after_s=i, ra_deg=90.0 * i, dec_deg=sign * 89.9) for i in range(4)
    ]
    (block,) = group_blocks(frames).blocks
    assert abs(block.dec_deg) == pytest.approx(89.86, abs=0.01)  # the pole of date, in ICRS
    assert block.tile.startswith("20250327.05_HP")
    assert (block.tile == "20250327.05_HP000000") <= (sign > 0)


@pytest.mark.parametrize("dec_deg", [90.0, -90.0, 0.0, -30.0, 41.8103148957])
def test_every_exact_edge_has_one_tile(dec_deg: float) -> None:
    frames = [make_header(f"{i}.fit", after_s=i, ra_deg=0.0, dec_deg=dec_deg) for i in range(3)]
    (block,) = group_blocks(frames).blocks
    assert 0 <= int(block.tile[-6:]) < 12 * 128**2


def test_a_frame_that_ends_after_midnight_belongs_to_the_day_it_began_in() -> None:
    last = datetime(2025, 3, 26, 23, 59, 59, 900_000, UTC)
    first = datetime(2025, 3, 27, 0, 0, 0, 0, UTC)
    frames = [make_header("a.fit", start=last), make_header("b.fit", start=first)]
    early, late = group_blocks(frames).blocks
    assert early.name.startswith("20250326.95_")
    assert early.chunk == 95
    assert late.name.startswith("20250327.00_")
    assert (late.start_utc, late.chunk) == (first, 0)


def test_the_same_files_twice_count_once(tmp_path: Path) -> None:
    for i in range(3):
        time = f"2025-03-27T01:20:{10 + i}.5"
        write_sub(tmp_path / "one" / f"{i}.fit", DATE_OBS=time)
        write_sub(tmp_path / "two" / f"copy {i}.fit", DATE_OBS=time)
    found = find_frames([tmp_path, tmp_path / "one"])
    assert len(found.frames) == 6
    grouping = group_blocks(map(read, found.frames))
    assert [len(block.headers) for block in grouping.blocks] == [3]
    assert [item.file.parent.name for item in grouping.skipped] == ["two"] * 3
    assert grouping.skipped[0].reason == f"duplicate of {tmp_path / 'one' / '0.fit'}"


def test_one_changed_pixel_makes_another_frame_that_is_flagged(tmp_path: Path) -> None:
    one = write_sub(tmp_path / "1.fit")
    two = tmp_path / "2.fit"
    content = bytearray(one.read_bytes())
    content[-1000] ^= 1
    two.write_bytes(content)
    grouping = group_blocks(map(read, [two, one]))
    assert [len(block.headers) for block in grouping.blocks] == [2]
    assert [(f.file.name, f.reason) for f in grouping.flagged] == [
        ("2.fit", f"same start as {one}, other content")
    ]
