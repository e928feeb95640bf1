"""Files that nothing needs are taken away.

What is needed is said in `crowdsky.archive.needs`, and nowhere else. What is not is condemned in
one transaction, which also marks the frames that name it, and removed in a second one, which holds
the row: whoever stores the same bytes meanwhile takes the condemned row back first, or waits for
the removal to end (`crowdsky.archive.objects`). A sweeper that dies in between leaves condemned
rows to the next one. Several may sweep at once, and each takes what no other has in hand.

Times are the database's: no host's clock decides what goes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import monotonic
from typing import TypeVar

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.orm import Session

from crowdsky.archive.clock import database_now
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, ObjectRow
from crowdsky.archive.needs import needed, needed_by_rows, unneeded
from crowdsky.archive.store import FileStore, StoredFile
from crowdsky.archive.upsert import insert_all_new
from crowdsky.errors import StoreError
from crowdsky.steps import reached

__all__ = ["SweepReport", "delete_unneeded", "needed", "sweep"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE = 200
_HOLD_S = 0.1  # as long as this may rows be held while files are being removed
_FAILURES = 3  # after so many the store is left in peace until the next sweep
_LEFTOVER_S = 86_400.0  # no writer takes longer


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did.

    Attributes
    ----------
    n_deleted, n_bytes : int
        Files that were removed; `n_bytes` by their rows.
    n_orphans : int
        Those among them that had no row.
    n_leftovers : int
        What writers that died left behind in the store.
    n_failed : int
        Files that the store would not remove; the next sweep tries again.
    """

    n_deleted: int
    n_bytes: int
    n_orphans: int
    n_leftovers: int
    n_failed: int

    def __str__(self) -> str:
        text = f"{self.n_deleted} files removed ({self.n_bytes / 1e6:.1f} MB)"
        if self.n_orphans:
            text += f", {self.n_orphans} of them without a row"
        if self.n_leftovers:
            text += f", {self.n_leftovers} leftovers"
        if self.n_failed:
            text += f", {self.n_failed} could not be removed"
        return text


def sweep(
    archive: Archive,
    store: FileStore,
    *,
    keep_raws_days: float,
    grace_s: float,
    now: datetime | None = None,
) -> SweepReport:
    """Remove every file that nothing needs.

    Parameters
    ----------
    archive : Archive
    store : FileStore
    keep_raws_days : float
        Days for which raws are kept after they were stacked or rejected.
    grace_s : float
        Seconds for which what is not needed is left alone since it was last touched. That spares
        those who are just storing a file from doing it twice; safe it is with 0, too.
    now : datetime, optional
        The database's clock when omitted.

    Returns
    -------
    SweepReport

    Raises
    ------
    ArchiveUnavailable
    StoreError
        The store cannot be listed. What it would not remove is counted in the report instead.
    """
    if now is None:
        with archive.reading() as session:
            now = database_now(session)
    broom = _Broom(archive, store, keep_raws_days, now - timedelta(seconds=grace_s), now)
    broom.finish_others()
    broom.take_rows()
    broom.take_files()
    # By the store's own clock, on which alone the age of a leftover is known.
    before = datetime.now(UTC) - timedelta(seconds=max(grace_s, _LEFTOVER_S))
    return SweepReport(
        n_deleted=broom.n_deleted,
        n_bytes=broom.n_bytes,
        n_orphans=broom.n_orphans,
        n_leftovers=store.tidy(before),
        n_failed=broom.n_failed,
    )


def delete_unneeded(
    archive: Archive, store: FileStore, sha256s: Iterable[str], *, grace_s: float = 0.0
) -> int:
    """Remove those of some files that nothing needs, at once.

    The rule is that of `sweep`, but that raws are not kept for a while after their stack. What the
    store does not remove just now stays condemned, and goes with the next sweep.

    Parameters
    ----------
    archive : Archive
    store : FileStore
    sha256s : iterable of str
    grace_s : float
        As in `sweep`.

    Returns
    -------
    int
        Files removed.

    Raises
    ------
    ArchiveUnavailable
    """
    with archive.reading() as session:
        now = database_now(session)
    broom = _Broom(archive, store, 0.0, now - timedelta(seconds=grace_s), now, waits=True)
    for part in _parts(sorted(set(sha256s))):
        broom.take(part)
    return broom.n_deleted


