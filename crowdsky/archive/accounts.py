"""Observers: who they are, who sees what they made, and how much room they take.

An account has a row with the first thing that its person does. What it holds is shown whole by
`crowdsky.archive.export.export_account` and removed by `crowdsky.archive.erase.erase_account`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from crowdsky.archive.audit import note
from crowdsky.archive.engine import Archive
from crowdsky.archive.erase import erase_account
from crowdsky.archive.export import export_account
from crowdsky.archive.models import FrameRow, Observer, StackRow
from crowdsky.archive.upsert import insert_if_new
from crowdsky.errors import Conflict, NotFound

__all__ = [
    "LICENCES",
    "VISIBILITIES",
    "Usage",
    "ensure_observer",
    "erase_account",
    "export_account",
    "set_privacy",
    "set_state",
    "usage",
    "used_bytes",
]

VISIBILITIES = ("public", "embargoed", "private")
LICENCES = ("CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC0-1.0")
"""By their SPDX names."""
MAX_EMBARGO_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Usage:
    """What an observer takes up. ``quota_bytes`` is ``None`` where the setting's quota holds."""

    n_frames: int
    n_stacks: int
    bytes_raw: int
    bytes_stack: int
    quota_bytes: int | None

    @property
    def n_bytes(self) -> int:
        """What counts against the quota."""
        return self.bytes_raw + self.bytes_stack


def ensure_observer(archive: Archive, name: str, *, now: datetime | None = None) -> int:
    """Key of an observer; the row is made if there is none, also when two ask at once.

    Parameters
    ----------
    archive : Archive
    name : str
        As the Hub knows them; 1 to 255 printable characters.
    now : datetime, optional

    Returns
    -------
    int

    Raises
    ------
    Conflict
        If the name breaks its rule. The account's state is not looked at.
    """
    if not 1 <= len(name) <= 255 or not name.isprintable():
        raise Conflict("an observer's name has 1 to 255 printable characters", value=name)
    with archive.reading() as session:
        found = session.scalar(select(Observer.id).where(Observer.name == name))
    if found is not None:
        return found
    now = now or datetime.now(UTC)
    with archive.writing() as session:
        made = insert_if_new(session, Observer, ("name",), {"name": name, "created_utc": now})
        if made is None:
            return session.scalars(select(Observer.id).where(Observer.name == name)).one()
        note(session, name, "account.create", f"observer:{made}", now=now)
    return made


def set_state(archive: Archive, observer_id: int, state: str) -> None:
    """Make an account ``'active'`` or ``'deactivated'``: its keys then open nothing.

    Raises
    ------
    NotFound
    Conflict
        If it is being erased.
    """
    if state not in ("active", "deactivated"):
        raise Conflict("an account is made active or deactivated", value=state)
    with archive.writing() as session:
        observer = _observer(session, observer_id)
        if observer.state == "erasing":
            raise Conflict("the account is being erased", value=observer.name)
        observer.state = state
        note(session, "operator", f"account.{state}", f"observer:{observer_id}")


def set_privacy(
    archive: Archive,
    observer_id: int,
    *,
    visibility: str | None = None,
    embargo_days: int | None = None,
    licence: str | None = None,
    credit: str | None = None,
    now: datetime | None = None,
) -> None:
    """Change who sees an observer's stacks, and under what terms; those that exist included.

    Parameters
    ----------
    archive : Archive
    observer_id : int
    visibility : str, optional
        One of `VISIBILITIES`.
    embargo_days : int, optional
        Days from the end of the exposure to the day everyone sees an embargoed stack.
    licence : str, optional
        One of `LICENCES`.
    credit : str, optional
        Whom to name; up to 255 printable characters, empty for the observer's name.
    now : datetime, optional

    Raises
    ------
    Conflict
        If a value breaks its rule; nothing is changed.
    NotFound
    """
    if visibility is not None and visibility not in VISIBILITIES:
        raise Conflict(f"visibility is one of {', '.join(VISIBILITIES)}", value=visibility)
    if embargo_days is not None and not 0 <= embargo_days <= MAX_EMBARGO_DAYS:
        raise Conflict(f"an embargo is 0 to {MAX_EMBARGO_DAYS} days long", value=embargo_days)
    if licence is not None and licence not in LICENCES:
        raise Conflict(f"the licence is one of {', '.join(LICENCES)}", value=licence)
    if credit is not None and (len(credit) > 255 or (credit and not credit.isprintable())):
        raise Conflict("the credit has up to 255 printable characters", value=credit)
    asked: dict[str, Any] = {
        "visibility": visibility,
        "embargo_days": embargo_days,
        "licence": licence,
        "credit": credit,
    }
    wanted = {name: value for name, value in asked.items() if value is not None}
    now = now or datetime.now(UTC)
    with archive.writing() as session:
        observer = _observer(session, observer_id)
        changed = {
            name: value for name, value in wanted.items() if getattr(observer, name) != value
        }
        if not changed:
            return
        for name, value in changed.items():
            setattr(observer, name, value)
        session.flush()
        terms = {name: changed[name] for name in ("licence", "credit") if name in changed}
        if terms:
            session.execute(
                update(StackRow).where(StackRow.observer_id == observer_id).values(**terms)
            )
        if "visibility" in changed or "embargo_days" in changed:
            _set_public_from(session, observer)
        note(
            session, observer.name, "account.privacy", f"observer:{observer_id}", now=now, **changed
        )


def usage(archive: Archive, observer_id: int) -> Usage:
    """What an observer takes up.

    Raises
    ------
    NotFound
    """
    with archive.reading() as session:
        observer = _observer(session, observer_id)
        n_frames = session.scalar(
            select(func.count()).select_from(FrameRow).where(FrameRow.observer_id == observer_id)
        )
        n_stacks = session.scalar(
            select(func.count()).select_from(StackRow).where(StackRow.observer_id == observer_id)
        )
        bytes_raw, bytes_stack = used_bytes(session, observer_id)
    return Usage(n_frames or 0, n_stacks or 0, bytes_raw, bytes_stack, observer.quota_bytes)


def used_bytes(session: Session, observer_id: int) -> tuple[int, int]:
    """Bytes of an observer's raws that are kept, and of the stacks."""
    raw = session.scalar(
        select(func.coalesce(func.sum(FrameRow.n_bytes), 0)).where(
            FrameRow.observer_id == observer_id, FrameRow.raw_gone.is_(False)
        )
    )
    stack = session.scalar(
        select(func.coalesce(func.sum(StackRow.n_bytes), 0)).where(
            StackRow.observer_id == observer_id
        )
    )
    return int(raw or 0), int(stack or 0)


def _observer(session: Session, observer_id: int) -> Observer:
    observer = session.get(Observer, observer_id)
    if observer is None:
        raise NotFound("no such observer", value=observer_id)
    return observer


def _set_public_from(session: Session, observer: Observer) -> None:
    """`crowdsky.archive.visibility.public_from` for all stacks of an observer, in one statement."""
    if observer.visibility == "private":
        session.execute(
            update(StackRow).where(StackRow.observer_id == observer.id).values(public_utc=None)
        )
        return
    seconds = observer.embargo_days * 86400 if observer.visibility == "embargoed" else 0
    if session.get_bind().dialect.name == "sqlite":
        ended, wait = "min(end_utc, created_utc) + :wait", seconds * 1_000_000
    else:
        ended, wait = "least(end_utc, created_utc) + make_interval(secs => :wait)", seconds
    session.execute(
        text(f"UPDATE stacks SET public_utc = {ended} WHERE observer_id = :observer"),
        {"wait": wait, "observer": observer.id},
    )
