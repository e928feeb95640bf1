"""What has to be done now and then, as plain functions."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from crowdsky.archive.engine import Archive
from crowdsky.archive.erase import resume_erasures
from crowdsky.archive.leases import expire_leases
from crowdsky.archive.models import StackRow
from crowdsky.archive.scrub import scrub
from crowdsky.archive.sky_index import prune_changes
from crowdsky.archive.store import FileStore
from crowdsky.archive.sweep import sweep
from crowdsky.archive.uploads import expire_uploads
from crowdsky.errors import CatalogueOffline
from crowdsky.lookup.gaia import ConeService
from crowdsky.settings import ServerSettings
from crowdsky.work.scratch import sweep_attempts

__all__ = ["Upkeep", "refresh_catalogue"]

SCRUB_AT_ONCE = 2000
CONES_AT_ONCE = 10
CONE_RADIUS_DEG = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The chores of an archive; each may be done at any time, by several at once, and again."""

    settings: ServerSettings
    archive: Archive
    store: FileStore

    def expire_leases(self) -> str:
        """Queue the jobs of silent workers again."""
        taken = expire_leases(
            self.archive,
            retry_after_s=self.settings.retry_after_s,
            max_attempts=self.settings.max_attempts,
        )
        return f"{len(taken)} jobs of silent workers"

    def expire_uploads(self) -> str:
        """Remove unfinished uploads whose time is over."""
        return f"{expire_uploads(self.archive, self.settings)} uploads whose time was over"

    def sweep(self) -> str:
        """Remove files that nothing needs, and changes that every index of the sky has followed."""
        # An account whose erasure was cut short goes first, so that its files go with the rest.
        erased = resume_erasures(self.archive, self.store)
        report = sweep(
            self.archive,
            self.store,
            keep_raws_days=self.settings.keep_raws_days,
            grace_s=self.settings.sweep_grace_s,
        )
        folders = sweep_attempts(self.archive, self.settings.scratch_dir / "jobs")
        text = f"{report}, {folders} folders of killed jobs"
        if n_changes := prune_changes(self.archive):
            text = f"{text}, {n_changes} changes of stacks forgotten"
        return f"{text}, {len(erased)} accounts erased to the end" if erased else text

    def scrub(self) -> str:
        """Read stored files again, those first that were not looked at for longest."""
        return str(scrub(self.archive, self.store, limit=SCRUB_AT_ONCE))

    def refresh_catalogue(self) -> str:
        """Have the blind index ready, and deeper stars of the fields that were observed last."""
        return refresh_catalogue(self.archive, self.settings.cache_dir)


def refresh_catalogue(
    archive: Archive,
    cache_dir: Path,
    *,
    cones_at_once: int = CONES_AT_ONCE,
    service: ConeService | None = None,
) -> str:
    """Build the blind index if it is not there, and fetch cones about new fields.

    Parameters
    ----------
    archive : Archive
    cache_dir : Path
    cones_at_once : int
        Cones fetched in one go; the rest follows the next time.
    service : ConeService, optional
        Who is asked for stars.

    Returns
    -------
    str
        What was done. Without a network that is less, and no error.

    Raises
    ------
    CatalogueError
        If the service answers nonsense.
    """
    from crowdsky.astrometry.sky_index import blind_index
    from crowdsky.lookup import CachedCatalogue, fetch_gaia_cone

    blind_index()
    folder = cache_dir / "gaia_dr3"
    cones = CachedCatalogue(folder)
    with archive.reading() as session:
        centres = session.execute(
            select(StackRow.ra_deg, StackRow.dec_deg)
            .where(StackRow.solved.is_(True), StackRow.ra_deg.is_not(None))
            .order_by(StackRow.id.desc())
            .limit(1000)
        ).all()
    fetched = 0
    for ra_deg, dec_deg in centres:
        if fetched == cones_at_once:
            break
        assert ra_deg is not None
        assert dec_deg is not None
        # The field itself is half a degree in radius; a cone serves its neighbours, too.
        if cones.covers(ra_deg, dec_deg, CONE_RADIUS_DEG / 2):
            continue
        try:
            fetch_gaia_cone(ra_deg, dec_deg, CONE_RADIUS_DEG, folder, service=service)
        except CatalogueOffline as error:
            return f"index ready, {fetched} cones fetched; {error}"
        fetched += 1
        cones = CachedCatalogue(folder)
    return f"index ready, {fetched} cones fetched"
