"""The files of a stack: the stack itself, its preview and its thumbnail."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from crowdsky.api.context import Context, context
from crowdsky.api.files_check import CheckedFiles
from crowdsky.api.files_send import answer_bytes, checked_files, digest_header
from crowdsky.api.manifest import file_name
from crowdsky.api.serve_json import MAX_ID
from crowdsky.api.stacks_query import someone
from crowdsky.api.who import Caller, maybe_caller, needs
from crowdsky.archive.models import ObjectRow, StackRow
from crowdsky.archive.scrub import note_rotten
from crowdsky.archive.stacks import visible_stack
from crowdsky.errors import NotFound, ObjectMissing, ObjectRotten

__all__ = ["router", "send_stack"]

router = APIRouter(tags=["stacks"])

_FIRST_BYTES = 12

Here = Annotated[Context, Depends(context)]
Checked = Annotated[CheckedFiles, Depends(checked_files)]
StackId = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.api_route("/api/v1/stacks/{stack_id}/file", methods=["GET", "HEAD"])
async def stack_file(
    request: Request,
    stack_id: StackId,
    here: Here,
    checked: Checked,
    caller: Annotated[Caller, Depends(needs("read"))],
) -> Response:
    """The stack (FITS); Range, If-Range and If-None-Match are heeded."""
    return await send_stack(request, here, checked, stack_id, caller)


@router.api_route("/api/v1/stacks/{stack_id}/preview", methods=["GET", "HEAD"])
async def preview(
    request: Request,
    stack_id: StackId,
    here: Here,
    checked: Checked,
) -> Response:
    """The picture of a stack; of a public one for everyone."""
    return await _send_picture(request, here, checked, stack_id, "preview")


@router.api_route("/api/v1/stacks/{stack_id}/thumbnail", methods=["GET", "HEAD"])
async def thumbnail(
    request: Request,
    stack_id: StackId,
    here: Here,
    checked: Checked,
) -> Response:
    """The small picture of a stack; of a public one for everyone."""
    return await _send_picture(request, here, checked, stack_id, "thumbnail")


async def send_stack(
    request: Request, here: Context, checked: CheckedFiles, stack_id: int, caller: Caller
) -> Response:
    """Answer with a stack's FITS file.

    Raises
    ------
    NotFound
        No such stack, or the caller may not see it.
    ObjectMissing, ObjectRotten, StoreError
        Before the first byte is sent.
    """
    return await _send(request, here, checked, stack_id, caller, "file")


async def _send_picture(
    request: Request, here: Context, checked: CheckedFiles, stack_id: int, what: str
) -> Response:
    """Answer with a picture; to a browser that signed in, who asks matters only if it must.

    So a page for everyone shows its pictures also where a sign-in has ended, and a dozen of them
    do not count as a dozen wrong keys.
    """
    if "authorization" not in request.headers:
        try:
            return await _send(request, here, checked, stack_id, None, what)
        except NotFound:
            pass  # it may be the caller's own
    caller = await someone(await maybe_caller(request))
    return await _send(request, here, checked, stack_id, caller, what)


async def _send(
    request: Request,
    here: Context,
    checked: CheckedFiles,
    stack_id: int,
    caller: Caller | None,
    what: str,
) -> Response:
    def look() -> tuple[str, int, str, str]:
        with here.archive.reading() as session:
            row = visible_stack(session, stack_id, None if caller is None else caller.observer_id)
            sha256 = _named(row, what)
            stored = session.get(ObjectRow, sha256)
            label = row.label
        if stored is None:
            raise ObjectMissing("no such file is known", value=sha256)
        if stored.state == "rotten":
            raise ObjectRotten("the file was found to be damaged", value=sha256)
        try:
            checked.check(sha256, stored.n_bytes)
        except ObjectRotten:
            note_rotten(here.archive, sha256)
            raise
        kind = "application/fits"
        if what != "file":
            kind = _picture_kind(b"".join(here.store.read(sha256, 0, _FIRST_BYTES)))
        return sha256, stored.n_bytes, label, kind

    sha256, n_bytes, label, kind = await run_in_threadpool(look)
    headers = {"Content-Type": kind, **digest_header(sha256)}
    if what == "file":
        headers["Content-Disposition"] = _disposition(label, stack_id)
    return answer_bytes(
        request,
        n_bytes,
        f'"{sha256}"',
        lambda start, end: checked.pieces(sha256, n_bytes, start, end),
        headers,
        signed_in=caller is not None,
    )


def _named(row: StackRow, what: str) -> str:
    names = {
        "file": row.sha256,
        "preview": row.preview_sha256,
        "thumbnail": row.thumbnail_sha256,
    }
    return names[what]


def _picture_kind(first: bytes) -> str:
    if first.startswith(b"\x89PNG"):
        return "image/png"
    if first.startswith(b"RIFF") and first[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"


def _disposition(label: str, stack_id: int) -> str:
    """Content-Disposition (RFC 6266): a plain name, and the full one (RFC 8187)."""
    plain = file_name(label, stack_id).removeprefix("stacks/")
    full = "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in label)
    header = f'attachment; filename="{plain}"'
    if full != label or not label.isascii():
        header += f"; filename*=UTF-8''{quote(f'{full}_{stack_id}.fits', safe='')}"
    return header
