"""From frames to jobs: what would be stacked together, and "create stacking jobs"."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from crowdsky.api.context import Context, context
from crowdsky.api.serve_json import json_answer
from crowdsky.api.who import Caller, needs
from crowdsky.archive.finalise import create_jobs, preview_blocks

__all__ = ["router"]

Here = Annotated[Context, Depends(context)]

router = APIRouter(prefix="/api/v1", tags=["jobs"])


class Finalise(BaseModel):
    """How the jobs are to be called together."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(default=None, max_length=200)


@router.get("/blocks/preview", summary="What would be stacked together")
def preview(here: Here, caller: Annotated[Caller, Depends(needs("read"))]) -> Response:
    """The blocks that finalising would make now; nothing is changed."""
    blocks = preview_blocks(here.archive, caller.observer_id)
    return json_answer(
        {
            "blocks": [asdict(block) for block in blocks],
            "n_blocks": len(blocks),
            "n_frames": sum(block.n_frames for block in blocks),
        }
    )


@router.post("/finalise", summary="Create stacking jobs")
def finalise(
    here: Here,
    caller: Annotated[Caller, Depends(needs("write"))],
    wanted: Finalise | None = None,
) -> Response:
    """Make jobs of all frames that are in none. A second time, at once too, makes no others."""
    title = None if wanted is None else wanted.title
    return json_answer(asdict(create_jobs(here.archive, caller.observer_id, title=title)))
