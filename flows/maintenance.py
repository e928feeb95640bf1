"""What is done by the clock: ``python -m flows.maintenance``.

One long-lived process calls each chore as a flow when its time has come. Prefect could schedule
them itself, as deployments, but would start a process for each run: five seconds and more, and all
imports, for a query that takes milliseconds. Here a run costs a tenth of a second, is shown in
Prefect like any other, and is tried again there when it fails. While Prefect's server is away the
chores are done without it: what frees the disk must not wait for what draws it.

Workers look after expired leases themselves, more often than this does.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from crowdsky.archive.engine import Archive
from crowdsky.settings import ServerSettings, load_server_settings
from crowdsky.work.upkeep import Upkeep
from flows.process import run_until_signalled
from flows.server import api_url_of, use_server

__all__ = ["Chore", "chores", "main", "run_chore", "serve"]

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
RETRIES = 2
RETRY_REST_S = 20.0

log = logging.getLogger("crowdsky.maintenance")


@dataclass(slots=True)
class Chore:
    """Something to be done every so often.

    Attributes
    ----------
    every_s, first_s : float
        Seconds between two runs, and until the first.
    """

    name: str
    call: Callable[[], str]
    every_s: float
    first_s: float = 0.0
    begun: bool = field(default=False, init=False)
    error: BaseException | None = field(default=None, init=False)


def chores(upkeep: Upkeep) -> list[Chore]:
    """The chores of an archive; the first runs are spread, so that a start is not slow."""
    return [
        Chore("expire leases", upkeep.expire_leases, 10 * MINUTE_S, 5.0),
        Chore("expire uploads", upkeep.expire_uploads, HOUR_S, 30.0),
        Chore("sweep", upkeep.sweep, HOUR_S, MINUTE_S),
        Chore("scrub", upkeep.scrub, HOUR_S, 5 * MINUTE_S),
        Chore("refresh the catalogue", upkeep.refresh_catalogue, DAY_S, 2 * MINUTE_S),
    ]


_chores: dict[str, Chore] = {}


@flow(
    name="upkeep",
    flow_run_name="{chore}",
    retries=RETRIES,
    retry_delay_seconds=RETRY_REST_S,
    validate_parameters=False,
    persist_result=False,
)
async def upkeep_flow(chore: str) -> State[Any]:
    """Do one chore.

    Parameters
    ----------
    chore : str
        Its name.
    """
    todo = _chores[chore]
    todo.begun = True
    work = asyncio.create_task(asyncio.to_thread(todo.call))
    await asyncio.wait({work})
    todo.error = work.exception()
    return Completed(message=work.result())


async def run_chore(chore: Chore, *, prefect: bool = True) -> BaseException | None:
    """Do a chore, in a flow run if that can be had; returns what went wrong for good."""
    _chores[chore.name] = chore
    chore.begun = False
    run: asyncio.Task[Any]
    if prefect:
        run = asyncio.create_task(_flow_run(chore.name))
        await asyncio.wait({run})
        if chore.begun:
            return chore.error
        log.warning("%s: without Prefect (%s)", chore.name, run.exception())
    run = asyncio.create_task(asyncio.to_thread(chore.call))
    await asyncio.wait({run})
    return run.exception()


async def serve(todo: list[Chore], stop: asyncio.Event, *, prefect: bool = True) -> None:
    """Do chores by the clock until told to stop; one after the other, the most overdue first."""
    begin = monotonic()
    due = {chore.name: begin + chore.first_s for chore in todo}
    stopping = asyncio.create_task(stop.wait())
    while not stop.is_set():
        chore = min(todo, key=lambda one: due[one.name])
        rest_s = max(0.0, due[chore.name] - monotonic())
        await asyncio.wait({stopping}, timeout=rest_s)
        if stop.is_set():
            break
        error = await run_chore(chore, prefect=prefect)
        due[chore.name] = monotonic() + chore.every_s
        if error is not None:
            log.error("%s: %s", chore.name, error)
    stopping.cancel()


async def _flow_run(name: str) -> Any:
    # The state, because the exception of a try that was repeated would be raised even so.
    state: Any = upkeep_flow(name, return_state=True)
    return await state


async def _main(settings: ServerSettings, args: argparse.Namespace, stop: asyncio.Event) -> None:
    from crowdsky.archive.open_store import open_store

    prefect = not args.no_prefect
    archive = Archive(settings.database_url)
    todo = chores(Upkeep(settings, archive, open_store(settings)))
    try:
        if not args.once:
            log.info("ready")
            await serve(todo, stop, prefect=prefect)
            return
        errors = [await run_chore(chore, prefect=prefect) for chore in todo]
        for error in errors:
            if error is not None:
                raise error
    finally:
        archive.close()


def main(argv: list[str] | None = None) -> int:
    """Look after an archive until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m flows.maintenance", description=__doc__)
    parser.add_argument("--once", action="store_true", help="do everything once, then end")
    parser.add_argument("--no-prefect", action="store_true", help="show nothing in Prefect")
    args = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request otherwise
    settings = load_server_settings()
    if not args.no_prefect:
        use_server(api_url_of(settings))
    return run_until_signalled(functools.partial(_main, settings, args))


if __name__ == "__main__":
    sys.exit(main())
