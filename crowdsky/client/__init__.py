"""The service's client, for notebooks and scripts.

>>> from crowdsky.client import Client
>>> with Client("https://sky.example.org", "csk_...") as sky:  # doctest: +SKIP
...     sky.push(["nights/2025-05-24"])
...     sky.finalise()
...     sky.wait()
...     stacks = sky.stacks(ra=202.47, dec=47.19, size=2.0)
...     sky.download(stacks, "stacks")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crowdsky.client.client import Client
    from crowdsky.client.events import Event
    from crowdsky.client.facts import (
        Block,
        Books,
        Finalised,
        Frame,
        Job,
        JobPage,
        Me,
        StackPage,
        Upload,
        Zipped,
    )
    from crowdsky.client.push_report import PushedFile, PushReport

__all__ = [
    "Block",
    "Books",
    "Client",
    "Event",
    "Finalised",
    "Frame",
    "Job",
    "JobPage",
    "Me",
    "PushReport",
    "PushedFile",
    "StackPage",
    "Upload",
    "Zipped",
]

_HOMES = {
    "Client": "client",
    "Event": "events",
    "PushReport": "push_report",
    "PushedFile": "push_report",
}


def __getattr__(name: str) -> Any:
    # Loaded when used: httpx and astropy's tables take their time.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"crowdsky.client.{_HOMES.get(name, 'facts')}"), name)
