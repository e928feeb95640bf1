"""Jobs of the caller: what waits, what runs, what came of it; and the end of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

from crowdsky.api.context import Context, context
from crowdsky.api.events import tell_deleted
from crowdsky.api.frames import frame_views
from crowdsky.api.serve_job_view import event_number, job_views, shown
from crowdsky.api.serve_json import MAX_ID, json_answer
from crowdsky.api.who import Caller, needs
from crowdsky.archive.clock import database_now
from crowdsky.archive.delete_job import delete_job
from crowdsky.archive.models import AuditEntry, FrameRow, Job
from crowdsky.archive.queue import retry_job
from crowdsky.errors import NotFound

__all__ = ["router"]

STATES = ("queued", "running", "done", "failed")
# A second click on "delete" comes within that time.
_CLICKED_AGAIN = timedelta(days=1)

JobId = Annotated[int, Path(ge=1, le=MAX_ID)]
Here = Annotated[Context, Depends(context)]
Reader = Annotated[Caller, Depends(needs("read"))]
Writer = Annotated[Caller, Depends(needs("write"))]

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])


class JobIds(BaseModel):
    """Jobs to delete."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[int, Field(ge=1, le=MAX_ID)]] = Field(min_length=1, max_length=1000)


@router.get("", summary="Jobs, the newest first")
def list_jobs(
    here: Here,
    caller: Reader,
    state: Annotated[Literal["queued", "running", "done", "failed"] | None, Query()] = None,
    batch_id: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    after: Annotated[int | None, Query(ge=1, le=MAX_ID, description="next_after")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """All jobs, page by page; ``counts`` is of all of them, whatever is asked for.

    ``event_id`` is where ``GET /api/v1/events?since=`` goes on from this answer.
    """
    own = Job.observer_id == caller.observer_id
    wanted = [own]
    if state is not None:
        wanted.append(Job.state == state)
    if batch_id is not None:
        wanted.append(Job.batch_id == batch_id)
    if after is not None:
        wanted.append(Job.id < after)
    with here.archive.reading() as session:
        now = database_now(session)
        counted = select(Job.state, func.count()).where(own).group_by(Job.state)
        counts = {row[0]: row[1] for row in session.execute(counted)}
        views = job_views(session, *wanted, order=[Job.id.desc()], limit=limit + 1)
    more = len(views) > limit
    views = views[:limit]
    return json_answer(
        {
            "jobs": [shown(view) for view in views],
            "next_after": views[-1]["id"] if more else None,
            "counts": {name: counts.get(name, 0) for name in STATES},
            "event_id": str(event_number(now)),
        }
    )


@router.get("/{job_id}", summary="A job, with the last lines of its log")
def show_job(here: Here, caller: Reader, job_id: JobId) -> Response:
    """``reason`` says why it failed, or why it is being tried again."""
    with here.archive.reading() as session:
        views = job_views(
            session, Job.id == job_id, Job.observer_id == caller.observer_id, with_log=True
        )
    if not views:
        raise NotFound("there is no such job", value=job_id)
    return json_answer(shown(views[0]))


@router.get("/{job_id}/frames", summary="The ledger of a job's block")
def job_frames(
    here: Here,
    caller: Reader,
    job_id: JobId,
    after: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> Response:
    """What became of each frame: stacked, rejected with its reason, or pending."""
    with here.archive.reading() as session:
        block_id = session.scalar(
            select(Job.block_id).where(Job.id == job_id, Job.observer_id == caller.observer_id)
        )
        if block_id is None:
            raise NotFound("there is no such job", value=job_id)
        return json_answer(
            frame_views(
                session,
                FrameRow.observer_id == caller.observer_id,
                FrameRow.block_id == block_id,
                after=after,
                limit=limit,
            )
        )


@router.delete("/{job_id}", status_code=204, summary="Delete a job")
def delete(request: Request, here: Here, caller: Writer, job_id: JobId) -> Response:
    """Also one that runs: it stops, and nothing comes of it. A second time is no error.

    Raws that only this job needed are deleted at once; a finished job's stack stays.
    """
    if not _delete(request, here, caller, job_id):
        raise NotFound("there is no such job", value=job_id)
    return Response(status_code=204)


@router.post("/delete", summary="Delete several jobs")
def delete_several(request: Request, here: Here, caller: Writer, wanted: JobIds) -> dict[str, Any]:
    """``deleted`` are gone now, or were deleted before; ``not_found`` are not the caller's."""
    done: dict[str, list[int]] = {"deleted": [], "not_found": []}
    for job_id in dict.fromkeys(wanted.ids):
        deleted = _delete(request, here, caller, job_id)
        done["deleted" if deleted else "not_found"].append(job_id)
    return done


@router.post("/{job_id}/retry", status_code=202, summary="Try a failed job again")
def retry(here: Here, caller: Writer, job_id: JobId) -> Response:
    """Queue it again with all its tries; the job is the answer."""
    retry_job(here.archive, caller.observer_id, job_id)
    answer = show_job(here, caller, job_id)
    answer.status_code = 202
    return answer


def _delete(request: Request, here: Context, caller: Caller, job_id: int) -> bool:
    """Delete a job; False if the caller has none of that number and had none lately."""
    if delete_job(here.archive, here.store, caller.observer_id, job_id):
        tell_deleted(request, caller.observer_id, job_id)
        return True
    with here.archive.reading() as session:
        deleted = session.scalar(
            select(AuditEntry.id).where(
                AuditEntry.at_utc > database_now(session) - _CLICKED_AGAIN,
                AuditEntry.actor == caller.name,
                AuditEntry.action == "job.delete",
                AuditEntry.subject == f"job:{job_id}",
            )
        )
    return deleted is not None
