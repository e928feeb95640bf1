"""The service as a process: ``python -m crowdsky.api.serve``.

It listens on 127.0.0.1 only; whoever faces the world stands in front of it (the Hub's proxy). Run
by the Hub as one of its services, it answers below the Hub's prefix and signs people in there.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn

from crowdsky.api.app import create_app
from crowdsky.api.context import Context
from crowdsky.api.hub import hub_door
from crowdsky.archive.engine import Archive
from crowdsky.errors import CrowdSkyError
from crowdsky.settings import ServerSettings, load_server_settings

__all__ = ["Service", "make_service", "open_context"]

STOP_S = 10


class Service(uvicorn.Server):
    """uvicorn's server; when it stops, it first ends the answers that would never end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: no new requests, those under way are finished."""
        listeners = getattr(getattr(self.config.app, "state", None), "events", None)
        if listeners is not None:
            listeners.close()
        await super().shutdown(sockets)


def open_context(settings: ServerSettings) -> Context:
    """The archive and the store that the settings name.

    Raises
    ------
    SettingsError, StoreError
    """
    from crowdsky.archive.open_store import open_store

    return Context(settings, Archive(settings.database_url), open_store(settings))


def make_service(context: Context, *, port: int | None = None) -> Service:
    """A server that is not running yet.

    Parameters
    ----------
    context : Context
    port : int, optional
        That of the settings when omitted; 0 for any that is free.
    """
    settings = context.settings
    hub = hub_door(secure=settings.public_url.startswith("https://"))
    config = uvicorn.Config(
        create_app(context, hub=hub),
        host="127.0.0.1",
        port=settings.api_port if port is None else port,
        http="httptools",
        # An access log would hold who asked for what; errors are logged.
        access_log=False,
        log_level="warning",
        server_header=False,
        # Only a proxy on this machine is believed when it says whom it speaks for.
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_S,
        backlog=2048,
        lifespan="on",
    )
    return Service(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="crowdsky serve", description=__doc__)
    parser.add_argument("--port", type=int, help="on 127.0.0.1 (default: CROWDSKY_API_PORT)")
    parser.add_argument("--fd", type=int, help="an open listening socket, instead of a port")
    asked = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("crowdsky").setLevel(logging.INFO)
    try:
        context = open_context(load_server_settings())
    except CrowdSkyError as error:
        sys.stderr.write(f"crowdsky serve: {error}\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        # While it serves, uvicorn takes these and stops cleanly; then it hands them on to us.
        signal.signal(number, _stop)
    try:
        service = make_service(context, port=asked.port)
        # The number alone would be taken for a Unix socket, and answers would wait for Nagle.
        service.run(None if asked.fd is None else [socket.socket(fileno=asked.fd)])
    finally:
        context.archive.close()
    return 0 if service.started else 1


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
