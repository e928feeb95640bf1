"""What every route works with."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from crowdsky.archive.engine import Archive
from crowdsky.archive.store import FileStore
from crowdsky.settings import ServerSettings

__all__ = ["Context", "context"]


@dataclass(frozen=True, slots=True)
class Context:
    """The archive, the file store and the settings of one running service."""

    settings: ServerSettings
    archive: Archive
    store: FileStore


def context(request: Request) -> Context:
    """The context of the service that got a request (a FastAPI dependency)."""
    found: Context = request.app.state.context
    return found
