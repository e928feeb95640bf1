"""Measure and print: ``python -m tests.benchmarks.run [--only NAME ...] [--quick]``.

Every module ``bench_<name>.py`` of this folder has ``figures(quick)``, which yields `Figure`. What
needs something that is not on this machine (real frames, a peer) is left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import import_module
from pathlib import Path

from tests.benchmarks.figure import figure_table

HERE = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks asked for, and print a table each."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names(), default=names(), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, rougher figures")
    args = parser.parse_args(argv)
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    for name in args.only:
        print(f"\n{name}", flush=True)
        figures = list(import_module(f"tests.benchmarks.bench_{name}").figures(args.quick))
        print(figure_table(figures) if figures else "nothing to measure here", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
