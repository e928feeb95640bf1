"""Make, list and revoke API keys, for the operator of this machine's archive.

A key is shown once, when it is made; the archive keeps its hash. Observers with a key manage their
own through the service.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

from crowdsky.cli.exits import EXIT_OK
from crowdsky.cli.local_archive import local_archive, observer_id_of
from crowdsky.cli.output import format_table, strict_json

if TYPE_CHECKING:
    from crowdsky.archive.engine import Archive

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key and print it")
    create.add_argument("--name", default="command line", help="what it is called")
    create.add_argument(
        "--scopes",
        default="read,write",
        metavar="LIST",
        help="of read, write and account, with commas (default: read,write)",
    )
    create.add_argument("--days", type=float, metavar="N", help="good for so long (default: ever)")
    listing = actions.add_parser("list", help="show the keys, which are not shown themselves")
    revoke = actions.add_parser("revoke", help="make a key useless")
    revoke.add_argument("key_id", type=int, metavar="N", help="number of the key, as listed")
    for action in (create, listing, revoke):
        action.add_argument("--user", required=True, metavar="NAME", help="the observer")
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Do it in the archive that the settings name."""
    with local_archive() as archive:
        if args.action == "create":
            _create(archive, args)
        elif args.action == "list":
            _list(archive, args)
        else:
            _revoke(archive, args)
    return EXIT_OK


def _create(archive: Archive, args: argparse.Namespace) -> None:
    from crowdsky.archive.accounts import ensure_observer
    from crowdsky.archive.keys import create_key

    scopes = [scope.strip() for scope in args.scopes.split(",") if scope.strip()]
    observer_id = ensure_observer(archive, args.user)
    number, text = create_key(archive, observer_id, args.name, scopes=scopes, days=args.days)
    print(strict_json({"id": number, "key": text}) if args.json else text)


def _list(archive: Archive, args: argparse.Namespace) -> None:
    from crowdsky.archive.keys import list_keys

    keys = list_keys(archive, observer_id_of(archive, args.user))
    if args.json:
        print(strict_json([{n: getattr(key, n) for n in key.__slots__} for key in keys], indent=2))
        return
    rows = [
        [
            str(key.key_id),
            key.name,
            f"{key.prefix}...",
            ",".join(key.scopes),
            _day(key.created_utc),
            "revoked" if key.revoked_utc else _day(key.expires_utc),
            _day(key.used_utc),
        ]
        for key in keys
    ]
    head = ["key", "name", "begins", "scopes", "made", "good until", "used"]
    print(format_table(head, rows, "rllllll") if rows else "no keys")


def _revoke(archive: Archive, args: argparse.Namespace) -> None:
    from crowdsky.archive.keys import revoke_key

    revoke_key(archive, observer_id_of(archive, args.user), args.key_id)
    print(strict_json({"revoked": args.key_id}) if args.json else f"key {args.key_id} is revoked")


def _day(time: datetime | None) -> str:
    return "-" if time is None else time.strftime("%Y-%m-%d")
