"""The service as one application."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from sqlalchemy import QueuePool

from crowdsky import __version__
from crowdsky.api.context import Context
from crowdsky.api.errors_http import install_errors
from crowdsky.api.hub import HubDoor
from crowdsky.api.limits import Guard
from crowdsky.api.serve_headers import SafeHeaders
from crowdsky.api.who import Doorkeeper
from crowdsky.archive.sky_index import warm_up

__all__ = ["ROUTERS", "create_app"]

#: Modules of this package that have a ``router``.
ROUTERS = (
    "serve_health",
    "hub",
    "account",
    "keys",
    "uploads",
    "blocks",
    "jobs",
    "frames",
    "events",
    "stacks",
    "files",
    "downloads",
    "sky",
    "site",
    "compat",
    "serve_docs",
)
_THREADS = 16  # of routes; below the connections of the pool, so that nobody waits for one
_WARMING_S = 5.0  # what a stop waits for an index that is just being loaded

_DESCRIPTION = """\
Stacks of Seestar frames: send frames, watch them being stacked, search and download the stacks.
Sign in through the Hub, or send an API key: 'Authorization: Bearer csk_...'.
Times are UTC (ISO 8601 with a Z), angles degrees, names snake_case. A refusal is
{"error": kind, "message": text}; what belongs to somebody else is 'not found'."""


def create_app(context: Context, *, hub: HubDoor | None = None) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    context : Context
    hub : HubDoor, optional
        Where people sign in; without one there are only API keys.

    Returns
    -------
    FastAPI
    """
    app = _Application(
        title="CrowdSky",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_open,
    )
    app.state.context = context
    app.state.tasks = set()  # work that goes on after its request was answered
    app.state.doorkeeper = keeper = Doorkeeper(context, hub)
    install_errors(app)
    # The last one added is the outermost.
    app.add_middleware(
        Guard, per_minute=context.settings.requests_per_minute, name_of=keeper.name_of
    )
    app.add_middleware(SafeHeaders, prefix="" if hub is None else hub.prefix)
    for name in ROUTERS:
        app.include_router(import_module(f"crowdsky.api.{name}").router)
    return app


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The schema; operations that share a route are numbered by their method."""
        if self.openapi_schema is None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Duplicate Operation ID")
                schema = super().openapi()
            for methods in schema["paths"].values():
                for method, operation in methods.items():
                    stem = operation["operationId"].rpartition("_")[0]
                    operation["operationId"] = f"{stem}_{method}"
        return super().openapi()


@asynccontextmanager
async def _open(app: Any) -> AsyncIterator[None]:
    pool = app.state.context.archive.engine.pool
    threads = _THREADS
    if isinstance(pool, QueuePool):
        threads = max(4, min(_THREADS, 2 * pool.size() - 4))
    anyio.to_thread.current_default_thread_limiter().total_tokens = threads
    # Searches do not wait for the index of the sky; they are quicker once it is there.
    warming = threading.Thread(
        target=warm_up, args=(app.state.context.archive,), name="sky-index", daemon=True
    )
    warming.start()
    yield
    await asyncio.to_thread(warming.join, _WARMING_S)
    await asyncio.gather(*app.state.tasks, return_exceptions=True)
