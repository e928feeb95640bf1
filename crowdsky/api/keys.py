"""API keys of the caller."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from crowdsky.api.context import Context, context
from crowdsky.api.serve_json import MAX_ID, json_answer
from crowdsky.api.who import Caller, Doorkeeper, doorkeeper, needs
from crowdsky.archive.keys import SCOPES, create_key, list_keys, revoke_key
from crowdsky.errors import NotPermitted

__all__ = ["router"]

Here = Annotated[Context, Depends(context)]
Owner = Annotated[Caller, Depends(needs("account"))]

router = APIRouter(prefix="/api/v1/keys", tags=["keys"])


class NewKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    scopes: list[str] = Field(default=["read", "write"], min_length=1, max_length=len(SCOPES))
    days: float | None = Field(default=None, gt=0, le=3650, allow_inf_nan=False)


@router.get("", summary="Keys, without the keys themselves")
def show_keys(here: Here, caller: Owner) -> Response:
    """Names, first characters, scopes, and when each was used last; revoked ones too."""
    listed = []
    for key in list_keys(here.archive, caller.observer_id):
        facts = asdict(key)
        listed.append({"id": facts.pop("key_id"), **facts})
    return json_answer({"keys": listed})


@router.post("", status_code=201, summary="Make a key")
def make_key(here: Here, caller: Owner, wanted: NewKey) -> dict[str, Any]:
    """The key is in this answer and nowhere else. It opens no more than what made it."""
    beyond = set(wanted.scopes) & set(SCOPES) - caller.scopes
    if beyond:
        raise NotPermitted("a key opens no more than what made it", value=", ".join(sorted(beyond)))
    key_id, text = create_key(
        here.archive, caller.observer_id, wanted.name, scopes=wanted.scopes, days=wanted.days
    )
    return {"id": key_id, "key": text}


@router.delete("/{key_id}", status_code=204, summary="Revoke a key")
async def revoke(
    here: Here,
    caller: Owner,
    keeper: Annotated[Doorkeeper, Depends(doorkeeper)],
    key_id: Annotated[int, Path(ge=1, le=MAX_ID)],
) -> Response:
    """It opens nothing any more, as of now. A second time is no error."""
    await run_in_threadpool(revoke_key, here.archive, caller.observer_id, key_id)
    keeper.forget(caller.observer_id)
    return Response(status_code=204)
