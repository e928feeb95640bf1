"""Fill the cache of cones from Gaia DR3 (Gaia Collaboration 2023, A&A 674, A1)."""

from __future__ import annotations

import math
from contextlib import redirect_stdout
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import CatalogueError, CatalogueOffline
from crowdsky.lookup.cone_cache import ConeRows, write_cone

__all__ = ["AstroqueryGaia", "ConeService", "fetch_gaia_cone"]

MAX_RADIUS_DEG = 5.0
MAX_ROWS = 3_000_000


class ConeService(Protocol):
    """Whoever can list the Gaia DR3 rows of a cone: the archive, or a test's stand-in."""

    def rows(
        self, ra_deg: float, dec_deg: float, radius_deg: float, faintest_gmag: float
    ) -> ConeRows:
        """Rows within ``radius_deg`` of a position and not fainter than ``faintest_gmag``."""
        ...


class AstroqueryGaia:
    """The Gaia archive at ESA, asked by astroquery (the extra ``lookup``)."""

    def rows(
        self, ra_deg: float, dec_deg: float, radius_deg: float, faintest_gmag: float
    ) -> ConeRows:
        """Ask the archive.

        Raises
        ------
        CatalogueError
            If astroquery is not installed.
        CatalogueOffline
            If the archive cannot be reached or does not answer the question.
        """
        try:
            # Importing it asks the archive for news and prints what came of that.
            with redirect_stdout(StringIO()):
                from astroquery.gaia import Gaia
        except ImportError as error:
            raise CatalogueError(
                "astroquery is not installed; `pip install 'crowdsky[lookup]'` brings it"
            ) from error
        query = (
            f"SELECT TOP {MAX_ROWS} source_id, ra, dec, pmra, pmdec, phot_g_mean_mag "
            "FROM gaiadr3.gaia_source "
            f"WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE({ra_deg!r}, {dec_deg!r}, {radius_deg!r})) "
            f"AND phot_g_mean_mag <= {faintest_gmag!r}"
        )
        try:
            with redirect_stdout(StringIO()):
                table = Gaia.launch_job_async(query, verbose=False).get_results()
        except (OSError, HTTPException) as error:  # requests' and urllib's errors are OSErrors
            raise CatalogueOffline(
                f"the Gaia archive cannot be reached ({_first_line(error)})"
            ) from error
        return _rows_of_table(table)


def fetch_gaia_cone(
    ra_deg: float,
    dec_deg: float,
    radius_deg: float,
    cache_dir: Path,
    *,
    faintest_gmag: float = 16.0,
    service: ConeService | None = None,
) -> Path:
    """Fetch a cone of Gaia DR3 into a cache folder.

    Parameters
    ----------
    ra_deg, dec_deg : float
        Centre, ICRS degrees.
    radius_deg : float
        Radius, more than 0 and at most 5 degrees.
    cache_dir : Path
        Folder of the cones; made when absent.
    faintest_gmag : float
        Gaia G of the faintest star wanted.
    service : ConeService, optional
        Who is asked; the Gaia archive when omitted.

    Returns
    -------
    Path
        The file that `crowdsky.lookup.CachedCatalogue` reads.

    Raises
    ------
    CatalogueError
        If the cone is not one, the service gave no star, or astroquery is not installed.
    CatalogueOffline
        If the service cannot be reached.
    """
    if not (math.isfinite(ra_deg) and math.isfinite(dec_deg) and abs(dec_deg) <= 90.0):
        raise CatalogueError(
            "a cone's centre must be a finite RA and a Dec within 90 degrees",
            value=f"ra {ra_deg} dec {dec_deg}",
        )
    if not 0.0 < radius_deg <= MAX_RADIUS_DEG:
        raise CatalogueError(
            f"a cone's radius must be more than 0 and at most {MAX_RADIUS_DEG:g} degrees",
            value=radius_deg,
        )
    asked = AstroqueryGaia() if service is None else service
    rows = asked.rows(ra_deg % 360.0, dec_deg, radius_deg, faintest_gmag)
    if not len(rows):
        raise CatalogueError("the catalogue service gave no star for this cone")
    if len(rows) >= MAX_ROWS:
        raise CatalogueError(
            "the cone holds more stars than a cone may; take a smaller radius or brighter limit",
            value=len(rows),
        )
    return write_cone(cache_dir, ra_deg % 360.0, dec_deg, radius_deg, rows)


def _rows_of_table(table: Any) -> ConeRows:
    def column(name: str, missing: float) -> NDArray[np.float64]:
        return np.asarray(np.ma.filled(table[name].astype(float), missing), dtype=np.float64)

    names = {str(name).lower(): name for name in table.colnames}  # the archive varies their case
    return ConeRows(
        ra_deg=column(names["ra"], math.nan),
        dec_deg=column(names["dec"], math.nan),
        pm_ra_mas_yr=np.nan_to_num(column(names["pmra"], 0.0)),
        pm_dec_mas_yr=np.nan_to_num(column(names["pmdec"], 0.0)),
        gmag=column(names["phot_g_mean_mag"], math.nan).astype(np.float32),
        source_id=np.asarray(table[names["source_id"]], dtype=np.int64),
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:160]
