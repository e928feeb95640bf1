"""Frames into 15-minute blocks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from crowdsky.frames import group_blocks, read_frame_header
from tests.frames.fits_files import make_header

ARCSEC = 1.0 / 3600.0


def test_a_dither_across_the_edge_of_a_name_stays_one_block() -> None:
    frames = [
        make_header(f"{i}.fit", after_s=11.0 * i, dec_deg=41.0 + (i % 2) * 90 * ARCSEC)
        for i in range(32)
    ]
    (block,) = group_blocks(frames).blocks
    assert len(block.headers) == 32
    assert (block.start_utc.hour, block.start_utc.minute, block.chunk) == (1, 15, 5)
    assert block.name.startswith("20250327.05_")
    assert block.tile.startswith("20250327.05_HP")


def test_a_session_is_cut_at_quarter_hours_of_utc() -> None:
    frames = [make_header(f"{i:03}.fit", after_s=60.0 * i) for i in range(40)]
    blocks = group_blocks(frames).blocks
    assert [(block.chunk, len(block.headers)) for block in blocks] == [(5, 10), (6, 15), (7, 15)]
    for block in blocks:
        for header in block.headers:
            assert 0.0 <= (header.start_utc - block.start_utc).total_seconds() < 900.0


def test_targets_that_alternate_are_parted_by_position() -> None:
    frames = [
        make_header(f"{i}.fit", after_s=11.0 * i, ra_deg=193.0 + 5 * (i % 2), target="")
        for i in range(8)
    ]
    blocks = group_blocks(frames).blocks
    assert [len(block.headers) for block in blocks] == [4, 4]
    assert blocks[0].name != blocks[1].name


def test_another_night_never_changes_the_blocks_of_this_one() -> None:
    # In one session with last night's frames, 0.3 degrees to the south, these would be parted.
    tonight = [
        make_header(f"t{i}.fit", after_s=11.0 * i, dec_deg=41.0 + 0.3 * (i % 2)) for i in range(6)
    ]
    before = [make_header(f"b{i}.fit", after_s=11.0 * i - 86400.0, dec_deg=40.7) for i in range(50)]
    alone = group_blocks(tonight).blocks
    both = group_blocks(before + tonight).blocks
    assert len(alone) == 1
    assert both[1:] == alone


def test_frames_without_a_position_join_their_target_if_it_is_near_in_time() -> None:
    here = [make_header(f"a{i}.fit", after_s=11.0 * i) for i in range(3)]
    lost = make_header("lost.fit", after_s=40.0, ra_deg=None)
    (block,) = group_blocks([*here, lost]).blocks
    assert lost in block.headers
    assert (block.ra_deg, block.name) == (group_blocks(here).blocks[0].ra_deg, block.name)

    other = make_header("other.fit", after_s=41.0, ra_deg=None, target="M 63")
    late = make_header("late.fit", after_s=3000.0, ra_deg=None)
    blocks = group_blocks([*here, other, late]).blocks
    assert [len(block.headers) for block in blocks] == [3, 1, 1]
    for block in blocks[1:]:
        assert not block.has_position
        assert (block.name, block.tile) == ("", "")
        assert math.isnan(block.ra_deg)
    assert {block.label.split("_S50")[0] for block in blocks[1:]} == {
        "20250327.05_M_63",
        "20250327.08_M_94",
    }


def test_a_chunk_of_frames_without_a_position_inherits_that_of_its_place() -> None:
    here = make_header("a.fit", after_s=560.0)  # 01:29:52
    lost = make_header("b.fit", after_s=570.0, ra_deg=None)  # 01:30:02, the next chunk
    first, second = group_blocks([here, lost]).blocks
    assert second.headers == (lost,)
    assert (second.ra_deg, second.dec_deg) == (first.ra_deg, first.dec_deg)


def test_the_commonest_target_names_a_block() -> None:
    names = ["M 94", "", "M 94", "NGC 4736", ""]
    frames = [make_header(f"{i}.fit", after_s=i, target=name) for i, name in enumerate(names)]
    assert group_blocks(frames).blocks[0].target == ""
    assert group_blocks(frames[:4]).blocks[0].target == "M 94"


def test_labels_are_unique_even_for_neighbours() -> None:
    frames = [
        make_header("a.fit", after_s=0.0, dec_deg=41.0, nx=800),
        make_header("b.fit", after_s=1.0, dec_deg=41.0, nx=900),
    ]
    labels = [block.label for block in group_blocks(frames).blocks]
    assert len(set(labels)) == 2


def test_a_vanished_file_is_skipped_only_where_it_had_to_be_compared(tmp_path: Path) -> None:
    twins = [make_header(str(tmp_path / name)) for name in ("a.fit", "b.fit")]
    alone = make_header(str(tmp_path / "c.fit"), after_s=11.0)
    grouping = group_blocks([*twins, alone])
    assert [len(block.headers) for block in grouping.blocks] == [1]
    assert len(grouping.skipped) == 2
    assert all("cannot be opened" in item.reason for item in grouping.skipped)


def test_copies_are_told_by_content_and_size() -> None:
    contents = {"a.fit": "1", "b.fit": "1", "c.fit": "2"}
    frames = [make_header(name) for name in contents]
    frames.append(make_header("d.fit", file_bytes=99))  # unlike the others: never read
    grouping = group_blocks(frames, digest=lambda path: contents[path.name])
    assert [str(item.file) for item in grouping.skipped] == ["b.fit"]
    assert grouping.skipped[0].reason == "duplicate of a.fit"
    assert [str(item.file) for item in grouping.flagged] == ["c.fit", "d.fit"]
    assert len(grouping.blocks[0].headers) == 3


def test_nothing_gives_nothing() -> None:
    grouping = group_blocks([])
    assert (grouping.blocks, grouping.skipped, grouping.flagged) == ([], [], [])


@pytest.mark.real
def test_the_real_sessions_are_one_block_each(real_frames: list[Path]) -> None:
    headers = [read_frame_header(path) for path in real_frames]
    grouping = group_blocks(headers)
    assert not grouping.skipped
    assert not grouping.flagged
    blocks = {block.target: block for block in grouping.blocks}
    assert {target: len(block.headers) for target, block in blocks.items()} == {
        "M 94": 32,
        "NGC 7023": 4,
    }
    m94 = blocks["M 94"]
    # Its cards straddle an edge of the tenth-degree names; one name must come out of it.
    names = {group_blocks([header]).blocks[0].name for header in m94.headers}
    assert len(names) > 1
    assert m94.name in names
    assert (m94.chunk, m94.telescope_id) == (5, "S50_1d3fe189")
