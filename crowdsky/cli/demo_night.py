"""A simulated night on its whole way: up through HTTP, stacked by the worker, down as a ZIP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from crowdsky.cli.output import one_line
from crowdsky.cli.pull import stack_lines
from crowdsky.cli.push import push_summary, push_with_progress, wait_with_progress
from crowdsky.cli.service import ByteProgress, plural

if TYPE_CHECKING:
    from crowdsky.client import Client, Job

__all__ = ["demo_night"]


def demo_night(
    server: str, api_key: str, folder: Path, output: Path, tell: Callable[[str], None]
) -> bool:
    """Draw the night, send it, wait for its stacks, fetch them, say what came.

    Parameters
    ----------
    server, api_key : str
        Of the service, and of the demo account.
    folder : Path
        Keeps the frames, which are drawn once.
    output : Path
        Gets ``crowdsky.zip``.
    tell : callable
        Given lines for people.

    Returns
    -------
    bool
        Whether every frame is accounted for and every block gave its stack.
    """
    from crowdsky.client import Client

    frames = folder / "frames"
    _draw(frames, tell)
    with Client(server, api_key) as client:
        report = push_with_progress(client, [frames])
        for line in push_summary(report):
            tell(line)
        # A night that an earlier run left half way is finished too.
        client.finalise()
        unfinished = [job for job in client.jobs() if not job.ended]
        if unfinished:
            tell(f"{plural(len(unfinished), 'block')} to stack")
        jobs = wait_with_progress(client, tuple(job.id for job in unfinished))
        fetched = _fetch(client, output, tell)
        books = client.books()
    for job in jobs:
        if job.state != "done":
            tell(f"job {job.id} {job.state}: {one_line(job.reason or 'no reason given')}")
    tell(
        f"{plural(books.accepted, 'frame')}: {books.stacked} stacked, {books.rejected} rejected, "
        f"{books.pending} pending"
    )
    return report.complete and fetched and books.balances and _all_done(jobs)


def _draw(folder: Path, tell: Callable[[str], None]) -> None:
    from crowdsky.cli.simulate import simulate_with_progress
    from crowdsky.simulate import demo_plans
    from crowdsky.simulate.fits_file import folder_name

    for plan in demo_plans():
        # The truth is written last, so where it is, the frames are all there.
        if not (folder / folder_name(plan) / "truth.json").exists():
            tell(f"{plan.target}: drawing {plural(plan.n_frames, 'frame')}")
            simulate_with_progress(plan, folder)


def _fetch(client: Client, output: Path, tell: Callable[[str], None]) -> bool:
    stacks = client.stacks(scope="mine")
    if not len(stacks):
        tell("no stack came of it")
        return False
    for line in stack_lines(stacks):
        tell(line)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "crowdsky.zip"
    with ByteProgress("fetching") as progress:
        zipped = client.download_zip(stacks, path, on_progress=progress)
    size_mb = path.stat().st_size / 1e6
    tell(f"{plural(zipped.n_stacks, 'stack')} in {path} ({size_mb:.1f} MB)")
    return zipped.n_stacks == len(stacks) and not zipped.n_missing


def _all_done(jobs: list[Job]) -> bool:
    return all(job.state == "done" for job in jobs)
