"""How much room an observer has, counted seldom."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from sqlalchemy import select
from sqlalchemy.orm import Session

from crowdsky.archive.accounts import used_bytes
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Observer
from crowdsky.errors import LimitExceeded

__all__ = ["refuse_over_quota", "room_of"]


class _Room:
    """How much room observers are known to have, so that few arrivals need a count of all."""

    def __init__(self) -> None:
        self._left: dict[int, int] = {}

    def suffices(self, observer_id: int, n_bytes: int) -> bool:
        return self._left.get(observer_id, 0) > n_bytes

    def learn(self, observer_id: int, left: int) -> None:
        # Others take room at the same time; half of what is left is ours to take unasked.
        self._left[observer_id] = left // 2

    def spend(self, observer_id: int, n_bytes: int) -> None:
        self._left[observer_id] = self._left.get(observer_id, 0) - n_bytes


_rooms: WeakKeyDictionary[Archive, _Room] = WeakKeyDictionary()


def room_of(archive: Archive) -> _Room:
    """What this process knows of the room in an archive."""
    return _rooms.setdefault(archive, _Room())


def refuse_over_quota(
    archive: Archive,
    session: Session,
    observer_id: int,
    n_bytes: int,
    quota_bytes: int | None,
) -> None:
    """Refuse what does not fit.

    Counted exactly whenever less than half of the room seen last is left, so an observer who sends
    through several processes at once can overshoot by what these take in between at the most.
    """
    room = room_of(archive)
    if room.suffices(observer_id, n_bytes):
        return
    own = session.scalar(select(Observer.quota_bytes).where(Observer.id == observer_id))
    quota = quota_bytes if own is None else own
    if quota is None:
        return
    used = sum(used_bytes(session, observer_id))
    if used + n_bytes > quota:
        raise LimitExceeded(
            f"the quota of {quota / 1e9:g} GB is used up ({used / 1e9:.2f} GB are here)",
            limit=quota,
            used_bytes=used,
            retry_after_s=None,
        )
    room.learn(observer_id, quota - used)
