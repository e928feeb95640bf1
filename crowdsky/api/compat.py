"""The four addresses that the published ``crowdsky-client`` asks, as it reads them.

Names of fields and parameters are those of the site before this one, and so are the answers:
arrays in the order of time, numbers as numbers, 400 and 404 in JSON. Sky brightness in magnitudes
(``sqm``) is not measured: it is null, and whoever asks for a least one gets nothing.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from crowdsky.api.compat_tables import coverage_ecsv, listed_frame, plain_frame, star_file
from crowdsky.api.context import Context, context
from crowdsky.api.files import send_stack
from crowdsky.api.files_check import CheckedFiles
from crowdsky.api.files_send import checked_files
from crowdsky.api.serve_json import MAX_ID, json_answer
from crowdsky.api.stacks_query import parsed_time
from crowdsky.api.who import Caller, needs
from crowdsky.archive.coverage import tile_coverage
from crowdsky.archive.models import StackRow
from crowdsky.archive.regions import BadQuery
from crowdsky.archive.search import StackQuery, Viewer, search_stacks
from crowdsky.archive.stacks import block_tiles, visible_stack, visible_stacks

__all__ = ["router"]

router = APIRouter(tags=["crowdsky-client"])

N_TILES = 12 * 128**2
MAX_IDS = 1000

Here = Annotated[Context, Depends(context)]
Checked = Annotated[CheckedFiles, Depends(checked_files)]
Reader = Annotated[Caller, Depends(needs("read"))]


@router.get("/api/frames_by_healpix.php")
def frames_by_healpix(request: Request, here: Here, caller: Reader) -> Response:
    """Stacks whose centre lies in a tile (HEALPix, RING, NSIDE 128), in the order of time.

    Parameters: ``healpix``; ``start``, ``end`` (of the first exposure, both inclusive),
    ``filter``, ``eq_mode`` (0 or 1), ``min_sqm``, ``min_exptime`` (seconds).
    """
    asked = request.query_params
    tile = _whole(asked.get("healpix"), "healpix", 0, N_TILES - 1)
    eq_mode = asked.get("eq_mode")
    query = StackQuery(
        tile=tile,
        from_utc=parsed_time(asked.get("start")),
        filter=asked.get("filter"),
        min_exposure_s=_number(asked.get("min_exptime"), "min_exptime"),
    )
    end_utc = parsed_time(asked.get("end"))
    tracking = None if eq_mode is None else _whole(eq_mode, "eq_mode", 0, 1)
    if _number(asked.get("min_sqm"), "min_sqm") is not None:
        return json_answer([])
    with here.archive.reading() as session:
        rows = _all_rows(session, query, Viewer(caller.observer_id, "all"))
        tiles = block_tiles(session, rows)
    rows = [
        row
        for row in sorted(rows, key=lambda row: (row.start_utc, row.id))
        if (end_utc is None or row.start_utc <= end_utc)
        and (tracking is None or (row.equatorial is not None and row.equatorial == bool(tracking)))
    ]
    base = _base(request)
    return json_answer([plain_frame(row, tiles.get(row.block_id, ""), base) for row in rows])


@router.api_route("/api/download_frame.php", methods=["GET", "HEAD"])
async def download_frame(
    request: Request, here: Here, checked: Checked, caller: Reader
) -> Response:
    """A stack (FITS) by its ``id``; of several ids with commas, an array that tells about them."""
    ids = _ids(request)
    if len(ids) == 1:
        return await send_stack(request, here, checked, ids[0], caller)

    def look() -> list[dict[str, Any]]:
        with here.archive.reading() as session:
            found = visible_stacks(session, ids, caller.observer_id)
            tiles = block_tiles(session, found.values())
        base = _base(request)
        rows = [found[number] for number in dict.fromkeys(ids) if number in found]
        return [listed_frame(row, tiles.get(row.block_id, ""), base) for row in rows]

    return json_answer(await run_in_threadpool(look))


@router.get("/api/frame_stars.php")
def frame_stars(request: Request, here: Here, checked: Checked, caller: Reader) -> Response:
    """The stars of a stack: ``{"width", "height", "stars": [{"x", "y", "flux", ...}]}``."""
    ids = _ids(request)
    if len(ids) != 1:
        raise BadQuery("one id at a time", value=request.query_params["id"][:80])
    with here.archive.reading() as session:
        row: StackRow = visible_stack(session, ids[0], caller.observer_id)
    return json_answer(star_file(here, checked, row.sha256, row.n_bytes))


@router.get("/api/sky_coverage.php")
def sky_coverage(here: Here) -> Response:
    """Tiles that everyone's stacks cover (ECSV), a line for each tile and filter; for everyone."""
    with here.archive.reading() as session:
        tiles = tile_coverage(session)
    return PlainTextResponse(coverage_ecsv(tiles), headers={"Cache-Control": "public, max-age=60"})


def _all_rows(session: Any, query: StackQuery, viewer: Viewer) -> list[StackRow]:
    rows: list[StackRow] = []
    after: int | None = None
    while True:
        page = search_stacks(session, query, viewer, limit=10_000, after=after, order="id")
        rows += page.rows
        if page.next_after is None:
            return rows
        after = page.next_after


def _ids(request: Request) -> list[int]:
    text = request.query_params.get("id", "")
    parts = text.split(",")
    if len(parts) > MAX_IDS:
        raise BadQuery(f"at most {MAX_IDS} ids at once", value=len(parts))
    return [_whole(part, "id", 1, MAX_ID) for part in parts]


def _whole(text: str | None, name: str, least: int, most: int) -> int:
    rule = f"{name} is a whole number from {least} to {most}"
    if text is None or not text.strip().isascii() or len(text) > 40:
        raise BadQuery(rule, value=None if text is None else text[:40])
    try:
        number = int(text)
    except ValueError:
        raise BadQuery(rule, value=text) from None
    if not least <= number <= most:
        raise BadQuery(rule, value=text)
    return number


def _number(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadQuery(f"{name} is a number", value=text[:40])
    return number


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
