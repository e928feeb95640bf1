"""Uploads, by the tus protocol 1.0.0 (https://tus.io/protocols/resumable-upload).

Any tus client can send frames and archives of them. ``Upload-Metadata`` should hold ``filename``,
and may hold ``sha256``, the hash of the whole file in hexadecimal, which is then verified. The
answer to an upload's last bytes says what came of it in ``Upload-Outcome`` (``accepted``,
``duplicate``, ``refused``; ``received`` while it is still being looked at) and ``Upload-Reason``
(percent-encoded); a file that is refused is no error of the protocol, and is not sent again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Depends, Request, Response

from crowdsky.api.intake import Outcome
from crowdsky.api.tus_headers import (
    CHECKSUMS,
    EXTENSIONS,
    VERSION,
    clean_name,
    http_date,
    parse_checksum,
    parse_concat,
    parse_metadata,
    parse_number,
    parse_sha256,
)
from crowdsky.api.tus_route import TusRoute
from crowdsky.api.uploads_desk import UploadDesk, desk_of, desk_open
from crowdsky.api.uploads_join import join
from crowdsky.api.uploads_lists import lists
from crowdsky.api.uploads_receive import Received
from crowdsky.api.uploads_scratch import scratch_bytes
from crowdsky.api.who import Caller, needs
from crowdsky.archive.uploads import UploadFacts, create_upload, find_upload, remove_upload
from crowdsky.errors import CrowdSkyError, OffsetMismatch, UploadError

__all__ = ["router"]

_OCTETS = "application/offset+octet-stream"
_PATH = "/api/v1/uploads"

Writer = Annotated[Caller, Depends(needs("write"))]
Desk = Annotated[UploadDesk, Depends(desk_of)]

tus = APIRouter(prefix=_PATH, tags=["uploads"], route_class=TusRoute)


@tus.options("", status_code=204, summary="What this server speaks")
@tus.options("/{upload_id}", status_code=204, include_in_schema=False)
async def options(desk: Desk) -> Response:
    """Protocol version, extensions, largest upload and hashes; needs no login."""
    return Response(
        status_code=204,
        headers={
            "Tus-Version": VERSION,
            "Tus-Extension": ",".join(EXTENSIONS),
            "Tus-Max-Size": str(desk.max_size),
            "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
        },
    )


@tus.post("", status_code=201, summary="Begin an upload")
async def create(request: Request, caller: Writer, desk: Desk) -> Response:
    """Begin an upload of ``Upload-Length`` bytes, or join parts; the body may hold its first bytes.

    ``Location`` is where to send the rest.
    """
    headers = request.headers
    text = headers.get("upload-metadata", "")
    metadata = parse_metadata(text)
    name = clean_name(metadata.get("filename") or metadata.get("name") or "")
    sha256 = parse_sha256(metadata)
    concat, parts = parse_concat(headers.get("upload-concat"))
    checksum = parse_checksum(headers.get("upload-checksum"))
    upload_id = uuid4().hex
    location = f"{request.scope['path'].rstrip('/')}/{upload_id}"
    if concat == "final":
        row = partial(
            create_upload,
            upload_id=upload_id,
            observer_id=caller.observer_id,
            name=name,
            sha256=sha256,
            upload_metadata=text,
            concat=headers["upload-concat"],
        )
        outcome = await join(desk, caller.observer_id, upload_id, name, parts, row)
        return Response(status_code=201, headers={"Location": location, **_told(outcome)})

    length = _length(request)
    if length is not None:
        desk.check_size(name, concat, length)
    desk.check_space(length or 0)
    await desk.check_quota(caller.observer_id, length or 0)
    expires_utc = desk.expires_utc()
    facts = await desk.commits.write(
        partial(
            create_upload,
            upload_id=upload_id,
            observer_id=caller.observer_id,
            name=name,
            length=length,
            sha256=sha256,
            upload_metadata=text,
            concat=concat,
            expires_utc=expires_utc,
        )
    )
    answer = Response(status_code=201, headers={"Location": location})
    answer.headers["Upload-Expires"] = http_date(expires_utc)
    with_bytes = headers.get("content-type") == _OCTETS
    if not with_bytes and length != 0:
        return answer
    try:
        async with desk.live.turn(upload_id) as live:
            received = await desk.receiver.receive(
                request, live, facts, desk.path(upload_id), length=length, checksum=checksum,
                most=desk.size_limit(name, concat),
            )  # fmt: skip
    except CrowdSkyError:
        # Nobody was told where it is, so nobody could continue it.
        await _remove(desk, caller.observer_id, upload_id)
        raise
    if received.cut and not received.complete:
        await _remove(desk, caller.observer_id, upload_id)  # who sent it will begin anew
        return answer
    return await _after(desk, facts, received, answer)


@tus.head("/{upload_id}", summary="Where an upload stands")
async def head(upload_id: str, caller: Writer, desk: Desk) -> Response:
    """``Upload-Offset`` is where to continue."""
    facts = await desk.read(partial(_find, caller.observer_id, upload_id))
    _check_alive(desk, facts)
    answer = Response(status_code=200, headers={"Cache-Control": "no-store"})
    answer.headers["Upload-Offset"] = str(facts.offset)
    if facts.length is None:
        answer.headers["Upload-Defer-Length"] = "1"
    else:
        answer.headers["Upload-Length"] = str(facts.length)
    if facts.upload_metadata:
        answer.headers["Upload-Metadata"] = facts.upload_metadata
    if facts.concat:
        answer.headers["Upload-Concat"] = facts.concat
    if facts.state == "open":
        answer.headers["Upload-Expires"] = http_date(facts.expires_utc)
    else:
        answer.headers.update(_told(Outcome(facts.state, facts.reason)))
    return answer


@tus.patch("/{upload_id}", status_code=204, summary="Send bytes")
async def patch(upload_id: str, request: Request, caller: Writer, desk: Desk) -> Response:
    """Append the body at ``Upload-Offset``, which must be where the upload stands.

    What arrives is kept, also when the body is cut off. A newer request for the same upload ends an
    older one. ``Upload-Checksum`` is verified before anything of the body counts.
    """
    headers = request.headers
    if headers.get("content-type") != _OCTETS:
        raise UploadError(f"the Content-Type is {_OCTETS}", status=415)
    offset = parse_number("Upload-Offset", headers.get("upload-offset"))
    checksum = parse_checksum(headers.get("upload-checksum"))
    async with desk.live.turn(upload_id) as live:
        facts = await desk.read(partial(_find, caller.observer_id, upload_id))
        if facts.concat.startswith("final"):
            raise UploadError("an upload that was joined from parts takes no bytes", status=403)
        _check_alive(desk, facts)
        if offset != facts.offset:
            raise OffsetMismatch(
                f"the upload stands at {facts.offset}", value=offset, offset=facts.offset
            )
        length = facts.length
        if length is None and "upload-length" in headers:
            length = _length(request)
            assert length is not None
            if length < offset:
                raise UploadError(f"more than {length} bytes are here", status=400)
            desk.check_size(facts.name, facts.concat, length)
        announced = headers.get("content-length")
        n_bytes = parse_number("Content-Length", announced) if announced is not None else 0
        if length is not None and offset + n_bytes > length:
            raise UploadError(f"the upload has {length} bytes", status=413, limit=length)
        if facts.state != "open":
            # All is here already: the answer to its last bytes was lost on its way.
            received = Received(facts.offset, facts.expires_utc, facts.state == "received")
        else:
            desk.check_space(n_bytes)
            received = await desk.receiver.receive(
                request, live, facts, desk.path(upload_id), length=length, checksum=checksum,
                most=desk.size_limit(facts.name, facts.concat),
            )  # fmt: skip
    if received.evicted and not received.complete:
        raise UploadError("a newer request continues this upload", status=409)
    return await _after(desk, facts, received, Response(status_code=204))


@tus.delete("/{upload_id}", status_code=204, summary="Give an upload up")
async def terminate(upload_id: str, caller: Writer, desk: Desk) -> Response:
    """Forget an upload and its bytes; frames that came of it stay."""
    async with desk.live.turn(upload_id):
        await _remove(desk, caller.observer_id, upload_id)
    desk.live.forget(upload_id)
    return Response(status_code=204)


@tus.post("/{upload_id}", include_in_schema=False)
async def overridden(upload_id: str, request: Request, caller: Writer, desk: Desk) -> Response:
    """For networks that let nothing through but GET and POST."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "PATCH":
        return await patch(upload_id, request, caller, desk)
    if method == "DELETE":
        return await terminate(upload_id, caller, desk)
    if method == "HEAD":
        return await head(upload_id, caller, desk)
    raise UploadError("X-HTTP-Method-Override is PATCH, DELETE or HEAD", status=405)


