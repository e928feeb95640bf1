"""From when on everyone sees a stack."""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["public_from"]


def public_from(
    visibility: str, embargo_days: int, end_utc: datetime, now: datetime
) -> datetime | None:
    """When a stack becomes public.

    Parameters
    ----------
    visibility : {'public', 'embargoed', 'private'}
    embargo_days : int
        Days from the end of the exposure; counts for ``embargoed`` only.
    end_utc : datetime
        End of the last exposure. One in the future (a telescope's clock that was wrong) counts as
        `now`, so that nothing stays hidden for longer than its owner asked.
    now : datetime
        When the stack is committed.

    Returns
    -------
    datetime or None
        None: never.
    """
    if visibility == "private":
        return None
    ended_utc = min(end_utc, now)
    if visibility == "embargoed":
        return ended_utc + timedelta(days=embargo_days)
    return ended_utc
