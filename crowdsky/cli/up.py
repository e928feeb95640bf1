"""Run the whole platform on this machine: Hub, pages, service, Prefect server, worker, maintenance.

The database is brought up to date first. What dies is started again, and it is said. Ctrl-C or
SIGTERM stops everything. Nothing listens but on 127.0.0.1; everything is kept in one folder.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crowdsky.cli.exits import EXIT_INTERRUPTED, EXIT_NOT_ALL, EXIT_OK
from crowdsky.cli.output import one_line

if TYPE_CHECKING:
    from crowdsky.supervise.running import Platform

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="folder of everything (default: CROWDSKY_HOME)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="blocks stacked at once")
    parser.add_argument(
        "--hub-port", type=int, metavar="N", help="of the site; 0 for any that is free"
    )
    parser.add_argument("--api-port", type=int, metavar="N", help="of the service; 0 for any")
    parser.add_argument("--pages-port", type=int, metavar="N", help="of the pages; 0 for any")
    parser.add_argument(
        "--prefect-port", type=int, metavar="N", help="of the Prefect server; 0 for any"
    )
    parser.add_argument(
        "--no-hub", action="store_true", help="neither sign-in nor pages: API keys only"
    )
    parser.add_argument(
        "--demo", action="store_true", help="add a demo account, and send a simulated night"
    )
    parser.add_argument(
        "--once", action="store_true", help="with --demo: stop when the night is done"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="with --demo: where the ZIP of the stacks goes (default: demo/ in the folder)",
    )
    parser.add_argument(
        "--ready-file", type=Path, metavar="PATH", help="write addresses here once all answers"
    )
    parser.add_argument("--quiet", action="store_true", help="print only what went wrong")


def run(args: argparse.Namespace) -> int:
    """Start, wait, stop."""
    if args.once and not args.demo:
        args.usage_error("--once goes with --demo")
    if os.name != "posix":
        args.usage_error("the platform runs on Linux and macOS; push, pull and jobs run everywhere")
    from crowdsky.supervise.options import settings_with
    from crowdsky.supervise.running import running_platform

    overrides = _overrides(args)
    settings = settings_with(overrides)
    ready, code = False, EXIT_OK
    with _stops_as_interrupts():
        _tell(args, f"starting in {settings.home}")
        try:
            with running_platform(
                settings,
                overrides,
                demo=args.demo,
                with_hub=not args.no_hub,
                say=_say,
                ready_file=args.ready_file,
            ) as platform:
                _announce(args, platform)
                ready = not args.once
                if args.demo:
                    code = _demo(args, platform)
                if args.once:
                    return code
                _tell(args, "running; Ctrl-C stops everything")
                while True:
                    time.sleep(3600.0)
        except KeyboardInterrupt:
            _tell(args, "stopped")
            return EXIT_OK if ready else EXIT_INTERRUPTED


def _overrides(args: argparse.Namespace) -> dict[str, str]:
    from crowdsky.supervise.ports import free_port

    found: dict[str, str] = {}
    if args.home is not None:
        found["CROWDSKY_HOME"] = str(args.home.absolute())
    if args.jobs is not None:
        found["CROWDSKY_JOBS"] = str(args.jobs)
    for name, variable in (
        ("hub_port", "CROWDSKY_HUB_PORT"),
        ("api_port", "CROWDSKY_API_PORT"),
        ("pages_port", "CROWDSKY_PAGES_PORT"),
        ("prefect_port", "CROWDSKY_PREFECT_PORT"),
    ):
        port = getattr(args, name)
        if port is not None:
            found[variable] = str(port or free_port())
    return found


def _announce(args: argparse.Namespace, platform: Platform) -> None:
    at = platform.addresses
    rows = []
    if platform.demo is not None:
        rows += _demo_rows(args, platform)
    rows += [
        ("service", at["service"]),
        ("its documentation", f"{at['service']}/api/docs"),
        ("Prefect", at["prefect"]),
        ("kept in", str(platform.settings.home)),
    ]
    told = platform.settings
    if not args.no_hub and told.operators and not _is_here(platform.site):
        rows.append(("operators", f"sign up by the links in {told.home / 'logs' / 'hub.log'}"))
    if not args.no_hub:
        _tell(args, f"open {platform.site}")
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        _tell(args, f"  {name:<{width}}  {text}")


def _is_here(address: str) -> bool:
    return address.startswith(("http://127.0.0.1:", "http://localhost:"))


def _demo_rows(args: argparse.Namespace, platform: Platform) -> list[tuple[str, str]]:
    assert platform.demo is not None
    secrets = platform.settings.home / "secrets.json"
    rows = [("demo's key", f"in {secrets}")]
    if not args.no_hub:
        # A password is shown on a terminal of the only machine that it is good for.
        word = platform.demo.password if _is_here(platform.site) else f"in {secrets}"
        rows.insert(0, ("sign in", f"as {platform.demo.user} with the password {word}"))
    return rows


def _demo(args: argparse.Namespace, platform: Platform) -> int:
    from crowdsky.cli.demo_night import demo_night
    from crowdsky.errors import CrowdSkyError

    assert platform.demo is not None
    folder = platform.settings.home / "demo"
    try:
        good = demo_night(
            platform.addresses["service"],
            platform.demo.api_key,
            folder,
            args.output or folder,
            lambda text: _tell(args, text),
        )
    except CrowdSkyError as error:
        if args.once:
            raise
        _say(f"the demo night could not be finished: {error}")
        return EXIT_NOT_ALL
    return EXIT_OK if good else EXIT_NOT_ALL


def _tell(args: argparse.Namespace, text: str) -> None:
    if not args.quiet:
        print(text, flush=True)


def _say(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(f"crowdsky: {one_line(text, 500)}", file=sys.stderr)
    sys.stderr.flush()


class _Signals:
    """SIGTERM is to this command what Ctrl-C is."""

    def __init__(self) -> None:
        self._stopping = False

    def __call__(self, number: int, frame: Any) -> None:  # noqa: ARG002 - as signal has it
        # Once is enough: a second one would cut the stopping short and leave children.
        if not self._stopping:
            self._stopping = True
            raise KeyboardInterrupt


@contextmanager
def _stops_as_interrupts() -> Iterator[None]:
    handler = _Signals()
    before = {
        number: signal.signal(number, handler)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
