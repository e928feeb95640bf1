"""Choose the command, run it, and turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from crowdsky import __version__
from crowdsky.cli.exits import EXIT_INTERRUPTED, EXIT_NOT_ALL, EXIT_OK, EXIT_USAGE
from crowdsky.errors import CrowdSkyError, SettingsError

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "solve": "find where on the sky frames or bare star lists are",
    "stack": "group, solve and stack frames into fifteen-minute blocks",
    "simulate": "draw a session of raw frames from the star catalogue",
    "catalogue": "look after the star catalogue and its indexes",
    "demo": "simulate a short night, solve it, stack it, show what came out",
    "up": "run the whole platform on this machine",
    "push": "send frames to a service; resumes, and skips what is there",
    "pull": "bring stacks home, by place, time or target",
    "jobs": "show, watch, delete or retry stacking jobs",
    "key": "make, list and revoke API keys of this machine's archive",
    "observer": "close an observer's account, or open it again",
    "serve": "run the service alone",
    "worker": "run a worker alone",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when omitted.

    Returns
    -------
    int
        0 when all went well, 1 when something could not be done, 2 on wrong usage, 130 when
        interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except SystemExit as stop:  # argparse: 0 after --help, 2 after wrong usage
        return stop.code if isinstance(stop.code, int) else EXIT_USAGE
    except SettingsError as error:
        return _complain(error, EXIT_USAGE)
    except CrowdSkyError as error:
        return _complain(error, EXIT_NOT_ALL)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); point stdout at nothing, so that the
        # interpreter's last flush does not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOT_ALL
    except OSError as error:
        return _complain(_os_error_text(error), EXIT_NOT_ALL)
    except KeyboardInterrupt:
        return _complain("interrupted", EXIT_INTERRUPTED)


def _run(words: list[str]) -> int:
    top = _top_parser()
    if not words:
        top.print_help(sys.stderr)
        return EXIT_USAGE
    if words[0].startswith("-"):
        top.parse_args(words)  # --help and --version leave here; anything else is wrong
        return EXIT_USAGE
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        top.error(f"no command {name!r}; there are {', '.join(COMMANDS)}")
    command: Any = import_module(f"crowdsky.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"crowdsky {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.configure(parser)
    args = parser.parse_args(rest)
    args.usage_error = parser.error
    code: int = command.run(args)
    sys.stdout.flush()
    return code


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="crowdsky",
        usage="crowdsky [--help] [--version] COMMAND ...",
        description="Stack and plate-solve the frames of ZWO Seestar smart telescopes.",
        epilog=f"commands:\n{listing}\n\n`crowdsky COMMAND --help` tells more. Exit codes: "
        f"{EXIT_OK} done, {EXIT_NOT_ALL} not all done (stack: nothing), {EXIT_USAGE} wrong usage.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"crowdsky {__version__}")
    return parser


def _complain(what: object, code: int) -> int:
    print(f"crowdsky: error: {what}", file=sys.stderr)
    return code


def _os_error_text(error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason
