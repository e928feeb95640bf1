"""The plate solution: where an image lies on the sky, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdsky.astrometry.tangent_plane import deproject, project

if TYPE_CHECKING:
    from astropy.wcs import WCS

__all__ = ["PlateSolution", "Sip"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sip:
    """Quadratic distortion in the convention of Shupe et al. 2005 (ASP Conf. 347, 491).

    Attributes
    ----------
    a, b : ndarray, shape (3, 3)
        Pixels added to x and y before the linear part: element ``[p, q]`` multiplies
        ``dx**p * dy**q``; only p + q = 2 is used.
    ap, bp : ndarray, shape (3, 3)
        The way back, from the linear part's pixels to the image's.
    """

    a: FloatArray
    b: FloatArray
    ap: FloatArray
    bp: FloatArray


def _polynomial(c: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    return (
        c[0, 0] + c[1, 0] * u + c[0, 1] * v
        + c[2, 0] * u * u + c[1, 1] * u * v + c[0, 2] * v * v
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlateSolution:
    """A gnomonic WCS of one image, with the evidence for it.

    Attributes
    ----------
    shape : tuple of int
        ``(ny, nx)``.
    ra_deg, dec_deg : float
        ICRS position of the image's centre, pixel ``((nx - 1) / 2, (ny - 1) / 2)``, which is the
        tangent point.
    cd : ndarray, shape (2, 2)
        Degrees a pixel, to the East and North (FITS cards CDi_j).
    mode : str
        ``"of_date"``, ``"j2000"`` or ``"blind"``: what the hint was taken for, or that none was
        used.
    n_stars : int
        Stars offered.
    star_index, catalogue_row : ndarray of int64, shape (n_matched,)
        The matched pairs: place in the star list, row in the catalogue.
    residual_arcsec : ndarray, shape (n_matched, 2)
        Image minus catalogue, to the East and North.
    log_odds : float
        Natural logarithm of the odds against chance, stars of the hypothesis left out, trials paid
        for.
    n_tried : int
        Hypotheses tried until this one was accepted.
    sip : Sip or None
        Distortion, only where the stars justify it.
    ms : dict of str to float
        Milliseconds spent in each step.
    """

    shape: tuple[int, int]
    ra_deg: float
    dec_deg: float
    cd: FloatArray
    mode: str
    n_stars: int
    star_index: NDArray[np.int64]
    catalogue_row: NDArray[np.int64]
    residual_arcsec: FloatArray
    log_odds: float
    n_tried: int
    sip: Sip | None = None
    ms: dict[str, float] = field(default_factory=dict)

    @property
    def n_matched(self) -> int:
        """Stars of the image that lie on a catalogue star."""
        return len(self.star_index)

    @property
    def rms_arcsec(self) -> float:
        """Root mean square length of the residuals."""
        return float(np.sqrt(np.mean(np.sum(self.residual_arcsec**2, axis=1))))

    @property
    def crval(self) -> tuple[float, float]:
        """Tangent point, ICRS degrees."""
        return self.ra_deg, self.dec_deg

    @property
    def crpix(self) -> tuple[float, float]:
        """Pixel of the tangent point, 0-based (add one for the FITS cards CRPIXi)."""
        return (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2

    @property
    def scale_arcsec_per_px(self) -> float:
        """Plate scale: the square root of a pixel's area."""
        return float(np.sqrt(abs(np.linalg.det(self.cd))) * 3600.0)

    @property
    def parity(self) -> int:
        """+1 where the determinant of the CD matrix is positive (every Seestar), else -1."""
        return 1 if np.linalg.det(self.cd) > 0 else -1

    @property
    def rotation_deg(self) -> float:
        """Position angle of the image's +y axis, East of North, -180 to 180."""
        return float(np.degrees(np.arctan2(self.cd[0, 1], self.cd[1, 1])))

    def pixel_to_sky(self, x_px: ArrayLike, y_px: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """ICRS degrees of 0-based pixel positions."""
        u = np.asarray(x_px, dtype=np.float64) - self.crpix[0]
        v = np.asarray(y_px, dtype=np.float64) - self.crpix[1]
        if self.sip is not None:
            u, v = u + _polynomial(self.sip.a, u, v), v + _polynomial(self.sip.b, u, v)
        xi = self.cd[0, 0] * u + self.cd[0, 1] * v
        eta = self.cd[1, 0] * u + self.cd[1, 1] * v
        return deproject(xi, eta, self.ra_deg, self.dec_deg)

    def sky_to_pixel(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """0-based pixel positions of ICRS degrees.

        Raises
        ------
        PlateError
            If a position lies 90 degrees or more from the image's centre.
        """
        xi, eta = project(ra_deg, dec_deg, self.ra_deg, self.dec_deg)
        inverse = np.linalg.inv(self.cd)
        u = inverse[0, 0] * xi + inverse[0, 1] * eta
        v = inverse[1, 0] * xi + inverse[1, 1] * eta
        if self.sip is not None:
            u, v = u + _polynomial(self.sip.ap, u, v), v + _polynomial(self.sip.bp, u, v)
        return u + self.crpix[0], v + self.crpix[1]

    @property
    def wcs(self) -> WCS:
        """The solution as an astropy WCS (made at each access)."""
        from astropy.wcs import WCS
        from astropy.wcs import Sip as AstropySip

        wcs = WCS(naxis=2)
        crpix = self.crpix[0] + 1.0, self.crpix[1] + 1.0
        suffix = "" if self.sip is None else "-SIP"
        wcs.wcs.ctype = [f"RA---TAN{suffix}", f"DEC--TAN{suffix}"]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.crval = self.crval
        wcs.wcs.crpix = crpix
        wcs.wcs.cd = self.cd
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.lonpole = 180.0  # at Dec +90 the standard's default is another one
        wcs.array_shape = self.shape
        if self.sip is not None:
            wcs.sip = AstropySip(self.sip.a, self.sip.b, self.sip.ap, self.sip.bp, crpix)
        wcs.wcs.set()
        return wcs