class _Broom:
    """One sweep under way.

    `cutoff`: what was touched later is left alone. `waits`: for rows that somebody else holds.
    """

    def __init__(
        self,
        archive: Archive,
        store: FileStore,
        keep_raws_days: float,
        cutoff: datetime,
        now: datetime,
        *,
        waits: bool = False,
    ) -> None:
        self.archive, self.store = archive, store
        self.keep_raws_days, self.cutoff, self.now = keep_raws_days, cutoff, now
        self.waits = waits
        self.n_deleted = self.n_bytes = self.n_orphans = self.n_failed = 0

    def finish_others(self) -> None:
        """Remove what a sweeper condemned before it died."""
        with self.archive.reading() as session:
            condemned = session.scalars(
                select(ObjectRow.sha256).where(ObjectRow.state == "condemned")
            ).all()
        for part in _parts(sorted(condemned)):
            self._remove(part)

    def take_rows(self) -> None:
        """Take every row that nothing needs, and its file if there is one."""
        after = ""
        while True:
            with self.archive.reading() as session:
                found = session.scalars(
                    select(ObjectRow.sha256)
                    .where(
                        ObjectRow.sha256 > after,
                        ObjectRow.touched_utc <= self.cutoff,
                        or_(
                            ObjectRow.state.in_(("stored", "rotten")),
                            # With a frame, it is a raw whose file is gone; see `_forget`.
                            (ObjectRow.state == "writing")
                            & ~exists().where(FrameRow.sha256 == ObjectRow.sha256),
                        ),
                        ~needed_by_rows(self.now, self.keep_raws_days),
                    )
                    .order_by(ObjectRow.sha256)
                    .limit(_AT_ONCE)
                ).all()
            if not found:
                return
            self.take(found)
            after = found[-1]

    def take_files(self) -> None:
        """Take files that have no row, or the row of a writer that died."""
        for part in _parts(self._old_files()):
            sizes = {file.sha256: file.n_bytes for file in part}
            with self.archive.reading() as session:
                states: dict[str, str] = {
                    row[0]: row[1]
                    for row in session.execute(
                        select(ObjectRow.sha256, ObjectRow.state).where(ObjectRow.sha256.in_(sizes))
                    )
                }
            orphans = sorted(set(sizes) - set(states))
            if orphans:
                reached("sweep.orphans_found")
                self._adopt(orphans, sizes)
                self.n_orphans += self._remove(orphans)
            self.take(sorted(sha256 for sha256, state in states.items() if state == "writing"))

    def _old_files(self) -> Iterator[StoredFile]:
        # Old by the store's clock, which may be wrong: it decides when, and never whether, because
        # whoever writes a file has made a row for it before.
        return (file for file in self.store.files() if file.modified_utc <= self.cutoff)

    def _adopt(self, orphans: Sequence[str], sizes: dict[str, int]) -> None:
        """Give files without a row one that is condemned.

        From then on whoever stores the same bytes sees it. Who made a row meanwhile keeps it.
        """
        with self.archive.writing() as session:
            values = [
                {
                    "sha256": sha256,
                    "n_bytes": sizes[sha256],
                    "kind": "raw",
                    "state": "condemned",
                    "touched_utc": self.now,
                }
                for sha256 in orphans
            ]
            insert_all_new(session, ObjectRow, ("sha256",), values)

    def take(self, sha256s: Sequence[str]) -> None:
        """Condemn those that nothing needs, and remove them."""
        condemned = self._condemn(sha256s) if sha256s else []
        if condemned:
            reached("sweep.condemned")
            self._remove(condemned)

    def _condemn(self, sha256s: Sequence[str]) -> list[str]:
        with self.archive.writing() as session:
            rows = session.scalars(
                select(ObjectRow)
                .where(
                    ObjectRow.sha256.in_(sha256s),
                    ObjectRow.state != "condemned",
                    ObjectRow.touched_utc <= self.cutoff,
                )
                .order_by(ObjectRow.sha256)
                .with_for_update(skip_locked=not self.waits)
            ).all()
            # A new statement, so that it sees whatever was committed until the rows were ours.
            free = unneeded(
                session,
                [row.sha256 for row in rows],
                keep_raws_days=self.keep_raws_days,
                now=self.now,
            )
            free -= _mark_frames(session, free)
            for row in rows:
                if row.sha256 in free:
                    row.state = "condemned"
            session.flush()
            reached("sweep.condemning")
        return sorted(free)

    def _remove(self, sha256s: Sequence[str]) -> int:
        """Remove the files of condemned rows, and the rows; how many files."""
        left, n_before = list(sha256s), self.n_deleted
        while left and self.n_failed < _FAILURES:
            with self.archive.writing() as session:
                rows = session.scalars(
                    select(ObjectRow)
                    .where(ObjectRow.sha256.in_(left), ObjectRow.state == "condemned")
                    .order_by(ObjectRow.sha256)
                    .with_for_update(skip_locked=True)
                ).all()
                tried = self._unlink(rows)
                reached("sweep.unlinked")
            reached("sweep.removed")
            # What somebody took back, or another sweeper has in hand, is not asked for again.
            left = [row.sha256 for row in rows[tried:]]
        return self.n_deleted - n_before

    def _unlink(self, rows: Sequence[ObjectRow]) -> int:
        """Remove files as long as rows may be held for it; how many were tried."""
        begin, gone, tried = monotonic(), [], 0
        for row in rows:
            tried += 1
            try:
                self.store.delete(row.sha256)
            except StoreError as error:
                self.n_failed += 1
                log.warning("a file that nothing needs stays: %s", error)
                if self.n_failed >= _FAILURES:
                    break
                continue
            gone.append(row.sha256)
            self.n_deleted += 1
            self.n_bytes += row.n_bytes
            if monotonic() - begin > _HOLD_S:
                break
        if rows:
            session = Session.object_session(rows[0])
            assert session is not None
            _forget(session, gone)
        return tried


