"""What must hold is held by the database: each constraint is violated on purpose, on both kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, delete, insert, update
from sqlalchemy.exc import IntegrityError

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import (
    ApiKey,
    Base,
    Batch,
    BlockRow,
    FrameRow,
    Job,
    Lease,
    ObjectRow,
    Observer,
    StackInput,
    StackRow,
    Telescope,
    Upload,
    UploadItem,
)

NOW = datetime(2026, 3, 27, 20, 15, tzinfo=UTC)
SHAS = [f"{number:064x}" for number in range(6)]

#: One row of each table that is right; what refers to what is set up in this order.
ROWS: list[tuple[type[Base], dict[str, Any]]] = [
    (Observer, {"id": 1, "name": "ada", "created_utc": NOW}),
    (
        Telescope,
        {"id": 1, "observer_id": 1, "device": "S50_1", "model": "S50", "pseudonym": "S50-1"},
    ),
    (
        ApiKey,
        {
            "id": 1,
            "observer_id": 1,
            "name": "laptop",
            "prefix": "csk_",
            "digest": "d" * 64,
            "scopes": ["read"],
            "created_utc": NOW,
        },
    ),
    *(
        (
            ObjectRow,
            {"sha256": sha, "n_bytes": 9, "kind": "raw", "state": "stored", "touched_utc": NOW},
        )
        for sha in SHAS
    ),
    (
        Upload,
        {
            "id": "u",
            "observer_id": 1,
            "name": "a.fit",
            "length": 9,
            "created_utc": NOW,
            "expires_utc": NOW,
        },
    ),
    (
        BlockRow,
        {
            "id": 1,
            "observer_id": 1,
            "telescope_id": 1,
            "key": "k" * 64,
            "label": "label",
            "name": "",
            "tile": "",
            "target": "M 94",
            "filter": "LP",
            "exposure_s": 10.0,
            "binning": 1,
            "bayer": "GRBG",
            "nx": 1080,
            "ny": 1920,
            "start_utc": NOW,
        },
    ),
    (
        FrameRow,
        {
            "id": 1,
            "observer_id": 1,
            "sha256": SHAS[0],
            "n_bytes": 9,
            "name": "a.fit",
            "telescope_id": 1,
            "header": {},
            "target": "M 94",
            "start_utc": NOW,
            "accepted_utc": NOW,
            "state": "stacked",
            "block_id": 1,
        },
    ),
    (UploadItem, {"id": 1, "upload_id": "u", "name": "a.fit", "outcome": "accepted"}),
    (Batch, {"id": 1, "observer_id": 1, "title": "M 94", "created_utc": NOW}),
    (
        Job,
        {
            "id": 1,
            "observer_id": 1,
            "batch_id": 1,
            "block_id": 1,
            "state": "running",
            "n_frames": 1,
            "not_before_utc": NOW,
            "created_utc": NOW,
            "changed_utc": NOW,
        },
    ),
    (
        Lease,
        {"job_id": 1, "token": "t", "worker": "w", "taken_utc": NOW, "expires_utc": NOW},
    ),
    (
        StackRow,
        {
            "id": 1,
            "observer_id": 1,
            "block_id": 1,
            "telescope_id": 1,
            "sha256": SHAS[1],
            "preview_sha256": SHAS[2],
            "thumbnail_sha256": SHAS[3],
            "n_bytes": 9,
            "label": "label",
            "name": "",
            "target": "M 94",
            "model": "S50",
            "filter": "LP",
            "exposure_s": 10.0,
            "exposure_total_s": 10.0,
            "n_frames": 1,
            "n_used": 1,
            "n_rejected": 0,
            "start_utc": NOW,
            "end_utc": NOW + timedelta(seconds=10),
            "solved": False,
            "quality": {},
            "licence": "CC-BY-4.0",
            "credit": "",
            "created_utc": NOW,
        },
    ),
    (StackInput, {"stack_id": 1, "frame_id": 1, "used": True}),
]


@pytest.fixture
def filled(archive: Archive) -> Archive:
    """An archive with one right row of each table."""
    with archive.writing() as session:
        for model, values in ROWS:
            session.execute(insert(model).values(**values))
    return archive


def right(model: type[Base]) -> dict[str, Any]:
    return next(values for other, values in ROWS if other is model)


#: Constraint -> the table, and what is wrong with a change of its row.
CHECKS: dict[str, tuple[type[Base], dict[str, Any]]] = {
    "ck_observers_state": (Observer, {"state": "asleep"}),
    "ck_observers_visibility": (Observer, {"visibility": "friends"}),
    "ck_observers_embargo": (Observer, {"embargo_days": -1}),
    "ck_objects_state": (ObjectRow, {"state": "lost"}),
    "ck_objects_kind": (ObjectRow, {"kind": "flat"}),
    "ck_objects_n_bytes": (ObjectRow, {"n_bytes": -1}),
    "ck_uploads_state": (Upload, {"state": "paused"}),
    "ck_uploads_offset_in_length": (Upload, {"offset": 10}),
    "ck_uploads_refused_has_reason": (Upload, {"state": "refused"}),
    "ck_upload_items_outcome": (UploadItem, {"outcome": "lost"}),
    "ck_upload_items_refused_has_reason": (UploadItem, {"outcome": "refused"}),
    "ck_blocks_part": (BlockRow, {"part": 0}),
    "ck_frames_state": (FrameRow, {"state": "unknown"}),
    "ck_frames_rejected_has_reason": (FrameRow, {"state": "rejected"}),
    "ck_frames_stacked_in_block": (FrameRow, {"block_id": None}),
    "ck_jobs_state": (Job, {"state": "retry"}),
    "ck_jobs_failed_has_reason": (Job, {"state": "failed"}),
    "ck_jobs_progress": (Job, {"done_frames": 2}),
    "ck_jobs_attempts": (Job, {"attempts": -1}),
    "ck_stacks_counts": (StackRow, {"n_used": 0, "n_rejected": 1}),
    "ck_stacks_position": (StackRow, {"ra_deg": 10.0}),
    "ck_stacks_span": (StackRow, {"end_utc": NOW - timedelta(seconds=1)}),
    "ck_stack_inputs_unused_has_reason": (StackInput, {"used": False}),
}


def test_every_check_is_tested() -> None:
    named = {
        str(constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert named == set(CHECKS)


def test_every_check_holds(filled: Archive) -> None:
    for name, (model, wrong) in CHECKS.items():
        with pytest.raises(IntegrityError, match=name), filled.writing() as session:
            session.execute(update(model).values(**wrong))


#: A second row that must not be: what differs from the one that is there.
TWINS: dict[str, tuple[type[Base], dict[str, Any]]] = {
    "an observer's name": (Observer, {"id": 2}),
    "a device of an observer": (Telescope, {"id": 2}),
    "a key's digest": (ApiKey, {"id": 2, "name": "other"}),
    "the name of a key in use": (ApiKey, {"id": 2, "digest": "e" * 64}),
    "a part of a block": (BlockRow, {"id": 2}),
    "an observer's bytes": (FrameRow, {"id": 2}),
    "a live job of a block": (Job, {"id": 2, "state": "queued"}),
    "a lease of a job": (Lease, {"token": "other"}),
    "a stack of a block": (StackRow, {"id": 2}),
    "a frame in a stack": (StackInput, {}),
}


@pytest.mark.parametrize("case", TWINS)
def test_there_is_one(case: str, filled: Archive) -> None:
    model, change = TWINS[case]
    with pytest.raises(IntegrityError, match=r"(?i)unique"), filled.writing() as session:
        session.execute(insert(model).values(**(right(model) | change)))


def test_a_frame_is_in_one_stack(filled: Archive) -> None:
    with filled.writing() as session:
        session.execute(insert(BlockRow).values(**(right(BlockRow) | {"id": 2, "part": 2})))
        session.execute(insert(StackRow).values(**(right(StackRow) | {"id": 2, "block_id": 2})))
    with pytest.raises(IntegrityError, match=r"(?i)unique"), filled.writing() as session:
        session.execute(insert(StackInput).values(stack_id=2, frame_id=1, used=True))


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_block_may_have_ended_jobs_beside_the_live_one(state: str, filled: Archive) -> None:
    with filled.writing() as session:
        session.execute(
            insert(Job).values(**(right(Job) | {"id": 2, "state": state, "reason": "x"}))
        )


def test_the_name_of_a_revoked_key_is_free(filled: Archive) -> None:
    with filled.writing() as session:
        session.execute(update(ApiKey).values(revoked_utc=NOW))
        session.execute(insert(ApiKey).values(**(right(ApiKey) | {"id": 2, "digest": "e" * 64})))


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (FrameRow, {"sha256": "f" * 64}),
        (FrameRow, {"telescope_id": 99}),
        (StackRow, {"preview_sha256": "f" * 64}),
        (Job, {"block_id": 99}),
        (Job, {"observer_id": 99}),
    ],
)
def test_what_a_row_names_is_there(
    model: type[Base], change: dict[str, Any], filled: Archive
) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), filled.writing() as session:
        session.execute(update(model).values(**change))


def test_a_file_that_a_row_names_keeps_its_row(filled: Archive) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), filled.writing() as session:
        session.execute(delete(ObjectRow).where(ObjectRow.sha256 == SHAS[0]))


def test_a_job_takes_its_lease_along(filled: Archive) -> None:
    with filled.writing() as session:
        session.execute(delete(Job))
    with filled.reading() as session:
        assert session.query(Lease).count() == 0
