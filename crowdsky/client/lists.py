"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crowdsky.client.facts import Item, Upload
from crowdsky.client.transport import API, Transport

__all__ = ["list_uploads", "one_upload", "pages"]

PAGE = 1000


def pages(transport: Transport, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Every page of a list, as JSON.

    Parameters
    ----------
    transport : Transport
    path : str
    **params
        Query parameters; those that are None are left out.
    """
    after: Any = None
    while True:
        page = transport.get(path, limit=PAGE, after=after, **params)
        yield page
        after = page.get("next_after")
        if after is None:
            return


def list_uploads(transport: Transport, *, state: str | None = None) -> list[Upload]:
    """The caller's uploads, newest first."""
    found = pages(transport, f"{API}/uploads", state=state)
    return [Upload.of(line) for page in found for line in page["uploads"]]


def one_upload(transport: Transport, url: str) -> Upload:
    """An upload with what came of its files."""
    table = transport.get(url)
    items = tuple(Item.of(item) for item in table.get("items", ()))
    return Upload.of(table | {"items": items})
