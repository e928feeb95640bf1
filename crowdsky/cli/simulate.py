"""Draw a session of raw Seestar frames from the star catalogue, with the truth beside it.

The frames are as the telescope writes them: Bayer mosaics with its header cards, pointing at the
equinox of date, field rotation, dithers, seeing, sky gradient, hot pixels. `truth.json` in the same
folder says where everything really is.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crowdsky.cli.exits import EXIT_OK
from crowdsky.cli.progress import Progress

if TYPE_CHECKING:
    from crowdsky.simulate import SessionPlan, Truth

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="where the frames go"
    )
    parser.add_argument("--model", default="S50", help="S50, S30 or 'S30 Pro' (default: S50)")
    parser.add_argument("--target", default="Demo", help="name of the target, for OBJECT")
    parser.add_argument("--ra", type=float, default=192.72, help="centre, ICRS degrees")
    parser.add_argument("--dec", type=float, default=41.12, help="centre, ICRS degrees")
    parser.add_argument(
        "--frames", type=int, default=10, metavar="N", help="how many (default: 10)"
    )
    parser.add_argument(
        "--start",
        type=_utc,
        default=datetime(2025, 3, 26, 21, 0, tzinfo=UTC),
        metavar="UTC",
        help="start of the first exposure, ISO 8601 (default: 2025-03-26T21:00:00)",
    )
    parser.add_argument(
        "--exposure", type=float, default=10.0, help="seconds a frame (default: 10)"
    )
    parser.add_argument("--filter", default="IRCUT", help="IRCUT or LP (default: IRCUT)")
    parser.add_argument("--firmware", default="4.27", help="whose header cards (default: 4.27)")
    parser.add_argument(
        "--rotation",
        type=float,
        default=0.0,
        help="position angle of growing y in the first frame, degrees (default: 0)",
    )
    parser.add_argument(
        "--equatorial", action="store_true", help="a mount on which the field does not rotate"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same sky")


def run(args: argparse.Namespace) -> int:
    """Draw the session."""
    if args.frames < 1:
        args.usage_error(f"--frames {args.frames}: must be 1 or more")
    if not -90.0 <= args.dec <= 90.0:
        args.usage_error(f"--dec {args.dec}: must be from -90 to 90")
    from crowdsky.simulate import Mount, SessionPlan

    plan = SessionPlan(
        model=args.model,
        target=args.target,
        ra_deg=args.ra % 360.0,
        dec_deg=args.dec,
        n_frames=args.frames,
        start_utc=args.start,
        exposure_s=args.exposure,
        filter_name=args.filter,
        firmware=args.firmware,
        rotation_deg=args.rotation,
        mount=Mount.EQUATORIAL if args.equatorial else Mount.ALTAZ,
        seed=args.seed,
    )
    truth = simulate_with_progress(plan, args.output)
    print(f"{args.frames} frames of {args.target!r} in {truth.folder}")
    return EXIT_OK


def simulate_with_progress(plan: SessionPlan, folder: Path) -> Truth:
    """Draw one session under a progress bar."""
    from crowdsky.simulate import simulate_session

    with Progress("simulating", "frame") as progress:
        return simulate_session(plan, folder, progress=progress)


def _utc(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
