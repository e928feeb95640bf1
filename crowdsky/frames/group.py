"""From a pile of frames to 15-minute blocks.

Frames belong together if they come from one telescope with one filter, exposure, gain, binning,
image size and colour pattern, point at the same place, and began in the same quarter hour of UTC.

Places are told apart before anything is named: the pointing in the headers steps and dithers by an
arcminute or two within a session, which would often change a name that is rounded to a tenth of a
degree. So the frames of a session, in the order of time, each join the nearest running centre
within ``radius_deg`` or open a new one; then each place is cut at the quarter hours; then each
block is named by the mean of its own frames. A session ends where a telescope with one setup rests
for longer than ``session_gap_s``, so that another night never changes the blocks of this one.

Field rotation does not part frames (registration undoes it), nor does the mount mode.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from crowdsky.frames.block import Block, Grouping, block_label
from crowdsky.frames.duplicates import content_digest, split_duplicates
from crowdsky.frames.find import Skipped
from crowdsky.frames.frame_header import FrameHeader
from crowdsky.frames.names import block_start, chunk_of_day, healpix_name, tenth_degree_name
from crowdsky.frames.sphere import Vector, angle_deg, direction, position_deg, vector_sum

__all__ = ["group_blocks"]

CLUSTER_RADIUS_DEG = 0.35
SESSION_GAP_S = 4 * 3600.0
POSITIONLESS_GAP_S = 900.0


@dataclass(slots=True)
class _Place:
    """A running centre on the sky, or a target without one."""

    target: str
    total: Vector = (0.0, 0.0, 0.0)
    members: list[FrameHeader] = field(default_factory=list)

    def add(self, header: FrameHeader, towards: Vector | None) -> None:
        self.members.append(header)
        if towards is not None:
            x, y, z = self.total
            self.total = (x + towards[0], y + towards[1], z + towards[2])

    def separation_deg(self, towards: Vector) -> float:
        return angle_deg(self.total, towards)


def group_blocks(
    headers: Iterable[FrameHeader],
    *,
    radius_deg: float = CLUSTER_RADIUS_DEG,
    session_gap_s: float = SESSION_GAP_S,
    owner: str = "",
    digest: Callable[[Path], str] = content_digest,
) -> Grouping:
    """Part frames into blocks.

    Parameters
    ----------
    headers : iterable of FrameHeader
        In any order; the outcome does not depend on it. Frames of different owners are grouped in
        separate calls.
    radius_deg : float
        Farthest a frame may point from the running centre of its place.
    session_gap_s : float
        Longest rest within a session.
    owner : str
        Copied to the blocks.
    digest : callable
        How the content of a file is told, for finding copies.

    Returns
    -------
    Grouping

    Notes
    -----
    A frame whose header gives no position joins the place of the frame that is nearest to it in
    time among those of its setup, session and OBJECT, if that is at most 900 s away; otherwise the
    frames of one OBJECT without a position form a place of their own, whose blocks have no name and
    no tile until they are solved.
    """
    subs: list[FrameHeader] = []
    skipped: list[Skipped] = []
    for header in headers:
        if header.is_stack:
            skipped.append(Skipped(header.path, "an on-board stack, not a raw sub"))
        else:
            subs.append(header)
    kept, copies, flagged = split_duplicates(subs, digest)
    setups: dict[tuple[object, ...], list[FrameHeader]] = defaultdict(list)
    for header in kept:
        setups[_setup(header)].append(header)

    blocks: list[Block] = []
    for members in setups.values():
        members.sort(key=lambda item: (item.start_utc, item.path))
        for session in _sessions(members, session_gap_s):
            for place in _places(session, radius_deg):
                blocks += _cut(place, owner)
    blocks.sort(key=_block_order)
    return Grouping(
        _with_unique_labels(blocks),
        sorted(skipped + copies, key=lambda item: (item.file, item.reason)),
        sorted(flagged, key=lambda item: item.file),
    )


def _setup(header: FrameHeader) -> tuple[object, ...]:
    """What must be equal for pixels to be comparable."""
    return (
        header.telescope_id,
        header.telescope.name,
        header.filter,
        round(header.exposure_s, 3),
        # NaN equals nothing, itself included, and would give every frame a block of its own.
        header.gain if math.isfinite(header.gain) else None,
        header.binning,
        header.bayer,
        header.nx,
        header.ny,
    )


def _sessions(ordered: Sequence[FrameHeader], gap_s: float) -> list[list[FrameHeader]]:
    sessions: list[list[FrameHeader]] = []
    for header in ordered:
        if sessions and (header.start_utc - sessions[-1][-1].start_utc).total_seconds() <= gap_s:
            sessions[-1].append(header)
        else:
            sessions.append([header])
    return sessions


def _places(session: Sequence[FrameHeader], radius_deg: float) -> list[_Place]:
    places: list[_Place] = []
    homeless: list[FrameHeader] = []
    settled: list[tuple[FrameHeader, _Place]] = []
    for header in session:
        towards = _direction(header)
        if towards is None:
            homeless.append(header)
            continue
        nearest = min(places, key=lambda place: place.separation_deg(towards), default=None)
        if nearest is None or nearest.separation_deg(towards) > radius_deg:
            nearest = _Place(header.target)
            places.append(nearest)
        nearest.add(header, towards)
        settled.append((header, nearest))

    unknown: dict[str, _Place] = {}
    for header in homeless:
        near = [
            (abs((other.start_utc - header.start_utc).total_seconds()), number)
            for number, (other, _) in enumerate(settled)
            if other.target == header.target
        ]
        gap_s, number = min(near, default=(math.inf, -1))
        if gap_s <= POSITIONLESS_GAP_S:
            settled[number][1].add(header, None)
        else:
            unknown.setdefault(header.target, _Place(header.target)).add(header, None)
    return places + list(unknown.values())


def _cut(place: _Place, owner: str) -> list[Block]:
    chunks: dict[datetime, list[FrameHeader]] = defaultdict(list)
    for header in sorted(place.members, key=lambda item: (item.start_utc, item.path)):
        chunks[block_start(header.start_utc)].append(header)
    return [_block(start, members, place, owner) for start, members in chunks.items()]


def _block(start: datetime, members: list[FrameHeader], place: _Place, owner: str) -> Block:
    first = members[0]
    directions = [towards for towards in map(_direction, members) if towards is not None]
    # Frames without a position inherit the centre of the place they were put into.
    total = place.total if not directions else vector_sum(directions)
    ra_deg, dec_deg = position_deg(total)
    name = tenth_degree_name(start, ra_deg, dec_deg)
    block = Block(
        telescope_id=first.telescope_id,
        telescope=first.telescope,
        filter=first.filter,
        exposure_s=first.exposure_s,
        gain=first.gain,
        binning=first.binning,
        bayer=first.bayer,
        geometry=(first.nx, first.ny),
        start_utc=start,
        chunk=chunk_of_day(start),
        target=_most_frequent([header.target for header in members]),
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        headers=tuple(members),
        name=name,
        tile=healpix_name(start, ra_deg, dec_deg),
        label="",
        owner=owner,
    )
    return replace(block, label=block_label(block))


def _with_unique_labels(blocks: list[Block]) -> list[Block]:
    seen: set[str] = set()
    unique = []
    for block in blocks:
        label, number = block.label, 1
        while label.lower() in seen:  # some file systems do not tell upper from lower case
            number += 1
            label = f"{block.label}_{number}"
        seen.add(label.lower())
        unique.append(replace(block, label=label))
    return unique


def _block_order(block: Block) -> tuple[object, ...]:
    first = block.headers[0]
    return (block.start_utc, block.telescope_id, block.label, first.start_utc, first.path)


def _most_frequent(targets: list[str]) -> str:
    """The commonest text; of equally common ones the first in the alphabet."""
    return min(set(targets), key=lambda text: (-targets.count(text), text))


def _direction(header: FrameHeader) -> Vector | None:
    return None if header.pointing is None else direction(*header.pointing.icrs_of_date())
