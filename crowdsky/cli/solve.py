"""Find where on the sky frames, or bare star lists, are.

A frame's header says roughly where it points; that is tried first, and then the whole sky. With
--blind the header's pointing is not used at all. Folders are walked.

With --stars the files are star lists: CSV with a header row naming the columns x, y and flux, in
0-based pixels. Their image's --size is needed; --ra and --dec, when known, make it quicker.

--json prints one object a line and file: file, solved, reason, mode, ra_deg and dec_deg (of the
image's centre), scale_arcsec_per_px, rotation_deg, parity, n_stars, n_matched, rms_arcsec,
log_odds, wcs {crval, crpix, cd} and ms {read, detect, match, fit}. What is not known is null.
wcs.crpix is 1-based, as the FITS cards CRPIX1 and CRPIX2 are; all other pixels are 0-based.

--write puts the solution beside the file, as <name>.wcs: a FITS header and nothing else. The frame
itself is never changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from crowdsky.cli.exits import EXIT_NOT_ALL, EXIT_OK
from crowdsky.cli.output import format_dec, format_ra, one_line, strict_json
from crowdsky.cli.solve_record import SolveRecord

if TYPE_CHECKING:
    from crowdsky.astrometry import PlateSolution

__all__ = ["configure", "run"]

S50_SCALE_ARCSEC_PER_PX = 2.374


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="frames, star lists, or folders"
    )
    parser.add_argument("--blind", action="store_true", help="search the whole sky at once")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line and file")
    parser.add_argument("--write", action="store_true", help="write <name>.wcs beside each file")
    lists = parser.add_argument_group("star lists")
    lists.add_argument("--stars", action="store_true", help="the files are star lists (CSV)")
    lists.add_argument("--size", metavar="WxH", help="size of their image, as in 1080x1920")
    lists.add_argument(
        "--scale",
        type=float,
        metavar="ARCSEC",
        help=f"arcsec a pixel (default: {S50_SCALE_ARCSEC_PER_PX}, the S50)",
    )
    lists.add_argument("--ra", type=float, help="rough centre, ICRS degrees")
    lists.add_argument("--dec", type=float, help="rough centre, ICRS degrees")


def run(args: argparse.Namespace) -> int:
    """Solve every file, print each as it is done; 0 when all were solved."""
    _check_usage(args)
    solved = total = 0
    all_written = True
    if not args.json:
        print(_HEAD)
    for record in _records(args):
        total += 1
        solved += record.solved
        if args.write and record.solution is not None:
            all_written &= _write(record.file, record.solution)
        print(strict_json(record.as_dict()) if args.json else _line(record), flush=True)
    if not args.json:
        print(f"{solved} of {total} solved")
    return EXIT_OK if total and solved == total and all_written else EXIT_NOT_ALL


def _write(frame: Path, solution: PlateSolution) -> bool:
    from crowdsky.cli.wcs_file import write_wcs_file

    try:
        write_wcs_file(frame, solution)
    except OSError as error:
        # A folder that cannot be written to spoils this file's copy, not the rest of the batch.
        reason = error.strerror or type(error).__name__
        print(f"crowdsky: error: {one_line(str(frame))}: not written: {reason}", file=sys.stderr)
        return False
    return True


def _check_usage(args: argparse.Namespace) -> None:
    if not args.stars:
        for name in ("size", "scale", "ra", "dec"):
            if getattr(args, name) is not None:
                args.usage_error(f"--{name} goes with --stars")
        return
    if args.size is None:
        args.usage_error("--stars needs --size WIDTHxHEIGHT")
    from crowdsky.cli.star_table import parse_size

    try:
        args.shape = parse_size(args.size)
    except ValueError as error:
        args.usage_error(f"--size: {error}")
    if (args.ra is None) != (args.dec is None):
        args.usage_error("--ra and --dec go together")
    if args.blind and args.ra is not None:
        args.usage_error("--blind and --ra --dec contradict each other")
    if args.dec is not None and not -90.0 <= args.dec <= 90.0:
        args.usage_error(f"--dec {args.dec}: must be from -90 to 90")
    if args.ra is not None and not -360.0 <= args.ra <= 360.0:
        args.usage_error(f"--ra {args.ra}: must be degrees from 0 to 360")
    if args.scale is not None and not 0.01 <= args.scale <= 1000.0:
        args.usage_error(f"--scale {args.scale}: must be from 0.01 to 1000 arcsec a pixel")


def _records(args: argparse.Namespace) -> Iterator[SolveRecord]:
    if args.stars:
        from crowdsky.cli.solve_record import solve_list

        hint = None if args.ra is None else (args.ra % 360.0, args.dec)
        scale = S50_SCALE_ARCSEC_PER_PX if args.scale is None else args.scale
        for path in _listed(args.files, "*.csv"):
            yield solve_list(path, args.shape, scale_arcsec_per_px=scale, hint=hint)
        return
    from crowdsky.astrometry import ScaleMemory
    from crowdsky.cli.solve_record import solve_file
    from crowdsky.frames import find_frames

    scales = ScaleMemory()
    for given in args.files:
        # A file named by hand is always tried; only folders are searched for what is a frame.
        paths = find_frames([given]).frames if given.is_dir() else [given]
        for path in paths:
            yield solve_file(path, blind=args.blind, scales=scales)


def _listed(files: list[Path], pattern: str) -> Iterator[Path]:
    for given in files:
        if given.is_dir():
            yield from sorted(given.rglob(pattern))
        else:
            yield given


_HEAD = f"{'RA':<11}  {'Dec':<10}  arcsec/px  rotation    stars   rms  {'mode':<7}     ms  file"


def _line(record: SolveRecord) -> str:
    """One line of the table for people; columns have fixed widths, as lines are printed at once."""
    name = one_line(str(record.file))
    found = record.solution
    if found is None:
        return f"unsolved: {name}: {one_line(record.reason)}"
    stars = f"{found.n_matched}/{found.n_stars}"
    return (
        f"{format_ra(found.ra_deg)}  {format_dec(found.dec_deg)}  {found.scale_arcsec_per_px:9.4f}"
        f"  {round(found.rotation_deg, 2) + 0.0:8.2f}  {stars:>7}  {found.rms_arcsec:4.2f}"
        f"  {found.mode:<7}  {sum(record.ms.values()):5.1f}  {name}"
    )
