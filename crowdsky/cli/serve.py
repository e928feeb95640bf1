"""Run the service alone, in the foreground; `crowdsky up` runs everything."""

from __future__ import annotations

import argparse
import os
import sys

from crowdsky.cli.exits import EXIT_USAGE

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--port", type=int, help="on 127.0.0.1 (default: CROWDSKY_API_PORT)")
    parser.add_argument("--fd", type=int, help="an open listening socket, instead of a port")


def run(args: argparse.Namespace) -> int:
    """Become the service: signals reach it itself, and the process's number stays."""
    words = [sys.executable, "-m", "crowdsky.api.serve"]
    for name in ("port", "fd"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    os.execv(sys.executable, words)
    return EXIT_USAGE
