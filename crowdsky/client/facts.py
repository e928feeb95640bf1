"""What the service tells, as typed records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

__all__ = [
    "Block",
    "Books",
    "Finalised",
    "Frame",
    "Item",
    "Job",
    "JobPage",
    "Me",
    "StackPage",
    "Upload",
    "Zipped",
]


class _Told:
    """A record read from JSON: unknown fields are skipped, so that old clients go on working."""

    __slots__ = ()

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Self:
        known = {item.name: table[item.name] for item in fields(cls) if item.name in table}  # type: ignore[arg-type]
        for name, value in known.items():
            if name.endswith("_utc") and isinstance(value, str):
                known[name] = _utc(value)
            elif isinstance(value, list):
                known[name] = tuple(value)
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Me(_Told):
    """Whose key it is; `raw` holds everything that the service told."""

    name: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Books(_Told):
    """Frames by what became of them; ``accepted`` is the sum of the others."""

    accepted: int
    stacked: int
    rejected: int
    pending: int

    @property
    def balances(self) -> bool:
        """Whether no frame is unaccounted for."""
        return self.accepted == self.stacked + self.rejected + self.pending


@dataclass(frozen=True, slots=True)
class Item(_Told):
    """What became of one file of an upload."""

    name: str
    outcome: str
    reason: str = ""
    frame_id: int | None = None


@dataclass(frozen=True, slots=True)
class Upload(_Told):
    """A file that was sent, or is being sent."""

    id: str
    name: str
    state: str
    offset: int
    length: int | None
    sha256: str | None = None
    reason: str = ""
    created_utc: datetime | None = None
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Block(_Told):
    """A block that `Client.finalise` would make, or add frames to."""

    label: str
    target: str
    telescope: str
    filter: str
    exposure_s: float
    n_frames: int
    start_utc: datetime
    n_there: int = 0
    name: str = ""
    tile: str = ""
    ra_deg: float | None = None
    dec_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Finalised(_Told):
    """What finalising did: jobs made or added to, frames in them, frames that no job takes."""

    batch_id: int | None
    job_ids: tuple[int, ...]
    n_frames: int
    n_rejected: int


@dataclass(frozen=True, slots=True)
class Zipped:
    """A ZIP that was fetched: the stacks in it, and those whose file the service lacks."""

    path: Path
    n_stacks: int
    n_missing: int = 0


@dataclass(frozen=True, slots=True)
class Job(_Told):
    """One block on its way to a stack."""

    id: int
    state: str
    target: str = ""
    label: str = ""
    block_id: int | None = None
    batch_id: int | None = None
    n_frames: int = 0
    done_frames: int = 0
    n_used: int | None = None
    n_rejected: int | None = None
    step: str | None = None
    reason: str | None = None
    log: str | tuple[Any, ...] | None = None
    attempts: int = 0
    created_utc: datetime | None = None
    started_utc: datetime | None = None
    finished_utc: datetime | None = None
    worker: str | None = None
    run_url: str | None = None
    stack_id: int | None = None
    orphaned: bool = False
    filter: str = ""
    exposure_s: float | None = None
    block_start_utc: datetime | None = None
    not_before_utc: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in ("done", "failed")


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, the newest first.

    Attributes
    ----------
    jobs : tuple of Job
    counts : mapping of str to int
        All of the caller's jobs by state, whatever was asked for.
    event_id : str
        From where `crowdsky.client.events.events` goes on.
    next_after : int or None
        Where the next page begins; None at the end.
    """

    jobs: tuple[Job, ...]
    counts: Mapping[str, int]
    event_id: str
    next_after: int | None = None


@dataclass(frozen=True, slots=True)
class StackPage:
    """Some stacks as the service tells them, and how many and how large all that were found are."""

    stacks: tuple[Mapping[str, Any], ...]
    total: int
    n_bytes: int
    next_after: int | None = None


@dataclass(frozen=True, slots=True)
class Frame(_Told):
    """A line of the ledger."""

    id: int
    name: str
    state: str
    reason: str = ""
    note: str = ""
    n_bytes: int = 0
    start_utc: datetime | None = None
    weight: float | None = None


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
