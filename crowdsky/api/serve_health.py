"""Whether the service is there, and whether it can work."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import text

from crowdsky import __version__
from crowdsky.api.context import Context, context

__all__ = ["router"]

router = APIRouter(tags=["service"])


@router.get("/api/v1/health", summary="Is the service there?")
async def health() -> dict[str, str]:
    """Answers as long as the process lives; asks nobody else."""
    return {"status": "ok", "version": __version__}


@router.get("/api/v1/ready", summary="Can the service work?")
def ready(here: Annotated[Context, Depends(context)]) -> dict[str, Any]:
    """Asks the database and the file store; 503 while one of them is away."""
    with here.archive.reading() as session:
        session.execute(text("SELECT 1"))
    here.store.size("0" * 64)
    return {"status": "ok", "version": __version__, "database": "ok", "store": "ok"}
