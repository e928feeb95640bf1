"""Headers survive being kept, and no way of sending and finalising a night loses a frame."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.books import books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.finalise import create_jobs, preview_blocks
from crowdsky.archive.models import BlockRow, FrameRow, Job
from crowdsky.archive.plain_header import header_from_plain, header_to_plain
from crowdsky.frames.frame_header import FrameHeader, MountMode
from crowdsky.frames.pointing import Pointing
from crowdsky.frames.telescopes import TELESCOPES, UNKNOWN_TELESCOPE
from tests.archive.sent_frames import Sender, end_job, make_header

# What the cards of a header can hold: printable ASCII and finite numbers.
TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=64)
OR_NAN = st.one_of(st.just(math.nan), NUMBER)
COUNT = st.integers(0, 2**40)
TIME = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2059, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))]),
)
MODELS = st.one_of(
    st.sampled_from([*TELESCOPES.values(), UNKNOWN_TELESCOPE]),
    st.builds(
        lambda focal, scale: replace(
            UNKNOWN_TELESCOPE, focal_length_mm=focal, scale_arcsec_per_px=scale
        ),
        NUMBER,
        OR_NAN,
    ),
    # A model whose figures were others than they are now.
    st.just(replace(TELESCOPES["S50"], scale_arcsec_per_px=2.3)),
)
HEADERS = st.builds(
    FrameHeader,
    path=st.just(Path("a.fit")),
    nx=COUNT,
    ny=COUNT,
    n_planes=COUNT,
    bitpix=st.integers(-64, 64),
    bzero=NUMBER,
    bscale=NUMBER,
    data_offset=COUNT,
    file_bytes=COUNT,
    telescope=MODELS,
    telescope_id=TEXT,
    firmware=TEXT,
    filter=TEXT,
    exposure_s=NUMBER,
    gain=OR_NAN,
    binning=COUNT,
    bayer=TEXT,
    start_utc=TIME,
    target=TEXT,
    mount=st.sampled_from(MountMode),
    n_stacked=COUNT,
    pointing=st.none() | st.builds(Pointing, NUMBER, NUMBER, TIME),
    site_lat_deg=OR_NAN,
    site_lon_deg=OR_NAN,
    ccd_temp_c=OR_NAN,
    notes=st.lists(TEXT, max_size=3).map(tuple),
)


def told(value: Any) -> Any:
    """A value such that NaN equals NaN, and an integer is not a float."""
    if isinstance(value, float):
        return repr(value)
    if hasattr(value, "__dataclass_fields__"):
        return [told(getattr(value, item.name)) for item in fields(value)]
    return value


@given(HEADERS)
def test_a_header_survives_json(header: FrameHeader) -> None:
    plain = json.loads(json.dumps(header_to_plain(header), allow_nan=False))
    again = header_from_plain(plain, header.path)
    assert told(again) == told(header)


def test_every_field_is_kept() -> None:
    kept = set(header_to_plain(make_header()))
    assert kept == {item.name for item in fields(FrameHeader)} - {"path"}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(header=HEADERS)
def test_a_header_survives_a_database(header: FrameHeader, archive: Archive) -> None:
    # What PostgreSQL's numbers do not tell: -0.0 from 0.0.
    kept = header_to_plain(header)
    with archive.writing() as session:
        stored = session.scalars(
            select(_literal(kept, session.get_bind().dialect.name == "postgresql"))
        ).one()
    again = header_from_plain(stored, header.path)
    for item in fields(FrameHeader):
        one, other = getattr(header, item.name), getattr(again, item.name)
        assert one == other or told(one) == told(other), item.name


def _literal(value: dict[str, Any], is_postgresql: bool) -> Any:
    from sqlalchemy import literal
    from sqlalchemy.dialects.postgresql import JSONB

    return literal(value, JSONB() if is_postgresql else FrameRow.header.type)


NIGHT = st.lists(
    st.tuples(
        st.sampled_from(range(0, 2700, 10)),  # three quarter hours
        st.sampled_from([192.7, 192.75, 193.05, 200.0, None]),  # one place, two edges, another
        st.sampled_from(["IRCUT", "LP"]),
        st.sampled_from(["S50_1", "S50_2"]),
        st.sampled_from([1, 1, 1, 40]),  # some are on-board stacks
        # What comes behind it: more, a finalise, and what the jobs then come to.
        st.sampled_from(["", "", "", "finalise", "done", "failed", "running", "broken"]),
    ),
    min_size=1,
    max_size=14,
)
_names = itertools.count(1)


def _end(archive: Archive, observer_id: int, state: str) -> None:
    with archive.reading() as session:
        waiting = list(
            session.scalars(
                select(Job.id).where(Job.observer_id == observer_id, Job.state == "queued")
            )
        )
    for job_id in waiting:
        if state == "broken":
            with archive.writing() as session:
                job = session.get_one(Job, job_id)
                job.state, job.reason = "failed", "the worker died"
            continue
        with archive.reading() as session:
            block_id = session.get_one(Job, job_id).block_id
            again = session.scalar(
                select(Job.id).where(Job.block_id == block_id, Job.state == "done")
            )
        # The commit of a second stack of a block is another part's matter.
        if not again:
            end_job(archive, job_id, state)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(night=NIGHT)
def test_every_frame_is_in_one_block_or_has_a_reason(
    night: list[Any], archive: Archive, tmp_path: Path
) -> None:
    sender = Sender(archive, tmp_path)
    ada = ensure_observer(archive, f"ada {next(_names)}")
    bob = ensure_observer(archive, f"bob {next(_names)}")
    sender.send(bob, make_header(), f"{bob}")
    for number, (after_s, ra_deg, filter_, device, n_stacked, then) in enumerate(night):
        header = make_header(
            after_s, ra_deg=ra_deg, filter=filter_, device=device, n_stacked=n_stacked
        )
        # Every other one is sent twice.
        for _ in range(1 + number % 2):
            sender.send(ada, header, f"{ada} {number}")
        if then:
            previewed = sum(preview.n_frames for preview in preview_blocks(archive, ada))
            done = create_jobs(archive, ada)
            assert done.n_frames == previewed
        if then not in ("", "finalise"):
            _end(archive, ada, then)
        assert check_books(archive) == []
    create_jobs(archive, ada)
    assert create_jobs(archive, ada).n_frames == 0
    assert check_books(archive) == []
    counted = books(archive, ada)
    assert counted.balances
    assert counted.accepted == len(night)
    with archive.reading() as session:
        frames = session.scalars(select(FrameRow).where(FrameRow.observer_id == ada)).all()
        blocks = {
            block.id: block
            for block in session.scalars(select(BlockRow).where(BlockRow.observer_id == ada))
        }
    for frame in frames:
        if frame.header["n_stacked"] != 1:
            assert (frame.state, frame.block_id) == ("rejected", None)
            assert frame.reason == "an on-board stack, not a raw sub"
            continue
        block = blocks[frame.block_id]
        assert block.filter == frame.header["filter"]
        assert block.telescope_id == frame.telescope_id
        age_s = (frame.start_utc - block.start_utc).total_seconds()
        assert 0.0 <= age_s < 900.0
    labels = Counter(block.label.lower() for block in blocks.values())
    assert set(labels.values()) <= {1}
