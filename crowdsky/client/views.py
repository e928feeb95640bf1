"""Parts of long lists, for pages that show the first lines before they have the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crowdsky.client.facts import Frame, Job, JobPage, StackPage
from crowdsky.client.patience import Patience
from crowdsky.client.transport import API, Transport

__all__ = ["delete_jobs", "job_frames", "job_page", "stack_page"]

_AT_ONCE = 1000  # the most that the service takes
_FRAMES = 5000


def job_page(
    transport: Transport,
    *,
    after: int | None = None,
    limit: int = 200,
    state: str | None = None,
    patience: Patience | None = None,
) -> JobPage:
    """Jobs, the newest first, with the counts of all of them."""
    table = _get(transport, "jobs", patience, after=after, limit=limit, state=state)
    return JobPage(
        jobs=tuple(Job.of(job) for job in table["jobs"]),
        counts=table["counts"],
        event_id=str(table["event_id"]),
        next_after=table.get("next_after"),
    )


def job_frames(transport: Transport, job_id: int) -> list[Frame]:
    """The ledger of a job's block."""
    found: list[Frame] = []
    after: int | None = None
    while True:
        table = _get(transport, f"jobs/{int(job_id)}/frames", None, after=after, limit=_FRAMES)
        found += [Frame.of(frame) for frame in table["frames"]]
        after = table.get("next_after")
        if after is None:
            return found


def delete_jobs(transport: Transport, job_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Delete several jobs; those that are gone now, and those that are not the caller's."""
    gone: list[int] = []
    unknown: list[int] = []
    for begin in range(0, len(job_ids), _AT_ONCE):
        ids = [int(job_id) for job_id in job_ids[begin : begin + _AT_ONCE]]
        table = transport.ask("POST", f"{API}/jobs/delete", json={"ids": ids}).json()
        gone += table["deleted"]
        unknown += table["not_found"]
    return gone, unknown


def stack_page(
    transport: Transport,
    *,
    after: int | None = None,
    limit: int = 200,
    patience: Patience | None = None,
    **query: Any,
) -> StackPage:
    """Stacks, the newest first; the query as ``GET /api/v1/stacks`` takes it."""
    table = _get(transport, "stacks", patience, after=after, limit=limit, **query)
    return StackPage(
        stacks=tuple(table["stacks"]),
        total=int(table["total"]),
        n_bytes=int(table["n_bytes"]),
        next_after=table.get("next_after"),
    )


def _get(transport: Transport, path: str, patience: Patience | None, **params: Any) -> Any:
    asked = {name: value for name, value in params.items() if value is not None}
    return transport.ask("GET", f"{API}/{path}", patience=patience, params=asked).json()
