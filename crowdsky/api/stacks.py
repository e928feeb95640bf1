"""Stacks: search, one of them, its ledger, deletion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from crowdsky.api.context import Context, context
from crowdsky.api.serve_json import MAX_ID, plain
from crowdsky.api.stacks_query import PageFilters, Someone
from crowdsky.api.who import Caller, needs
from crowdsky.archive.models import StackRow
from crowdsky.archive.search import search_stacks
from crowdsky.archive.stacks import (
    delete_stack,
    ledger_reasons,
    observer_names,
    stack_ledger,
    visible_stack,
)

__all__ = ["plain_stack", "router"]

router = APIRouter(tags=["stacks"])

Here = Annotated[Context, Depends(context)]
StackId = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.get("/api/v1/stacks")
def search(
    filters: Annotated[PageFilters, Query()],
    here: Here,
    caller: Someone,
) -> dict[str, Any]:
    """Stacks by sky, time and name, newest first; public ones without a login.

    A rectangle (``ra_from ra_to dec_from dec_to``; it may cross 0 h), a cone (``ra dec radius``)
    or a ``polygon`` (``ra,dec,ra,dec,...``). ``total`` and ``n_bytes`` are of all that was found;
    ``next_after`` is the ``after`` of the next page.
    """
    query, viewer = filters.query(), filters.viewer(caller)
    with here.archive.reading() as session:
        page = search_stacks(session, query, viewer, limit=filters.limit, after=filters.after)
        names = observer_names(session, page.rows)
    return {
        "stacks": [plain_stack(row, names, viewer.observer_id) for row in page.rows],
        "total": page.total,
        "n_bytes": page.n_bytes,
        "next_after": page.next_after,
    }


@router.get("/api/v1/stacks/{stack_id}")
def one(stack_id: StackId, here: Here, caller: Someone) -> dict[str, Any]:
    """One stack."""
    observer_id = None if caller is None else caller.observer_id
    with here.archive.reading() as session:
        row = visible_stack(session, stack_id, observer_id)
        return plain_stack(row, observer_names(session, [row]), observer_id)


@router.get("/api/v1/stacks/{stack_id}/frames")
def frames(stack_id: StackId, here: Here, caller: Someone) -> dict[str, Any]:
    """What became of each frame of a stack; who is not its owner sees reasons and counts."""
    observer_id = None if caller is None else caller.observer_id
    with here.archive.reading() as session:
        row = visible_stack(session, stack_id, observer_id)
        lines = stack_ledger(session, stack_id)
        mine = row.observer_id == observer_id
        counts = {"n_frames": row.n_frames, "n_used": row.n_used, "n_rejected": row.n_rejected}
    answer: dict[str, Any] = {
        "stack_id": stack_id,
        **counts,
        "reasons": [{"reason": reason, "n": n} for reason, n in ledger_reasons(lines)],
    }
    if mine:
        answer["frames"] = [
            plain(
                {
                    "frame_id": line.frame_id,
                    "name": line.name,
                    "start_utc": line.start_utc,
                    "used": line.used,
                    "reason": line.reason,
                    "weight": line.weight,
                    "figures": line.figures,
                }
            )
            for line in lines
        ]
    return answer


@router.delete("/api/v1/stacks/{stack_id}", status_code=204)
def remove(
    stack_id: StackId,
    here: Here,
    caller: Annotated[Caller, Depends(needs("write"))],
) -> Response:
    """Delete a stack of one's own, with its ledger and its files."""
    delete_stack(here.archive, here.store, caller.observer_id, stack_id)
    return Response(status_code=204)


def plain_stack(row: StackRow, names: Mapping[int, str], observer_id: int | None) -> dict[str, Any]:
    """A stack as JSON; everything in it is public once the stack is.

    Parameters
    ----------
    row : StackRow
    names : mapping of int to str
        Of observers.
    observer_id : int or None
        Who asks.

    Returns
    -------
    dict
    """
    stack: dict[str, Any] = plain(
        {
            "id": row.id,
            "label": row.label,
            "name": row.name,
            "target": row.target,
            "telescope": row.model,
            "filter": row.filter,
            "exposure_s": row.exposure_s,
            "exposure_total_s": row.exposure_total_s,
            "n_frames": row.n_frames,
            "n_used": row.n_used,
            "n_rejected": row.n_rejected,
            "start_utc": row.start_utc,
            "end_utc": row.end_utc,
            "ra_deg": row.ra_deg,
            "dec_deg": row.dec_deg,
            "solved": row.solved,
            "scale_arcsec_per_px": row.scale_arcsec_per_px,
            "rotation_deg": row.rotation_deg,
            "corners": row.corners,
            "fwhm_px": row.fwhm_px,
            "n_stars": row.n_stars,
            "zero_point_mag": row.zero_point_mag,
            "sky_adu": row.sky_adu,
            "n_bytes": row.n_bytes,
            "sha256": row.sha256,
            "observer": row.credit or names.get(row.observer_id, ""),
            "mine": row.observer_id == observer_id,
            "licence": row.licence,
            "credit": row.credit,
            "public_utc": row.public_utc,
            "created_utc": row.created_utc,
        }
    )
    return stack
