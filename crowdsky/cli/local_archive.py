"""The archive of this machine, for commands of its operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crowdsky.archive.engine import Archive

__all__ = ["local_archive", "observer_id_of"]


def observer_id_of(archive: Archive, name: str) -> int:
    """Number of an observer.

    Raises
    ------
    NotFound
    """
    from crowdsky.archive.models import Observer
    from crowdsky.errors import NotFound

    with archive.reading() as session:
        found: int | None = session.query(Observer.id).filter_by(name=name).scalar()
    if found is None:
        raise NotFound("no such observer", value=name)
    return found


@contextmanager
def local_archive() -> Iterator[Archive]:
    """The archive that the settings name, migrated."""
    from crowdsky.archive.engine import Archive
    from crowdsky.archive.migrate import migrate
    from crowdsky.settings import load_server_settings

    settings = load_server_settings()
    if settings.database_url.startswith("sqlite"):
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    migrate(settings.database_url)
    archive = Archive(settings.database_url)
    try:
        yield archive
    finally:
        archive.close()
