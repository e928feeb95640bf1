"""Chores: what each says it did, and a catalogue that is refreshed without a network, or with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.queue import lease_jobs
from crowdsky.errors import CatalogueOffline
from crowdsky.lookup import CachedCatalogue
from crowdsky.lookup.cone_cache import ConeRows
from crowdsky.settings import load_server_settings
from crowdsky.work.execute import Workshop, execute
from crowdsky.work.fetch import Fetcher
from crowdsky.work.upkeep import Upkeep, refresh_catalogue
from tests.work.nights import Direct, Sky, finalise, send, small_block


def test_chores_say_what_they_did(archive: Archive, tmp_path: Path) -> None:
    settings = load_server_settings({"CROWDSKY_HOME": str(tmp_path), "CROWDSKY_SWEEP_GRACE_S": "0"})
    store = LocalStore(Path(settings.store_url))
    upkeep = Upkeep(settings, archive, store)
    finalise(archive, send(archive, store, small_block(tmp_path / "in", 0)))
    assert lease_jobs(archive, "dead:1:a", 1, lease_s=-1.0)
    assert upkeep.expire_leases() == "1 jobs of silent workers"
    assert upkeep.expire_leases() == "0 jobs of silent workers"
    assert upkeep.expire_uploads() == "0 uploads whose time was over"
    assert upkeep.sweep() == "0 files removed (0.0 MB), 0 folders of killed jobs"
    assert upkeep.scrub().startswith("2 files read (0.4 MB): 0 damaged")


class Service:
    """Gives a few stars about any place, a given number of times."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.asked: list[tuple[float, float]] = []

    def rows(
        self, ra_deg: float, dec_deg: float, radius_deg: float, faintest_gmag: float
    ) -> ConeRows:
        if len(self.asked) == self.answers:
            raise CatalogueOffline("the Gaia archive cannot be reached")
        self.asked.append((ra_deg, dec_deg))
        n = 5
        return ConeRows(
            ra_deg=np.full(n, ra_deg),
            dec_deg=np.full(n, dec_deg),
            pm_ra_mas_yr=np.zeros(n),
            pm_dec_mas_yr=np.zeros(n),
            gmag=np.linspace(9, 15, n, dtype=np.float32),
            source_id=np.arange(1, n + 1),
        )


@pytest.fixture
def solved(archive: Archive, sky: Sky, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    fetcher = Fetcher(store, 2)
    finalise(archive, send(archive, store, list(sky.frames)))
    (leased,) = lease_jobs(archive, "here:1:a", 1, lease_s=60.0)
    shop = Workshop(archive, store, Direct(), fetcher, tmp_path / "scratch")
    assert execute(shop, leased).state == "done"
    fetcher.close()


@pytest.mark.usefixtures("solved")
def test_the_catalogue_is_refreshed_about_observed_fields(archive: Archive, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    offline = Service(0)
    assert refresh_catalogue(archive, cache, service=offline) == (
        "index ready, 0 cones fetched; the Gaia archive cannot be reached"
    )
    online = Service(9)
    assert refresh_catalogue(archive, cache, service=online) == "index ready, 1 cones fetched"
    assert online.asked[0] == pytest.approx((351.2, 61.6), abs=0.05)
    assert CachedCatalogue(cache / "gaia_dr3").covers(351.2, 61.6, 0.5)
    assert refresh_catalogue(archive, cache, service=online) == "index ready, 0 cones fetched"
    assert len(online.asked) == 1
