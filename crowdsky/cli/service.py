"""What the commands have in common that speak to a service."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from crowdsky.cli.output import one_line
from crowdsky.cli.progress import Progress

if TYPE_CHECKING:
    from crowdsky.client import Client

__all__ = ["ByteProgress", "add_service_arguments", "open_client", "plural", "reasons"]


def add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the service is. The key is no argument: others could read it in a list."""
    parser.add_argument(
        "--server",
        metavar="URL",
        help="address of the service (default: CROWDSKY_SERVER); the key is in CROWDSKY_API_KEY",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds to wait for a service that does not answer (default: 60)",
    )


def open_client(args: argparse.Namespace) -> Client:
    """A client as the arguments and the environment say; it tells when it has to wait."""
    from crowdsky.client import Client

    if not args.patience >= 0.0:
        args.usage_error(f"--patience {args.patience:g}: must be 0 or more")
    return Client(args.server, patience_s=args.patience, on_wait=_say_waiting)


def _say_waiting(reason: str, seconds: float) -> None:
    from tqdm import tqdm

    # tqdm's own writing goes above a bar that is being shown.
    text = f"crowdsky: {one_line(reason)}; trying again in {seconds:.0f} s"
    tqdm.write(text, file=sys.stderr)


class ByteProgress(Progress):
    """A progress bar that counts bytes, in MB and with their rate."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "B")

    def __enter__(self) -> ByteProgress:
        super().__enter__()
        self._bar.unit_scale = True
        return self

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Show how far the work is."""
        super().__call__(done, total, one_line(text, 40))


def plural(number: int, word: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> plural(1, "frame"), plural(2, "frame")
    ('1 frame', '2 frames')
    """
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def reasons(lines: Any, most: int = 8) -> list[str]:
    """The most frequent of some (outcome, reason) pairs, laid out."""
    from collections import Counter

    found = Counter((outcome, one_line(reason)) for outcome, reason in lines)
    return [f"{outcome} {n:>4}  {text}" for (outcome, text), n in found.most_common(most)]
