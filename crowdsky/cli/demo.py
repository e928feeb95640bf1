"""The main job in one go: a short night of two targets, solved, stacked and shown.

Without --data the night is simulated, so the demo needs no telescope and no network. With it, the
frames below that folder are taken as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from crowdsky.cli.exits import EXIT_NOT_ALL
from crowdsky.cli.night import night_table

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("night"),
        metavar="DIR",
        help="where frames/ and stacks/ go (default: night)",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="real frames to take instead of simulating"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same night")
    parser.add_argument("--jobs", type=int, metavar="N", help="worker processes")


def run(args: argparse.Namespace) -> int:
    """Simulate or take the frames, stack them, print what came out."""
    from crowdsky.cli.stack import exit_code, stack_with_progress

    if args.jobs is not None and args.jobs < 1:
        args.usage_error(f"--jobs {args.jobs}: must be 1 or more")
    if args.data is None:
        frames = args.output / "frames" / f"seed_{args.seed}"
        _draw_night(frames, args.seed)
    elif args.data.is_dir():
        frames = args.data
    else:
        args.usage_error(f"--data {args.data}: no such folder")
    report = stack_with_progress([frames], args.output / "stacks", jobs=args.jobs)
    print(night_table(report))
    if not report["blocks"]:
        print(f"no frame to stack below {frames}")
        return EXIT_NOT_ALL
    return exit_code(report)


def _draw_night(folder: Path, seed: int) -> None:
    from crowdsky.cli.simulate import simulate_with_progress
    from crowdsky.simulate import demo_plans
    from crowdsky.simulate.fits_file import folder_name

    for plan in demo_plans(seed):
        session = folder / folder_name(plan)
        # The truth is written last, so where it is, the frames are all there.
        if (session / "truth.json").exists():
            print(f"{plan.target}: {plan.n_frames} frames drawn before, in {session}")
            continue
        print(f"{plan.target}: drawing {plan.n_frames} frames into {session}", flush=True)
        simulate_with_progress(plan, folder)
