"""How many stacks there are where."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from crowdsky.api.context import Context, context
from crowdsky.api.stacks_query import Someone, UrlFilters
from crowdsky.archive.density import MAX_ORDER, density

__all__ = ["DensityFilters", "router"]

router = APIRouter(tags=["sky"])


class DensityFilters(UrlFilters):
    """Filters of the density."""

    order: int = Field(5, ge=0, le=MAX_ORDER)


@router.get("/api/v1/sky/density")
def sky_density(
    filters: Annotated[DensityFilters, Query()],
    here: Annotated[Context, Depends(context)],
    caller: Someone,
) -> dict[str, Any]:
    """Stacks in each HEALPix cell (NESTED, of an order) that holds any; cells ascend."""
    query, viewer = filters.query(), filters.viewer(caller)
    with here.archive.reading() as session:
        cells, counts = density(session, query, viewer, order=filters.order)
    return {"order": filters.order, "cells": cells.tolist(), "counts": counts.tolist()}
