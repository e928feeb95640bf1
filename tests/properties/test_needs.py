"""The rule of what is needed, against the same rule in plain words of Python."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import (
    Batch,
    BlockRow,
    Download,
    FrameRow,
    Job,
    ObjectRow,
    Observer,
    StackRow,
    Telescope,
)
from crowdsky.archive.needs import needed, unneeded

NOW = datetime(2026, 3, 27, 20, 15, tzinfo=UTC)
N_OBJECTS = 4
AGES_DAYS = st.sampled_from([0.5, 5.0, 9.0, 400.0])
OBJECTS = st.integers(0, N_OBJECTS - 1)


@dataclass(frozen=True)
class AnyFrame:
    raw: int
    state: str
    gone: bool
    age_days: float


@dataclass(frozen=True)
class AnyBlock:
    """A block with its frames; ``ended``: days since its finished jobs ended."""

    live: str | None
    ended: list[float]
    stack: tuple[int, int, int, float] | None
    frames: list[AnyFrame] = field(default_factory=list)


frames = st.builds(
    AnyFrame,
    raw=OBJECTS,
    state=st.sampled_from(["pending", "rejected"]),
    gone=st.booleans(),
    age_days=AGES_DAYS,
)
blocks = st.builds(
    AnyBlock,
    live=st.none() | st.sampled_from(["queued", "running"]),
    ended=st.lists(AGES_DAYS, max_size=2),
    stack=st.none() | st.tuples(OBJECTS, OBJECTS, OBJECTS, AGES_DAYS),
    frames=st.lists(frames, max_size=3, unique_by=lambda frame: frame.raw),
)
downloads = st.lists(st.tuples(OBJECTS, st.sampled_from([-1.0, 1.0])), max_size=2)


def expected(
    block: AnyBlock, loose: list[AnyFrame], held: list[tuple[int, float]], keep_days: float
) -> set[int]:
    """What is needed."""
    wanted: set[int] = set()
    for home, frame in [(block, frame) for frame in block.frames] + [
        (AnyBlock(None, [], None), frame) for frame in loose
    ]:
        ages = [frame.age_days, *home.ended, *([home.stack[3]] if home.stack else [])]
        if not frame.gone and (frame.state == "pending" or home.live or min(ages) < keep_days):
            wanted.add(frame.raw)
    if block.stack:
        wanted.update(block.stack[:3])
    wanted.update(number for number, days in held if days > 0)
    return wanted


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    block=blocks,
    loose=st.lists(frames, max_size=2, unique_by=lambda frame: frame.raw),
    held=downloads,
    keep_days=st.sampled_from([0.0, 7.0]),
)
def test_the_rule(
    archive: Archive,
    block: AnyBlock,
    loose: list[AnyFrame],
    held: list[tuple[int, float]],
    keep_days: float,
) -> None:
    with archive.reading() as session:
        write(session, block, loose, held)
        names = [name(number) for number in range(N_OBJECTS)]
        want = expected(block, loose, held, keep_days)
        free = unneeded(session, names, keep_raws_days=keep_days, now=NOW)
        assert free == {name(number) for number in range(N_OBJECTS) if number not in want}
        for number in range(N_OBJECTS):
            answer = needed(session, name(number), keep_raws_days=keep_days, now=NOW)
            assert answer == (number in want)
        session.rollback()


def name(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def write(
    session: Session, block: AnyBlock, loose: list[AnyFrame], held: list[tuple[int, float]]
) -> None:
    """Rows of all that; loose frames are another observer's."""
    for number in range(N_OBJECTS):
        session.add(
            ObjectRow(sha256=name(number), n_bytes=1, kind="stack", state="stored", touched_utc=NOW)
        )
    people = [Observer(name=os.urandom(6).hex(), created_utc=NOW) for _ in range(2)]
    session.add_all(people)
    session.flush()
    telescopes = [
        Telescope(observer_id=person.id, device="d", model="S50", pseudonym="p")
        for person in people
    ]
    batch = Batch(observer_id=people[0].id, title="", created_utc=NOW)
    session.add_all([*telescopes, batch])
    session.flush()
    facts = {"label": "l", "name": "", "target": "M 94", "filter": "IRCUT", "exposure_s": 10.0}
    row = BlockRow(
        observer_id=people[0].id,
        telescope_id=telescopes[0].id,
        key="key",
        tile="",
        binning=1,
        bayer="GRBG",
        nx=1,
        ny=1,
        start_utc=NOW,
        **facts,
    )
    session.add(row)
    session.flush()
    for person, telescope, home, found in (
        (people[0], telescopes[0], row.id, block.frames),
        (people[1], telescopes[1], None, loose),
    ):
        for frame in found:
            session.add(
                FrameRow(
                    observer_id=person.id,
                    telescope_id=telescope.id,
                    sha256=name(frame.raw),
                    n_bytes=1,
                    name="",
                    header={},
                    target="",
                    start_utc=NOW,
                    accepted_utc=ago(frame.age_days),
                    state=frame.state,
                    reason="clouds" if frame.state == "rejected" else "",
                    block_id=home,
                    raw_gone=frame.gone,
                )
            )
    jobs = [(block.live, None)] if block.live else []
    for state, days in [*jobs, *(("done", days) for days in block.ended)]:
        session.add(
            Job(
                observer_id=people[0].id,
                batch_id=batch.id,
                block_id=row.id,
                state=state,
                n_frames=1,
                not_before_utc=NOW,
                created_utc=NOW,
                changed_utc=NOW,
                finished_utc=None if days is None else ago(days),
            )
        )
    if block.stack is not None:
        file, preview, thumbnail, days = block.stack
        session.add(
            StackRow(
                observer_id=people[0].id,
                block_id=row.id,
                telescope_id=telescopes[0].id,
                sha256=name(file),
                preview_sha256=name(preview),
                thumbnail_sha256=name(thumbnail),
                n_bytes=1,
                model="S50",
                exposure_total_s=10.0,
                n_frames=1,
                n_used=1,
                n_rejected=0,
                start_utc=NOW,
                end_utc=NOW,
                solved=False,
                quality={},
                licence="",
                credit="",
                created_utc=ago(days),
                **facts,
            )
        )
    for number, days in held:
        session.add(
            Download(
                id=os.urandom(8).hex(),
                observer_id=people[1].id,
                title="",
                entries=[["x.fit", {"sha256": name(number)}]],
                n_bytes=1,
                created_utc=NOW,
                expires_utc=NOW + timedelta(days=days),
            )
        )
    session.flush()
