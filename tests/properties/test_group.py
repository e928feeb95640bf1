"""Grouping: nothing is lost, nothing is counted twice, and order does not matter."""

from __future__ import annotations

import math
import random
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from crowdsky.frames import FrameHeader, group_blocks
from crowdsky.frames.sphere import angle_deg, direction
from tests.frames.fits_files import make_header

# A few places, so that frames do meet: a dither, a step, RA 0, both poles, and no place at all.
PLACES = [(193.0, 41.0), (193.0, 41.03), (0.05, 10.0), (359.95, 10.0), (80.0, 90.0), (10.0, -89.9)]


@st.composite
def piles(draw: st.DrawFn) -> list[FrameHeader]:
    headers = []
    for number in range(draw(st.integers(0, 40))):
        place = draw(st.sampled_from([*PLACES, None]))
        headers.append(
            make_header(
                f"{number:02}.fit",
                after_s=draw(st.integers(0, 4000)) * draw(st.sampled_from([0.5, 10.0])),
                ra_deg=place and place[0] + draw(st.floats(-0.01, 0.01)),
                dec_deg=place[1] * draw(st.floats(0.9999, 1.0)) if place else 0.0,
                filter=draw(st.sampled_from(["LP", "IRCUT"])),
                gain=draw(st.sampled_from([80.0, math.nan])),
                target=draw(st.sampled_from(["M 94", ""])),
                n_stacked=draw(st.sampled_from([1, 1, 1, 5])),
            )
        )
    return headers


def content(path: object) -> str:
    """Every third file holds the same."""
    return str(int(str(path)[:2]) % 3)


@given(piles(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_every_frame_is_in_one_block_or_skipped_once(
    headers: list[FrameHeader], shuffler: random.Random
) -> None:
    grouping = group_blocks(headers, digest=content)
    placed = [header.path for block in grouping.blocks for header in block.headers]
    skipped = [item.file for item in grouping.skipped]
    assert sorted(placed + skipped) == sorted(header.path for header in headers)
    assert {item.file for item in grouping.flagged} <= set(placed)
    assert all(item.reason for item in grouping.skipped)

    again = list(headers)
    shuffler.shuffle(again)
    # Compared by their text, because an absent gain is NaN and equals nothing.
    assert repr(group_blocks(again, digest=content)) == repr(grouping)


@given(piles())
@settings(max_examples=60, deadline=None)
def test_blocks_keep_their_promises(headers: list[FrameHeader]) -> None:
    blocks = group_blocks(headers, digest=str).blocks
    assert len({block.label.lower() for block in blocks}) == len(blocks)
    for block in blocks:
        assert block.headers
        assert 0 <= block.chunk <= 95
        assert block.start_utc.timestamp() % 900 == 0
        assert (block.name == "") == (block.tile == "") == (not block.has_position)
        centre = direction(block.ra_deg, block.dec_deg)
        for header in block.headers:
            assert header.filter == block.filter
            assert repr(header.gain) == repr(block.gain)
            assert timedelta(0) <= header.start_utc - block.start_utc < timedelta(minutes=15)
            if header.pointing is not None:
                pointed = direction(*header.pointing.icrs_of_date())
                # Each was within the radius of a running centre, so all are within two.
                assert angle_deg(centre, pointed) < 0.7