#: Everything about uploads; it opens and closes with the service.
router = APIRouter(lifespan=desk_open)
router.include_router(lists)
router.include_router(tus)


def _find(observer_id: int, upload_id: str, session: object) -> UploadFacts:
    return find_upload(session, observer_id, upload_id)  # type: ignore[arg-type]


async def _remove(desk: UploadDesk, observer_id: int, upload_id: str) -> None:
    await desk.commits.write(partial(remove_upload, observer_id=observer_id, upload_id=upload_id))
    await desk.in_thread(partial(desk.path(upload_id).unlink, missing_ok=True))


async def _after(
    desk: UploadDesk, facts: UploadFacts, received: Received, answer: Response
) -> Response:
    """Complete the answer to bytes that were taken."""
    answer.headers["Upload-Offset"] = str(received.offset)
    if received.complete and facts.concat != "partial":
        fresh = None
        if facts.state == "open":
            fresh = replace(facts, state="received", offset=received.offset, length=received.offset)
        outcome = await desk.outcome(facts.id, received.sha256, fresh)
        answer.headers.update(_told(outcome))
    elif facts.state == "open":
        answer.headers["Upload-Expires"] = http_date(received.expires_utc)
    else:
        answer.headers.update(_told(Outcome(facts.state, facts.reason)))
    return answer


def _length(request: Request) -> int | None:
    text = request.headers.get("upload-length")
    deferred = request.headers.get("upload-defer-length")
    if deferred is not None and (deferred != "1" or text is not None):
        raise UploadError("either Upload-Length or Upload-Defer-Length: 1 is needed", status=400)
    return None if deferred else parse_number("Upload-Length", text)


def _told(outcome: Outcome) -> dict[str, str]:
    told = {"Upload-Outcome": outcome.outcome}
    if outcome.reason:
        told["Upload-Reason"] = quote(outcome.reason[:1000])
    return told


def _check_alive(desk: UploadDesk, facts: UploadFacts) -> None:
    if facts.state != "open":
        return
    if facts.expires_utc < datetime.now(UTC):
        raise UploadError("the upload has expired; begin anew", status=410)
    if scratch_bytes(desk.path(facts.id)) < facts.offset:
        raise UploadError("bytes of the upload are gone; begin anew", status=410)
