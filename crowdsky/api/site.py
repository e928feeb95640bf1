"""What the site holds, in figures; for everyone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse

from crowdsky.api.context import Context
from crowdsky.api.serve_json import json_answer
from crowdsky.archive.site_figures import site_figures

__all__ = ["FIGURES_KEPT_S", "SiteBoard", "router"]

router = APIRouter(tags=["service"])

#: A count goes over every stack, and anybody may ask for it: it is made once in this time.
FIGURES_KEPT_S = 15.0

_lock = threading.Lock()


class SiteBoard:
    """The figures of one service, counted anew when they are too old.

    While somebody counts, the others are told the old ones; only before the first count they wait.

    Parameters
    ----------
    here : Context
    clock : callable, optional
        Seconds, monotonic.
    """

    def __init__(self, here: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._here, self._clock = here, clock
        self._counting = threading.Lock()
        self._figures: dict[str, Any] | None = None
        self._until_s = 0.0

    def figures(self) -> dict[str, Any]:
        """What the route answers.

        Raises
        ------
        ArchiveUnavailable
        """
        known = self._figures
        if known is not None and self._clock() < self._until_s:
            return known
        if not self._counting.acquire(blocking=known is None):
            assert known is not None
            return known
        try:
            if self._figures is None or self._clock() >= self._until_s:
                self._figures = _counted(self._here)
                self._until_s = self._clock() + FIGURES_KEPT_S
            return self._figures
        finally:
            self._counting.release()


def site_board(request: Request) -> SiteBoard:
    """The board of the service that got a request (a FastAPI dependency)."""
    state = request.app.state
    with _lock:
        if not hasattr(state, "site_board"):
            state.site_board = SiteBoard(state.context)
    found: SiteBoard = state.site_board
    return found


@router.get("/api/v1/site", summary="The site in figures")
def site(board: Annotated[SiteBoard, Depends(site_board)]) -> JSONResponse:
    """Public stacks, their exposure in hours, and whose they are, in numbers; no login is needed.

    ``nights`` are days from noon to noon UTC. The figures are some seconds old: ``counted_utc``.
    """
    return json_answer(
        board.figures(),
        headers={"Cache-Control": f"public, max-age={FIGURES_KEPT_S:.0f}"},
    )


def _counted(here: Context) -> dict[str, Any]:
    now = datetime.now(UTC)
    with here.archive.reading() as session:
        figures = site_figures(session, now=now)
    return {
        "stacks": figures.stacks,
        "exposure_hours": round(figures.exposure_s / 3600.0, 3),
        "telescopes": figures.telescopes,
        "observers": figures.observers,
        "nights": figures.nights,
        "newest_utc": figures.newest_utc,
        "counted_utc": now,
    }
