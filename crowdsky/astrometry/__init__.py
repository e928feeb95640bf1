"""From a star list to a WCS: catalogue, hinted and blind search, evidence, fit."""

from crowdsky.astrometry.catalogue import (
    Catalogue,
    CatalogueSource,
    CatalogueStars,
    bundled_catalogue,
)
from crowdsky.astrometry.plate_solution import PlateSolution
from crowdsky.astrometry.scale_memory import ScaleMemory
from crowdsky.astrometry.search import ACCEPT_LOG_ODDS, Hint
from crowdsky.astrometry.sky_index import blind_index, blind_index_path
from crowdsky.astrometry.solve import hints_of, solve_frame, solve_stars

__all__ = [
    "ACCEPT_LOG_ODDS",
    "Catalogue",
    "CatalogueSource",
    "CatalogueStars",
    "Hint",
    "PlateSolution",
    "ScaleMemory",
    "blind_index",
    "blind_index_path",
    "bundled_catalogue",
    "hints_of",
    "solve_frame",
    "solve_stars",
]
