"""Group raw frames into fifteen-minute blocks, solve them, and write one stack a block.

Folders are walked; previews, videos and other files that are not frames are skipped and counted.
Frames that differ in telescope, filter, exposure, gain, binning or target never share a stack.
A second run over the same frames does nothing. One bad frame never stops the rest: the report says
of every frame whether it was used and, if not, why. The exit code is 0 when at least one stack was
made (or was there already), 1 when none could be, 2 on wrong usage.

Into the output folder go, for each block, the stack (FITS: RED, GREEN, BLUE, FOOTPRINT, STAR-TAB),
its previews, and a JSON report. The observing site is rounded to 0.1 degree in them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crowdsky.cli.exits import EXIT_NOT_ALL, EXIT_OK
from crowdsky.cli.night import night_table
from crowdsky.cli.output import strict_json
from crowdsky.cli.progress import Progress
from crowdsky.settings import load_settings

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="frames, or folders that hold them"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="where the stacks go"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the report as one JSON document on stdout"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="worker processes, one block each (default: CROWDSKY_JOBS, else every core)",
    )
    parser.add_argument(
        "--exact-site",
        action="store_true",
        help="keep the observing site as the telescope wrote it, instead of rounded to 0.1 degree",
    )


def run(args: argparse.Namespace) -> int:
    """Stack, print the report; 0 when any block gave a stack."""
    if args.jobs is not None and args.jobs < 1:
        args.usage_error(f"--jobs {args.jobs}: must be 1 or more")
    report = stack_with_progress(
        args.paths, args.output, jobs=args.jobs, exact_site=args.exact_site
    )
    print(strict_json(report, indent=2) if args.json else night_table(report))
    return exit_code(report)


def stack_with_progress(
    paths: list[Path], output: Path, *, jobs: int | None, exact_site: bool = False
) -> dict[str, Any]:
    """Run the pipeline under a progress bar and give its report as plain data."""
    from crowdsky.pipeline import Recipe, stack_paths

    with Progress("stacking", "frame") as progress:
        report = stack_paths(
            paths,
            output,
            jobs=load_settings().jobs if jobs is None else jobs,
            recipe=Recipe(exact_site=exact_site),
            on_progress=progress,
        )
    plain: dict[str, Any] = report.as_dict()
    return plain


def exit_code(report: dict[str, Any]) -> int:
    """0 when at least one block has its stack: one bad block does not fail a night."""
    return EXIT_OK if any(block["output"] for block in report["blocks"]) else EXIT_NOT_ALL
