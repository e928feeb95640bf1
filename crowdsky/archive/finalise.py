"""From frames to jobs: "create stacking jobs".

Frames are grouped outside of the transaction that writes, because that takes a second or two for a
long night, and the transaction makes sure that they are still free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crowdsky.archive.audit import note
from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.fate import NEW_PART, Fate, fate_of, try_again
from crowdsky.archive.grouping import Group, Groups, group_pending, match_blocks, pending_frames
from crowdsky.archive.models import Batch, BlockRow, FrameRow, Job, Observer
from crowdsky.archive.texts import storable
from crowdsky.archive.turn import take_turn
from crowdsky.errors import Conflict, NotFound
from crowdsky.steps import reached

__all__ = ["BlockPreview", "Finalised", "create_jobs", "preview_blocks"]

_TRIES = 5
_MAX_LABEL = 160


@dataclass(frozen=True, slots=True)
class BlockPreview:
    """A block that finalising would make, or add to.

    Attributes
    ----------
    label, name, tile : str
        File stem; tenth-degree and HEALPix names, empty where the position is not known.
    target, telescope, filter : str
        ``telescope`` is the model.
    exposure_s : float
    n_frames : int
        Frames that are in no block yet.
    n_there : int
        Frames that the block has already.
    start_utc : datetime
        Of the quarter hour.
    ra_deg, dec_deg : float or None
    """

    label: str
    name: str
    tile: str
    target: str
    telescope: str
    filter: str
    exposure_s: float
    n_frames: int
    n_there: int
    start_utc: datetime
    ra_deg: float | None
    dec_deg: float | None


@dataclass(frozen=True, slots=True)
class Finalised:
    """What finalising did.

    Attributes
    ----------
    batch_id : int or None
        None where no new job was needed.
    job_ids : tuple of int
        Jobs that have the frames now: new ones, and waiting ones that they joined.
    n_frames, n_rejected : int
        Frames that went into jobs; frames that no stack is made of.
    """

    batch_id: int | None
    job_ids: tuple[int, ...]
    n_frames: int
    n_rejected: int


def preview_blocks(archive: Archive, observer_id: int) -> list[BlockPreview]:
    """What `create_jobs` would make now; nothing is changed.

    Parameters
    ----------
    archive : Archive
    observer_id : int

    Returns
    -------
    list of BlockPreview
        By time.
    """
    with archive.reading() as session:
        groups = group_pending(pending_frames(session, observer_id)).groups
        matched = match_blocks(session, observer_id, groups)
        previews = []
        for number, group in enumerate(groups):
            parts = matched.get(number)
            fate = fate_of(session, parts[-1]) if parts else NEW_PART
            previews.append(_preview(group, fate))
    return previews


def create_jobs(
    archive: Archive, observer_id: int, *, title: str | None = None, now: datetime | None = None
) -> Finalised:
    """Make stacking jobs of all frames of an observer that are in no block.

    Called twice, also at once, it makes them once.

    Parameters
    ----------
    archive : Archive
    observer_id : int
    title : str, optional
        Of the batch; its targets when omitted.
    now : datetime, optional

    Returns
    -------
    Finalised

    Raises
    ------
    NotFound
    Conflict
        If the account is not active, or frames keep changing under the call.
    """
    for _ in range(_TRIES):
        with archive.reading() as session:
            groups = group_pending(pending_frames(session, observer_id))
        reached("finalise.grouped")
        with archive.writing() as session:
            take_turn(session, observer_id)
            observer = session.get(Observer, observer_id)
            if observer is None:
                raise NotFound("no such observer", value=observer_id)
            if observer.state != "active":
                raise Conflict("the account is not active", value=observer.state)
            if not groups.frame_ids:
                return Finalised(None, (), 0, 0)
            if not _still_free(session, observer_id, groups):
                continue
            done = _write(session, observer, groups, title, now or database_now(session))
            reached("finalise.written")
        reached("finalise.committed")
        return done
    raise Conflict("the frames keep changing; try again", value=observer_id)


def _still_free(session: Session, observer_id: int, groups: Groups) -> bool:
    """Whether none of the frames was deleted or put into a block meanwhile."""
    free = session.scalars(
        select(FrameRow.id).where(
            FrameRow.observer_id == observer_id,
            FrameRow.state == "pending",
            FrameRow.block_id.is_(None),
            FrameRow.raw_gone.is_(False),
        )
    )
    return groups.frame_ids <= set(free)


def _write(
    session: Session, observer: Observer, groups: Groups, title: str | None, now: datetime
) -> Finalised:
    matched = match_blocks(session, observer.id, groups.groups)
    labels = _labels_of(session, observer.id, groups.groups)
    batch: Batch | None = None
    jobs: list[Job] = []
    homes: list[tuple[BlockRow, Group]] = []
    for number, group in enumerate(groups.groups):
        parts = matched.get(number, [])
        fate = fate_of(session, parts[-1], lock=True) if parts else NEW_PART
        if fate.joins is not None:
            fate.joins.n_frames += len(group.frame_ids)
            fate.joins.changed_utc = now
            jobs.append(fate.joins)
            homes.append((parts[-1], group))
            continue
        block = (
            parts[-1] if fate.restacks else _new_block(session, observer.id, group, parts, labels)
        )
        if batch is None:
            batch = Batch(
                observer_id=observer.id,
                title=storable(title or _title(groups), 200),
                created_utc=now,
            )
            session.add(batch)
            session.flush()
        if fate.restacks:
            try_again(session, block)
        job = Job(
            observer_id=observer.id,
            batch_id=batch.id,
            block_id=block.id,
            n_frames=len(group.frame_ids) + fate.n_there,
            not_before_utc=now,
            created_utc=now,
            changed_utc=now,
        )
        jobs.append(job)
        session.add(job)
        homes.append((block, group))
    session.flush()
    moves = [
        {"id": frame_id, "block_id": block.id}
        for block, group in homes
        for frame_id in group.frame_ids
    ]
    if moves:
        session.execute(update(FrameRow), moves)
    if groups.rejected:
        session.execute(
            update(FrameRow),
            [
                {"id": frame_id, "state": "rejected", "reason": reason}
                for frame_id, reason in groups.rejected.items()
            ],
        )
    done = Finalised(
        batch_id=None if batch is None else batch.id,
        job_ids=tuple(job.id for job in jobs),
        n_frames=len(moves),
        n_rejected=len(groups.rejected),
    )
    note(
        session,
        observer.name,
        "finalise",
        f"batch:{done.batch_id}",
        now=now,
        n_jobs=len(done.job_ids),
        n_frames=done.n_frames,
        n_rejected=done.n_rejected,
    )
    return done


def _new_block(
    session: Session,
    observer_id: int,
    group: Group,
    parts: Sequence[BlockRow],
    labels: set[str],
) -> BlockRow:
    block = group.block
    key = parts[-1].key if parts else group.new_key()
    part = 1 + max(
        session.scalars(
            select(BlockRow.part).where(BlockRow.observer_id == observer_id, BlockRow.key == key)
        ),
        default=0,
    )
    label = _unused(block.label, labels)
    labels.add(label.lower())
    row = BlockRow(
        observer_id=observer_id,
        telescope_id=group.telescope_id,
        key=key,
        part=part,
        label=label,
        name=block.name,
        tile=block.tile,
        target=block.target,
        filter=block.filter,
        exposure_s=block.exposure_s,
        gain=block.gain if block.gain == block.gain else None,  # NaN
        binning=block.binning,
        bayer=block.bayer,
        nx=block.geometry[0],
        ny=block.geometry[1],
        start_utc=block.start_utc,
        ra_deg=block.ra_deg if block.has_position else None,
        dec_deg=block.dec_deg if block.has_position else None,
    )
    session.add(row)
    session.flush()
    return row


def _labels_of(session: Session, observer_id: int, groups: Sequence[Group]) -> set[str]:
    """Labels that the observer's blocks of the same quarter hours have, in lower case."""
    starts = sorted({group.block.start_utc for group in groups})
    if not starts:
        return set()
    labels = session.scalars(
        select(BlockRow.label).where(
            BlockRow.observer_id == observer_id, BlockRow.start_utc.in_(starts)
        )
    )
    return {label.lower() for label in labels}


def _unused(label: str, taken: set[str]) -> str:
    candidate, number = label[:_MAX_LABEL], 1
    while candidate.lower() in taken:
        number += 1
        suffix = f"_{number}"
        candidate = label[: _MAX_LABEL - len(suffix)] + suffix
    return candidate


def _title(groups: Groups) -> str:
    """The targets, the one with the most frames first."""
    frames: Counter[str] = Counter()
    for group in groups.groups:
        frames[group.block.target] += len(group.frame_ids)
    names = [name for name, _ in frames.most_common() if name] or ["unnamed"]
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _preview(group: Group, fate: Fate) -> BlockPreview:
    block = group.block
    return BlockPreview(
        label=block.label,
        name=block.name,
        tile=block.tile,
        target=block.target,
        telescope=block.telescope.name,
        filter=block.filter,
        exposure_s=block.exposure_s,
        n_frames=len(group.frame_ids),
        n_there=fate.n_there,
        start_utc=block.start_utc,
        ra_deg=block.ra_deg if block.has_position else None,
        dec_deg=block.dec_deg if block.has_position else None,
    )
