"""Bring stacks home: those of a piece of sky, of a time, of a target.

Each file is checked by its SHA-256 before it gets its name. One that broke off is continued, one
that is there is kept, so the same command may be given until all are there. The exit code is 0 when
every stack that fits is in the folder, 1 when not or when none fits, 2 on wrong usage, 130 when
interrupted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crowdsky.cli.exits import EXIT_NOT_ALL, EXIT_OK
from crowdsky.cli.output import format_dec, format_ra, format_table, strict_json
from crowdsky.cli.service import ByteProgress, add_service_arguments, open_client, plural

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["configure", "run", "stack_lines"]

_SHOWN = 40


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    where = parser.add_argument_group("which stacks (at least one of these)")
    where.add_argument("--ra", type=float, metavar="DEG", help="centre, ICRS degrees")
    where.add_argument("--dec", type=float, metavar="DEG", help="centre, ICRS degrees")
    where.add_argument("--size", type=float, metavar="DEG", help="side of a square on the sky")
    where.add_argument("--radius", type=float, metavar="DEG", help="of a circle, instead of --size")
    where.add_argument("--from", dest="from_utc", metavar="UTC", help="ISO 8601")
    where.add_argument("--to", dest="to_utc", metavar="UTC", help="ISO 8601")
    where.add_argument("--target", help="name of the target")
    where.add_argument("--filter", help="IRCUT or LP")
    where.add_argument("--scope", choices=("mine", "public", "all"), help="whose (default: all)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR", help="where they go"
    )
    parser.add_argument(
        "--zip", action="store_true", help="as one file, crowdsky.zip, with a manifest"
    )
    parser.add_argument("--list", action="store_true", help="say which they are, and fetch nothing")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    add_service_arguments(parser)


_QUERY = ("ra", "dec", "size", "radius", "from_utc", "to_utc", "target", "filter", "scope")


def run(args: argparse.Namespace) -> int:
    """Search, fetch, say what came."""
    query = {name: getattr(args, name) for name in _QUERY if getattr(args, name) is not None}
    if not query:
        args.usage_error("say which stacks: --ra, --dec and --size, a time, --target or --scope")
    with open_client(args) as client:
        stacks = client.stacks(**query)
        paths: list[Path] = []
        missing = 0
        if len(stacks) and not args.list:
            args.output.mkdir(parents=True, exist_ok=True)
            with ByteProgress("fetching") as progress:
                if args.zip:
                    paths = [args.output / "crowdsky.zip"]
                    zipped = client.download_zip(stacks, paths[0], on_progress=progress)
                    missing = zipped.n_missing
                else:
                    paths = client.download(stacks, args.output, on_progress=progress)
    if args.json:
        found = [{"id": int(row["id"]), "label": str(row["label"])} for row in stacks]
        print(strict_json({"query": stacks.meta["query"], "stacks": found, "files": paths}))
    else:
        print("\n".join(stack_lines(stacks)))
        total = int(stacks["n_bytes"].sum()) if len(stacks) else 0
        where = f" in {args.output}" if paths else ""
        print(f"{plural(len(stacks), 'stack')}, {total / 1e6:.1f} MB{where}")
    if missing:
        print(f"crowdsky: {missing} of them are missing; see the manifest", file=sys.stderr)
    return EXIT_OK if len(stacks) and not missing else EXIT_NOT_ALL


def stack_lines(stacks: Table) -> list[str]:
    """Stacks laid out for people, one a line."""
    if not len(stacks):
        return []
    rows = [
        [
            str(row["label"]),
            str(row["target"]),
            str(row["telescope"]),
            str(row["filter"]),
            f"{row['exposure_total_s']:g}",
            f"{row['n_used']}/{row['n_frames']}",
            format_ra(row["ra_deg"]) if row["solved"] else "-",
            format_dec(row["dec_deg"]) if row["solved"] else "-",
            f"{row['fwhm_px']:.1f}" if row["fwhm_px"] > 0 else "-",
        ]
        for row in stacks[:_SHOWN]
    ]
    head = ["stack", "target", "telescope", "filter", "exp s", "used", "RA", "Dec", "FWHM px"]
    lines = format_table(head, rows, "llllrrrrr").splitlines()
    if len(stacks) > _SHOWN:
        lines.append(f"and {len(stacks) - _SHOWN} more")
    return lines
