"""Bring a database to the tables of this version."""

from __future__ import annotations

from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Base

__all__ = ["migrate"]


def migrate(url: str) -> None:
    """Make or change the tables."""
    archive = Archive(url)
    try:
        Base.metadata.create_all(archive.engine)
    finally:
        archive.close()
