"""Close an observer's account, or open it again, for the operator of this machine's archive.

While it is closed nothing opens it: neither keys nor a sign-in nor a page. What was uploaded stays,
and public stacks stay public.
"""

from __future__ import annotations

import argparse

from crowdsky.cli.exits import EXIT_OK
from crowdsky.cli.local_archive import local_archive, observer_id_of

__all__ = ["configure", "run"]

_STATES = {"close": "deactivated", "open": "active"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=list(_STATES), help="close the account, or open it again")
    parser.add_argument("user", metavar="NAME", help="the observer")


def run(args: argparse.Namespace) -> int:
    """Do it in the archive that the settings name."""
    from crowdsky.archive.accounts import set_state

    with local_archive() as archive:
        set_state(archive, observer_id_of(archive, args.user), _STATES[args.action])
    print(f"the account of {args.user} is {'closed' if args.action == 'close' else 'open'}")
    return EXIT_OK
