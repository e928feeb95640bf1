"""Any selection of stacks as one archive: made once, sent as often as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from crowdsky.api.context import Context, context
from crowdsky.api.downloads_make import layout_of, make_download
from crowdsky.api.files_check import CheckedFiles
from crowdsky.api.files_send import answer_bytes, checked_files
from crowdsky.api.serve_json import plain_time
from crowdsky.api.stacks_query import BodyFilters
from crowdsky.api.who import Caller, needs
from crowdsky.api.zip_layout import ZipLayout
from crowdsky.archive.downloads import FrozenDownload, delete_download, find_download
from crowdsky.errors import Conflict

__all__ = ["DownloadRequest", "archive_bytes", "router"]

router = APIRouter(tags=["downloads"])

_JOINED = 1 << 16


class DownloadRequest(BodyFilters):
    """What is to be downloaded."""

    title: str = Field("", max_length=200)


@router.post("/api/v1/downloads", status_code=201)
def make(
    wanted: DownloadRequest,
    here: Annotated[Context, Depends(context)],
    checked: Annotated[CheckedFiles, Depends(checked_files)],
    caller: Annotated[Caller, Depends(needs("read"))],
) -> dict[str, Any]:
    """Freeze a selection; answers with the address and the exact size of its archive."""
    made = make_download(here, checked, wanted.query(), wanted.viewer(caller), wanted.title)
    return {
        "id": made.frozen.id,
        "url": f"/api/v1/downloads/{made.frozen.id}/crowdsky.zip",
        "n_stacks": made.n_stacks,
        "n_missing": made.n_missing,
        "n_bytes": made.frozen.n_bytes,
        "expires_utc": plain_time(made.frozen.expires_utc),
    }


@router.api_route("/api/v1/downloads/{download_id}/crowdsky.zip", methods=["GET", "HEAD"])
async def send(
    request: Request,
    download_id: str,
    here: Annotated[Context, Depends(context)],
    checked: Annotated[CheckedFiles, Depends(checked_files)],
    caller: Annotated[Caller, Depends(needs("read"))],
) -> Response:
    """The archive (ZIP); it has an exact length, and Range resumes it to the byte.

    Where a file has vanished since the archive was frozen, the connection is closed before the
    announced length is reached. Make the download again: its manifest then names what is missing.
    """

    def look() -> tuple[FrozenDownload, ZipLayout]:
        found = find_download(here.archive, caller.observer_id, download_id)
        return found, layout_of(found.entries, found.created_utc)

    frozen, layout = await run_in_threadpool(look)
    if layout.n_bytes != frozen.n_bytes:
        raise Conflict("this download was made by another version: make a new one")
    return answer_bytes(
        request,
        layout.n_bytes,
        f'"{frozen.id}"',
        lambda start, end: archive_bytes(checked, frozen, layout, start, end),
        {
            "Content-Type": "application/zip",
            "Content-Disposition": 'attachment; filename="crowdsky.zip"',
        },
    )


@router.delete("/api/v1/downloads/{download_id}", status_code=204)
def forget(
    download_id: str,
    here: Annotated[Context, Depends(context)],
    caller: Annotated[Caller, Depends(needs("read"))],
) -> Response:
    """Forget a download; one that is being sent is sent to its end."""
    delete_download(here.archive, caller.observer_id, download_id)
    return Response(status_code=204)


def archive_bytes(
    checked: CheckedFiles, frozen: FrozenDownload, layout: ZipLayout, start: int, end: int
) -> Iterator[bytes]:
    """Bytes ``[start, end)`` of an archive.

    Parameters
    ----------
    checked : CheckedFiles
    frozen : FrozenDownload
    layout : ZipLayout
        Of its entries.
    start, end : int

    Yields
    ------
    bytes
        Headers and texts are joined to pieces of some size.

    Raises
    ------
    ObjectMissing, ObjectRotten, StoreError
        On the way.
    """
    small: list[bytes] = []
    waiting = 0
    for piece in layout.pieces(start, end):
        data = piece.data
        if data is None:
            entry = frozen.entries[piece.entry]
            if entry.sha256:
                if small:
                    yield b"".join(small)
                    small, waiting = [], 0
                yield from checked.pieces(entry.sha256, entry.n_bytes, piece.start, piece.end)
                continue
            data = entry.text.encode()[piece.start : piece.end]
        small.append(data)
        waiting += len(data)
        if waiting >= _JOINED:
            yield b"".join(small)
            small, waiting = [], 0
    if small:
        yield b"".join(small)
