"""The books: every accepted frame is stacked, rejected with a reason, or pending.

`books` counts; `check_books` looks for what the database's own constraints cannot say.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow

__all__ = ["LAWS", "Books", "books", "check_books"]


@dataclass(frozen=True, slots=True)
class Books:
    """Frames by what became of them."""

    accepted: int
    stacked: int
    rejected: int
    pending: int

    @property
    def balances(self) -> bool:
        """Whether every accepted frame is accounted for."""
        return self.accepted == self.stacked + self.rejected + self.pending


def books(archive: Archive | Session, observer_id: int | None = None) -> Books:
    """Count frames.

    Parameters
    ----------
    archive : Archive or Session
    observer_id : int, optional
        Whose; everybody's when omitted.

    Returns
    -------
    Books
    """
    if isinstance(archive, Archive):
        with archive.reading() as session:
            return books(session, observer_id)
    counts = select(FrameRow.state, func.count()).group_by(FrameRow.state)
    if observer_id is not None:
        counts = counts.where(FrameRow.observer_id == observer_id)
    by_state: dict[str, int] = {row[0]: row[1] for row in archive.execute(counts)}
    return Books(
        accepted=sum(by_state.values()),
        stacked=by_state.get("stacked", 0),
        rejected=by_state.get("rejected", 0),
        pending=by_state.get("pending", 0),
    )


#: What must never be found: a sentence for each row of a query, whose columns fill its blanks.
LAWS: dict[str, tuple[str, str]] = {
    "ledger_counts": (
        "stack {id}: {n_frames} frames, {n_used} used; in its ledger {lines}, {used} used",
        """
        SELECT s.id, s.n_frames, s.n_used, count(i.frame_id) AS lines,
               coalesce(sum(CASE WHEN i.used THEN 1 ELSE 0 END), 0) AS used
        FROM stacks s LEFT JOIN stack_inputs i ON i.stack_id = s.id
        GROUP BY s.id, s.n_frames, s.n_used
        HAVING count(i.frame_id) <> s.n_frames
            OR coalesce(sum(CASE WHEN i.used THEN 1 ELSE 0 END), 0) <> s.n_used
        """,
    ),
    "ledger_states": (
        "frame {id}: {state}, but the ledger of stack {stack_id} has it as {entry}",
        """
        SELECT f.id, f.state, i.stack_id,
               CASE WHEN i.used THEN 'used' ELSE 'not used' END AS entry
        FROM stack_inputs i JOIN frames f ON f.id = i.frame_id
        WHERE f.state <> CASE WHEN i.used THEN 'stacked' ELSE 'rejected' END
        """,
    ),
    "stacked_in_a_stack": (
        "frame {id}: stacked, but in no stack",
        """
        SELECT f.id FROM frames f
        WHERE f.state = 'stacked'
          AND NOT EXISTS (SELECT 1 FROM stack_inputs i WHERE i.frame_id = f.id AND i.used)
        """,
    ),
    "ledger_of_the_block": (
        "frame {id}: in the ledger of stack {stack_id} of block {block_id}, but not in that block",
        """
        SELECT f.id, s.id AS stack_id, s.block_id
        FROM stack_inputs i JOIN frames f ON f.id = i.frame_id JOIN stacks s ON s.id = i.stack_id
        WHERE f.block_id IS NULL OR f.block_id <> s.block_id
        """,
    ),
    "lease_of_a_running_job": (
        "job {id}: {state}, but somebody has a lease of it",
        """
        SELECT j.id, j.state FROM leases l JOIN jobs j ON j.id = l.job_id
        WHERE j.state <> 'running'
        """,
    ),
    "running_job_has_a_lease": (
        "job {id}: running, but nobody has a lease of it",
        """
        SELECT j.id FROM jobs j
        WHERE j.state = 'running' AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.job_id = j.id)
        """,
    ),
    "live_job_counts": (
        "job {id}: {state}, says {n_frames} frames; its block has {there}",
        """
        SELECT j.id, j.state, j.n_frames, count(f.id) AS there
        FROM jobs j LEFT JOIN frames f ON f.block_id = j.block_id
        WHERE j.state IN ('queued', 'running')
        GROUP BY j.id, j.state, j.n_frames
        HAVING count(f.id) <> j.n_frames
        """,
    ),
    "done_job_leaves_none_pending": (
        "frame {id}: pending in block {block_id}, which no job waits for or failed at",
        """
        SELECT f.id, f.block_id FROM frames f
        WHERE f.state = 'pending' AND f.block_id IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.block_id = f.block_id
                          AND j.state IN ('queued', 'running', 'failed'))
        """,
    ),
    "frame_of_the_blocks_owner": (
        "frame {id}: of observer {observer_id}, in a block of observer {other}",
        """
        SELECT f.id, f.observer_id, b.observer_id AS other
        FROM frames f JOIN blocks b ON b.id = f.block_id WHERE f.observer_id <> b.observer_id
        """,
    ),
    "frame_of_the_telescopes_owner": (
        "frame {id}: of observer {observer_id}, by a telescope of observer {other}",
        """
        SELECT f.id, f.observer_id, t.observer_id AS other
        FROM frames f JOIN telescopes t ON t.id = f.telescope_id
        WHERE f.observer_id <> t.observer_id
        """,
    ),
    "frame_of_the_blocks_telescope": (
        "frame {id}: by telescope {telescope_id}, in a block of telescope {other}",
        """
        SELECT f.id, f.telescope_id, b.telescope_id AS other
        FROM frames f JOIN blocks b ON b.id = f.block_id WHERE f.telescope_id <> b.telescope_id
        """,
    ),
    "job_of_the_blocks_owner": (
        "job {id}: of observer {observer_id}, batch of {batch_owner}, block of {block_owner}",
        """
        SELECT j.id, j.observer_id, a.observer_id AS batch_owner, b.observer_id AS block_owner
        FROM jobs j JOIN batches a ON a.id = j.batch_id JOIN blocks b ON b.id = j.block_id
        WHERE j.observer_id <> a.observer_id OR j.observer_id <> b.observer_id
        """,
    ),
    "stack_of_the_blocks_owner": (
        "stack {id}: of observer {observer_id}, of a block of observer {other}",
        """
        SELECT s.id, s.observer_id, b.observer_id AS other
        FROM stacks s JOIN blocks b ON b.id = s.block_id
        WHERE s.observer_id <> b.observer_id OR s.telescope_id <> b.telescope_id
        """,
    ),
    "pending_frame_has_its_raw": (
        "frame {id}: pending, but its raw is {state}",
        """
        SELECT f.id, o.state FROM frames f JOIN objects o ON o.sha256 = f.sha256
        WHERE f.state = 'pending' AND NOT f.raw_gone AND o.state IN ('condemned', 'rotten')
        """,
    ),
    "stack_has_its_files": (
        "stack {id}: one of its files is {state}",
        """
        SELECT s.id, o.state FROM stacks s JOIN objects o
            ON o.sha256 IN (s.sha256, s.preview_sha256, s.thumbnail_sha256)
        WHERE o.state IN ('condemned', 'writing')
        """,
    ),
    "private_stays_private": (
        "stack {id}: its owner is private, but it has a day on which everyone sees it",
        """
        SELECT s.id FROM stacks s JOIN observers o ON o.id = s.observer_id
        WHERE o.visibility = 'private' AND s.public_utc IS NOT NULL
        """,
    ),
}


def check_books(archive: Archive) -> list[str]:
    """Every broken law, in words.

    Parameters
    ----------
    archive : Archive

    Returns
    -------
    list of str
        Empty where all is right.
    """
    broken: list[str] = []
    # Of one moment: in PostgreSQL, otherwise, each query would see another one.
    with archive.reading() as session:
        if not archive.is_sqlite:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        for sentence, query in LAWS.values():
            broken += [sentence.format(**row) for row in session.execute(text(query)).mappings()]
    return broken