def _mark_frames(session: Session, sha256s: set[str]) -> set[str]:
    """Mark frames whose raws are condemned; returns the raws that must stay for now.

    Those are frames that somebody else has locked: waiting for them while holding their objects
    could be a deadlock, and the next sweep is soon enough.
    """
    frames = {
        row[0]: row[1]
        for row in session.execute(
            select(FrameRow.id, FrameRow.sha256).where(
                FrameRow.sha256.in_(sha256s), FrameRow.raw_gone.is_(False)
            )
        )
    }
    if not frames:
        return set()
    free = set(
        session.scalars(
            select(FrameRow.id)
            .where(FrameRow.id.in_(frames))
            .order_by(FrameRow.id)
            .with_for_update(skip_locked=True)
        )
    )
    busy = {sha256 for frame_id, sha256 in frames.items() if frame_id not in free}
    marked = [frame_id for frame_id, sha256 in frames.items() if sha256 not in busy]
    session.execute(
        update(FrameRow)
        .where(FrameRow.id.in_(marked))
        .values(raw_gone=True)
        .execution_options(synchronize_session=False)
    )
    return busy


def _forget(session: Session, sha256s: Sequence[str]) -> None:
    """Remove the rows of files that are gone.

    A row that frames still name has to stay. It is ``writing``, which is what it would be if
    somebody had begun to store these bytes and died: there is no file, and whoever comes with the
    bytes may store them.
    """
    named = select(FrameRow.sha256).where(FrameRow.sha256.in_(sha256s))
    session.execute(
        update(ObjectRow)
        .where(ObjectRow.sha256.in_(named))
        .values(state="writing", checked_utc=None, touched_utc=database_now(session))
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(ObjectRow)
        .where(ObjectRow.sha256.in_(sha256s), ObjectRow.state == "condemned")
        .execution_options(synchronize_session=False)
    )


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
