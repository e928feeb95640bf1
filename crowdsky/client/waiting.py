"""Wait until jobs have ended."""

from __future__ import annotations

import time
from collections.abc import Callable

from crowdsky.client.facts import Job
from crowdsky.client.lists import pages
from crowdsky.client.transport import API, Transport
from crowdsky.errors import ServiceUnreachable

__all__ = ["wait_for_jobs"]

_LOOK_S = (0.2, 2.0)


def wait_for_jobs(
    transport: Transport,
    wanted: set[int],
    *,
    timeout_s: float | None = None,
    on_progress: Callable[[list[Job]], None] | None = None,
) -> list[Job]:
    """Look at jobs again and again until all have ended.

    Parameters
    ----------
    transport : Transport
    wanted : set of int
        Not empty.
    timeout_s : float, optional
        For ever when omitted.
    on_progress : callable, optional
        Given the jobs every time they were looked at.

    Returns
    -------
    list of Job
        The oldest first; without those that were deleted meanwhile.

    Raises
    ------
    ServiceUnreachable
        If they have not ended in time.
    """
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s, most_s = _LOOK_S
    while True:
        jobs = _look_at(transport, wanted)
        if on_progress is not None:
            on_progress(jobs)
        left = sum(not job.ended for job in jobs)
        if not left:
            return jobs
        if deadline_s is not None and time.monotonic() > deadline_s:
            raise ServiceUnreachable(
                f"{left} of {len(jobs)} jobs have not ended within {timeout_s:g} s"
            )
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, most_s)


def _look_at(transport: Transport, wanted: set[int]) -> list[Job]:
    """Those of these jobs that there are, by few requests."""
    found: list[Job] = []
    for page in pages(transport, f"{API}/jobs"):
        jobs = [Job.of(job) for job in page["jobs"]]
        found += [job for job in jobs if job.id in wanted]
        if len(found) == len(wanted) or (jobs and jobs[-1].id < min(wanted)):
            break  # the newest come first
    return found[::-1]
