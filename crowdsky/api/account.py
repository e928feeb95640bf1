"""The caller's account: who they are, who sees their stacks, all of their data, and its end."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from crowdsky.api.context import Context, context
from crowdsky.api.serve_json import json_answer
from crowdsky.api.who import Caller, Doorkeeper, caller, csrf_token, doorkeeper, needs
from crowdsky.archive.accounts import MAX_EMBARGO_DAYS, set_privacy, usage
from crowdsky.archive.erase import erase_account
from crowdsky.archive.export import export_account
from crowdsky.archive.models import Observer
from crowdsky.errors import Conflict, NotFound

__all__ = ["router"]

ERASED_WITHIN_S = 20.0  # else the answer is 202, and it goes on

Here = Annotated[Context, Depends(context)]
Keeper = Annotated[Doorkeeper, Depends(doorkeeper)]
Owner = Annotated[Caller, Depends(needs("account"))]

router = APIRouter(prefix="/api/v1", tags=["account"])


class Privacy(BaseModel):
    """What is to be changed; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    visibility: Literal["public", "embargoed", "private"] | None = None
    embargo_days: int | None = Field(default=None, ge=0, le=MAX_EMBARGO_DAYS)
    licence: str | None = Field(default=None, max_length=64)
    credit: str | None = Field(default=None, max_length=255)


class Farewell(BaseModel):
    """The name of the account, so that nobody ends it by a slip."""

    model_config = ConfigDict(extra="forbid")

    confirm: str = Field(max_length=255)


@router.get("/me", summary="Who I am")
def me(
    request: Request,
    here: Here,
    keeper: Keeper,
    found: Annotated[Caller, Depends(caller)],
) -> Response:
    """Name, scopes, privacy, what is used of the quota, and the limits of this service.

    With a session's cookie also ``csrf``, for the header ``X-CSRF-Token``.
    """
    with here.archive.reading() as session:
        observer = session.get(Observer, found.observer_id)
    if observer is None:
        raise NotFound("no such observer")
    used = usage(here.archive, found.observer_id)
    settings = here.settings
    quota = int(settings.quota_gb * 1e9) if used.quota_bytes is None else used.quota_bytes
    answer: dict[str, Any] = {
        "name": found.name,
        "scopes": sorted(found.scopes),
        "via": found.via,
        "is_operator": found.is_operator,
        "created_utc": observer.created_utc,
        "visibility": observer.visibility,
        "embargo_days": observer.embargo_days,
        "licence": observer.licence,
        "credit": observer.credit,
        "usage": {
            "n_frames": used.n_frames,
            "n_stacks": used.n_stacks,
            "bytes_raw": used.bytes_raw,
            "bytes_stack": used.bytes_stack,
            "quota_bytes": quota,
            "free_bytes": max(0, quota - used.n_bytes),
        },
        "limits": {
            "file_mb": settings.max_file_mb,
            "archive_mb": settings.max_archive_mb,
            "requests_per_minute": settings.requests_per_minute,
            "upload_days": settings.upload_days,
            "keep_raws_days": settings.keep_raws_days,
        },
    }
    if found.via == "session" and keeper.hub is not None:
        answer["csrf"] = csrf_token(request.cookies[keeper.hub.cookie_name])
    return json_answer(answer)


@router.patch("/me", summary="Change who sees my stacks")
def change(request: Request, here: Here, keeper: Keeper, found: Owner, wanted: Privacy) -> Response:
    """Visibility, embargo, licence and credit, also of the stacks that exist."""
    set_privacy(here.archive, found.observer_id, **wanted.model_dump())
    return me(request, here, keeper, found)


@router.get("/me/export", summary="All of my data")
def export(here: Here, found: Owner) -> Response:
    """Every row, exact sites included; stacks and raws are named by their SHA-256."""
    return json_answer(
        export_account(here.archive, found.observer_id),
        headers={"Content-Disposition": 'attachment; filename="crowdsky-export.json"'},
    )


@router.delete("/me", summary="Erase my account", status_code=204)
async def erase(
    request: Request, here: Here, keeper: Keeper, found: Owner, farewell: Farewell
) -> Response:
    """Jobs, frames, stacks and files, at once and for good. Export first.

    204 when all is gone; 202 when much remains to be deleted, which then goes on by itself.
    """
    if farewell.confirm != found.name:
        raise Conflict("'confirm' must be the name of the account")
    erasing = asyncio.create_task(
        run_in_threadpool(erase_account, here.archive, here.store, found.observer_id)
    )
    request.app.state.tasks.add(erasing)
    erasing.add_done_callback(request.app.state.tasks.discard)
    done, _ = await asyncio.wait({erasing}, timeout=ERASED_WITHIN_S)
    keeper.forget(found.observer_id)
    if done:
        erasing.result()
    answer = Response(status_code=204) if done else json_answer({"state": "erasing"}, 202)
    _sign_out(request, keeper, answer)
    return answer


@router.post("/logout", status_code=204, summary="Sign out of this service")
async def logout(
    request: Request, keeper: Keeper, _found: Annotated[Caller, Depends(caller)]
) -> Response:
    """Remove the session's cookie; copies of it are worth nothing from now on."""
    answer = Response(status_code=204)
    _sign_out(request, keeper, answer)
    return answer


def _sign_out(request: Request, keeper: Doorkeeper, answer: Response) -> None:
    hub = keeper.hub
    if hub is None or hub.cookie_name not in request.cookies:
        return
    keeper.end_session(request.cookies[hub.cookie_name])
    hub.set_cookie(answer, hub.cookie_name, "", 0)
