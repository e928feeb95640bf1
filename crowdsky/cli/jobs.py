"""Show the stacking jobs, watch them, delete or retry them.

The exit code is 0 when done, 1 when a job that was watched or named could not be done, 2 on wrong
usage, 130 when interrupted (which stops the watching only).
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from crowdsky.cli.exits import EXIT_NOT_ALL, EXIT_OK
from crowdsky.cli.output import format_table, strict_json
from crowdsky.cli.push import wait_with_progress
from crowdsky.cli.service import add_service_arguments, open_client
from crowdsky.errors import CrowdSkyError, NotAuthenticated, ServiceUnreachable

if TYPE_CHECKING:
    from crowdsky.client import Job

__all__ = ["configure", "job_table", "run"]

_STATES = ("queued", "running", "done", "failed")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--watch", action="store_true", help="wait until none is queued or running")
    parser.add_argument(
        "--delete", type=int, action="append", default=[], metavar="N", help="stop and remove job N"
    )
    parser.add_argument(
        "--retry", type=int, action="append", default=[], metavar="N", help="queue failed job N"
    )
    parser.add_argument("--state", choices=_STATES, help="only those")
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    add_service_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Change what was asked for, then show."""
    good = True
    with open_client(args) as client:
        for number in args.delete:
            good &= _tried(number, client.delete_job)
        for number in args.retry:
            good &= _tried(number, client.retry_job)
        if args.watch:
            live = tuple(job.id for job in client.jobs() if not job.ended)
            ended = wait_with_progress(client, live)
            good &= all(job.state == "done" for job in ended)
        jobs = client.jobs(state=args.state)
    if args.json:
        print(strict_json([_plain(job) for job in jobs], indent=2))
    else:
        print(job_table(jobs))
    return EXIT_OK if good else EXIT_NOT_ALL


def job_table(jobs: list[Job]) -> str:
    """Jobs laid out for people, one a line, with the reason where one failed."""
    if not jobs:
        return "no jobs"
    rows = [
        [
            str(job.id),
            job.state,
            job.target or "-",
            job.label or "-",
            f"{job.n_frames if job.state == 'done' else job.done_frames}/{job.n_frames}",
            "-" if job.n_used is None else str(job.n_used),
            job.reason or job.step or "",
        ]
        for job in jobs
    ]
    return format_table(["job", "state", "target", "block", "frames", "used", ""], rows, "rlllrrl")


def _tried(number: int, change: Any) -> bool:
    try:
        change(number)
    except (NotAuthenticated, ServiceUnreachable):
        raise
    except CrowdSkyError as error:
        print(f"crowdsky: job {number}: {error}", file=sys.stderr)
        return False
    return True


def _plain(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in job.__slots__}
