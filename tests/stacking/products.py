"""A small finished product, for the tests of files and pictures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from crowdsky.astrometry.catalogue import CatalogueStars
from crowdsky.astrometry.plate_solution import PlateSolution
from crowdsky.stacking import StackedImage, StackFacts, StackProduct, measure_stars, stack_frames
from tests.stacking.fields import Session, as_inputs, dithers, grid_of_stars

SHAPE = (200, 300)
START = datetime(2025, 3, 27, 1, 20, 32, 955368, tzinfo=UTC)
CD = np.array([[-6.6e-4, -1.4e-5], [1.4e-5, -6.6e-4]])


def solution() -> PlateSolution:
    return PlateSolution(
        shape=SHAPE,
        ra_deg=192.77,
        dec_deg=41.12,
        cd=CD,
        mode="of_date",
        n_stars=20,
        star_index=np.arange(9),
        catalogue_row=np.arange(9),
        residual_arcsec=np.full((9, 2), 0.3),
        log_odds=80.0,
        n_tried=1,
    )


class FakeCatalogue:
    """Every second star of a session, with magnitudes of zero point 22."""

    def __init__(self, session: Session) -> None:
        x, y = session.stars[::2].T
        self.ra, self.dec = solution().pixel_to_sky(x, y)
        self.mag = (22.0 - 2.5 * np.log10(session.fluxes[::2])).astype(np.float32)
        self.asked: dict[str, float] = {}

    def cone(
        self,
        ra_deg: float,
        dec_deg: float,
        radius_deg: float,
        *,
        epoch_jyear: float = 2016.0,
        limit: int | None = None,
    ) -> CatalogueStars:
        self.asked = {"ra": ra_deg, "dec": dec_deg, "radius": radius_deg, "epoch": epoch_jyear}
        n = len(self.ra)
        ids = np.arange(n, dtype=np.int64) + 4_000_000_000_000_000_001
        gmag = (self.mag + 0.2).astype(np.float32)
        return CatalogueStars(self.ra, self.dec, self.mag, ids, gmag)


def session(noise_adu: float = 30.0) -> Session:
    stars = grid_of_stars(SHAPE)
    return Session(SHAPE, stars, np.geomspace(5e3, 2e5, len(stars)), noise_adu=noise_adu)


def image_of(one: Session, n: int = 6) -> StackedImage:
    matrices = dithers(n, SHAPE, reach=3.0)
    return stack_frames(
        as_inputs([one.expose(m, seed=i) for i, m in enumerate(matrices)], matrices), shape=SHAPE
    )


def facts(**changes: object) -> StackFacts:
    known: dict = {
        "target": "M 94",
        "telescope": "S50",
        "filter": "IRCUT",
        "exposure_s": 10.0,
        "gain": 80.0,
        "exposure_total_s": 60.0,
        "n_frames": 7,
        "n_used": 6,
        "start_utc": START,
        "end_utc": START + timedelta(seconds=71.25),
        "site_lat_deg": 32.8965,
        "site_lon_deg": -79.7625,
        "ccd_temp_c": 25.9,
        "name": "20250327.05_192.8_p41.1",
        "tile": "20250327.05_HP035000",
    }
    return StackFacts(**{**known, **changes})


def product(*, solved: bool = True, **changes: object) -> StackProduct:
    one = session()
    image = image_of(one)
    plate = solution() if solved else None
    stars, quality = measure_stars(image, plate, FakeCatalogue(one), epoch_jyear=2025.2)
    return StackProduct(image, stars, plate, quality, facts(**changes))
