"""Star catalogues from services: the extra ``lookup``, the only part that may use a network.

`fetch_gaia_cone` fills a cache of Gaia DR3 cones; `CachedCatalogue` serves stars from that cache,
offline, as one more `crowdsky.astrometry.catalogue.CatalogueSource`.
"""

from __future__ import annotations

from crowdsky.lookup.cone_cache import CachedCatalogue
from crowdsky.lookup.gaia import AstroqueryGaia, ConeService, fetch_gaia_cone

__all__ = ["AstroqueryGaia", "CachedCatalogue", "ConeService", "fetch_gaia_cone"]
