"""Send frames to the service: folders of them, single files, archives (.zip, .tar, .tgz, .gz).

What the service has already is not sent again, and what was interrupted continues where it stood,
so the same command may be given until it says that all is there. A file that is refused stops no
other. The exit code is 0 when the service has every file (and, with --wait, every job gave its
stack), 1 when not, 2 on wrong usage, 130 when interrupted.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crowdsky.cli.exits import EXIT_NOT_ALL, EXIT_OK
from crowdsky.cli.output import strict_json
from crowdsky.cli.progress import Progress
from crowdsky.cli.service import (
    ByteProgress,
    add_service_arguments,
    open_client,
    plural,
    reasons,
)

if TYPE_CHECKING:
    from crowdsky.client import Client, Job, PushReport

__all__ = ["configure", "push_summary", "push_with_progress", "run", "wait_with_progress"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="frames and archives, or their folders"
    )
    parser.add_argument("--finalise", action="store_true", help="make stacking jobs of the frames")
    parser.add_argument(
        "--wait", action="store_true", help="finalise, and wait until the stacks are there"
    )
    parser.add_argument(
        "--parallel", type=int, default=4, metavar="N", help="files sent at once (default: 4)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the report as one JSON document on stdout"
    )
    add_service_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Send, finalise, wait, and say what came of it."""
    if not 1 <= args.parallel <= 64:
        args.usage_error(f"--parallel {args.parallel}: must be from 1 to 64")
    answer: dict[str, Any] = {}
    with open_client(args) as client:
        report = push_with_progress(client, args.paths, parallel=args.parallel)
        answer["push"] = report.as_dict()
        good = report.complete and bool(report.files)
        lines = push_summary(report)
        if args.finalise or args.wait:
            made = client.finalise()
            answer["finalised"] = {name: getattr(made, name) for name in _FINALISED}
            lines.append(
                f"{plural(len(made.job_ids), 'job')} of {plural(made.n_frames, 'frame')}, "
                f"{made.n_rejected} rejected"
            )
            if args.wait:
                jobs = wait_with_progress(client, made.job_ids)
                answer["jobs"] = [{name: getattr(job, name) for name in _JOB} for job in jobs]
                good = good and all(job.state == "done" for job in jobs)
                lines += reasons(("failed", job.reason or "") for job in jobs if _failed(job))
                done = sum(job.state == "done" for job in jobs)
                lines.append(f"{done} of {plural(len(jobs), 'job')} done")
    print(strict_json(answer, indent=2) if args.json else "\n".join(lines))
    return EXIT_OK if good else EXIT_NOT_ALL


_FINALISED = ("batch_id", "job_ids", "n_frames", "n_rejected")
_JOB = ("id", "state", "target", "label", "n_frames", "n_used", "n_rejected", "reason", "stack_id")


def push_with_progress(client: Client, paths: list[Path], *, parallel: int = 4) -> PushReport:
    """Send under a progress bar."""
    with ByteProgress("sending") as progress:
        return client.push(paths, parallel=parallel, on_progress=progress)


def push_summary(report: PushReport) -> list[str]:
    """What came of the files, for people."""
    lines = reasons(
        (file.outcome, file.reason)
        for file in report.files
        if file.outcome in ("refused", "failed")
    )
    lines += reasons(
        (item.outcome, item.reason)
        for file in report.files
        for item in file.items
        if item.outcome in ("refused", "skipped")
    )
    lines += reasons((("skipped", item.reason) for item in report.skipped), most=4)
    if not report.files:
        return [*lines, "nothing to send"]
    counts = report.counts
    here = counts["there"] + counts["duplicate"]
    bad = counts["refused"] + counts["failed"] + counts["received"]
    lines.append(
        f"{plural(len(report.files), 'file')}: {counts['accepted']} accepted, {here} here already, "
        f"{bad} not accepted ({report.n_bytes_sent / 1e6:.1f} MB sent)"
    )
    return lines


def wait_with_progress(client: Client, job_ids: tuple[int, ...]) -> list[Job]:
    """Wait for jobs under a progress bar that counts frames."""
    with Progress("stacking", "frame") as progress:

        def show(jobs: list[Job]) -> None:
            done = sum(job.n_frames if job.ended else job.done_frames for job in jobs)
            ended = sum(job.ended for job in jobs)
            total = sum(job.n_frames for job in jobs)
            progress(done, total, f"{ended} of {plural(len(jobs), 'job')}")

        return client.wait(job_ids, on_progress=show)


def _failed(job: Job) -> bool:
    return job.state != "done"
