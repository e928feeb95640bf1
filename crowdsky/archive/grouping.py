"""What an observer's frames that are in no block yet would become.

Blocks are made by `crowdsky.frames.group_blocks` from the headers that the rows keep; no file is
read. Which existing block a group falls on is told here: the two have the same setup, telescope and
quarter hour, and lie within the radius of a place of each other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from crowdsky.archive.models import BlockRow, FrameRow
from crowdsky.archive.plain_header import header_from_plain
from crowdsky.frames.block import Block
from crowdsky.frames.group import CLUSTER_RADIUS_DEG, group_blocks
from crowdsky.frames.sphere import angle_deg, direction

__all__ = ["Group", "Groups", "group_pending", "match_blocks", "pending_frames"]


@dataclass(frozen=True, slots=True)
class Group:
    """Frames that belong together.

    Attributes
    ----------
    block : Block
    frame_ids : tuple of int
        By time.
    telescope_id : int
        Key of the row.
    """

    block: Block
    frame_ids: tuple[int, ...]
    telescope_id: int

    @property
    def setup(self) -> tuple[object, ...]:
        """What an existing block must be equal in to be the same one."""
        block = self.block
        return (
            self.telescope_id,
            block.start_utc,
            block.filter,
            round(block.exposure_s, 3),
            block.gain if math.isfinite(block.gain) else None,
            block.binning,
            block.bayer,
            *block.geometry,
        )

    def new_key(self) -> str:
        """Digest of what sets this block apart, the place where it was first seen included."""
        place = (
            f"{self.block.ra_deg:.4f} {self.block.dec_deg:.4f}"
            if self.block.has_position
            else self.block.target
        )
        return hashlib.sha256(repr((self.setup, place)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Groups:
    """All frames of an observer that are in no block.

    Attributes
    ----------
    groups : tuple of Group
    rejected : dict of int to str
        Frames that no stack is made of, and why.
    frame_ids : frozenset of int
        Every frame looked at, in a group or rejected.
    """

    groups: tuple[Group, ...] = ()
    rejected: dict[int, str] = field(default_factory=dict)
    frame_ids: frozenset[int] = frozenset()


def pending_frames(session: Session, observer_id: int) -> Sequence[FrameRow]:
    """Frames to be grouped: pending, in no block, and their bytes are here."""
    return session.scalars(
        select(FrameRow)
        .where(
            FrameRow.observer_id == observer_id,
            FrameRow.state == "pending",
            FrameRow.block_id.is_(None),
            FrameRow.raw_gone.is_(False),
        )
        .order_by(FrameRow.id)
    ).all()


def group_pending(frames: Iterable[FrameRow]) -> Groups:
    """Part frames of one observer into groups.

    Parameters
    ----------
    frames : iterable of FrameRow

    Returns
    -------
    Groups
        Each frame is in one group or rejected.
    """
    # Grouping tells headers apart, and breaks ties, by their path. A row's key serves as one.
    rows = {Path(f"{frame.id:019d}"): frame for frame in frames}
    if not rows:
        return Groups()
    grouping = group_blocks(
        (header_from_plain(frame.header, path) for path, frame in rows.items()),
        digest=lambda path: rows[path].sha256,
    )
    groups = tuple(
        Group(
            block=block,
            frame_ids=tuple(rows[header.path].id for header in block.headers),
            telescope_id=rows[block.headers[0].path].telescope_id,
        )
        for block in grouping.blocks
    )
    # An observer has the same bytes once, so what is skipped is never a copy.
    rejected = {rows[Path(item.file)].id: item.reason for item in grouping.skipped}
    return Groups(groups, rejected, frozenset(frame.id for frame in rows.values()))


def match_blocks(
    session: Session, observer_id: int, groups: Sequence[Group]
) -> dict[int, list[BlockRow]]:
    """The existing blocks that groups fall on.

    A block takes at most one group, the nearest: what was found apart is not thrown together.

    Parameters
    ----------
    session : Session
    observer_id : int
    groups : sequence of Group

    Returns
    -------
    dict of int to list of BlockRow
        By the number of the group: all parts of its block, in order. Groups that fall on none are
        not in it.
    """
    existing = _blocks_of_hours(session, observer_id, {group.block.start_utc for group in groups})
    by_setup: dict[tuple[object, ...], dict[str, list[BlockRow]]] = {}
    for row in existing:
        by_setup.setdefault(_setup(row), {}).setdefault(row.key, []).append(row)
    pairs = []
    for number, group in enumerate(groups):
        for key, parts in by_setup.get(group.setup, {}).items():
            apart_deg = _apart_deg(group.block, parts[0])
            if apart_deg <= CLUSTER_RADIUS_DEG:
                pairs.append((apart_deg, parts[0].id, number, key, parts))
    matched: dict[int, list[BlockRow]] = {}
    taken: set[str] = set()
    for _, _, number, key, parts in sorted(pairs, key=lambda pair: pair[:3]):
        if number not in matched and key not in taken:
            matched[number] = parts
            taken.add(key)
    return matched


def _blocks_of_hours(
    session: Session, observer_id: int, starts: set[datetime]
) -> Iterable[BlockRow]:
    if not starts:
        return ()
    return session.scalars(
        select(BlockRow)
        .where(BlockRow.observer_id == observer_id, BlockRow.start_utc.in_(sorted(starts)))
        .order_by(BlockRow.key, BlockRow.part)
    ).all()


def _setup(row: BlockRow) -> tuple[object, ...]:
    return (
        row.telescope_id,
        row.start_utc,
        row.filter,
        round(row.exposure_s, 3),
        row.gain,
        row.binning,
        row.bayer,
        row.nx,
        row.ny,
    )


def _apart_deg(block: Block, row: BlockRow) -> float:
    """Angle between two places; those without a position are told apart by their target."""
    if row.ra_deg is None or row.dec_deg is None:
        return 0.0 if row.target == block.target else math.inf
    if not block.has_position:
        # As within a session: frames without a position belong to their target's place.
        return 0.0 if row.target == block.target else math.inf
    return angle_deg(direction(row.ra_deg, row.dec_deg), direction(block.ra_deg, block.dec_deg))
