"""Run a worker in the foreground: it takes jobs of the archive and stacks them.

Any number of them on any number of machines may share an archive; see docs/operating.md.
"""

from __future__ import annotations

import argparse
import os
import sys

from crowdsky.cli.exits import EXIT_USAGE

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--jobs", type=int, metavar="N", help="blocks stacked at once")
    parser.add_argument("--host", help="name of this machine (default: its own)")
    parser.add_argument("--until-empty", action="store_true", help="stop when nothing is queued")
    parser.add_argument("--no-prefect", action="store_true", help="show nothing in Prefect")


def run(args: argparse.Namespace) -> int:
    """Become the worker: signals reach it itself, and the process's number stays."""
    if args.jobs is not None and args.jobs < 1:
        args.usage_error(f"--jobs {args.jobs}: must be 1 or more")
    words = [sys.executable, "-m", "flows.worker"]
    for name in ("jobs", "host"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    words += ["--until-empty"] if args.until_empty else []
    words += ["--no-prefect"] if args.no_prefect else []
    os.execv(sys.executable, words)
    return EXIT_USAGE
