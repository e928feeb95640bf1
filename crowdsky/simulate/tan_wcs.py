"""The exact WCS that a simulated frame is drawn through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crowdsky.astrometry.tangent_plane import deproject, project

__all__ = ["TanWcs"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TanWcs:
    """A linear TAN projection whose tangent point is the centre of the frame.

    The determinant of the CD matrix is positive, as on every Seestar frame whose rows are read as
    stored: parity +1.

    Attributes
    ----------
    ra_deg, dec_deg : float
        ICRS position of the centre of the frame.
    rotation_deg : float
        Position angle, East of North, of the direction of growing y.
    scale_arcsec_per_px : float
        Plate scale.
    nx, ny : int
        Size of the frame.
    """

    ra_deg: float
    dec_deg: float
    rotation_deg: float
    scale_arcsec_per_px: float
    nx: int
    ny: int

    @property
    def centre_px(self) -> tuple[float, float]:
        """Centre of the frame; pixel (0, 0) is the centre of the first pixel."""
        return (self.nx - 1) / 2, (self.ny - 1) / 2

    @property
    def cd_deg_per_px(self) -> FloatArray:
        """CD matrix, shape (2, 2): degrees East and North a pixel in x and y."""
        angle = np.radians(self.rotation_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, sin], [-sin, cos]]) * (self.scale_arcsec_per_px / 3600.0)

    @property
    def radius_deg(self) -> float:
        """Distance from the centre to the corner of the frame."""
        return float(np.hypot(self.nx, self.ny) / 2 * self.scale_arcsec_per_px / 3600.0)

    def sky_to_pixel(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixel positions of sky positions (ICRS degrees)."""
        xi, eta = project(ra_deg, dec_deg, self.ra_deg, self.dec_deg)
        inverse = np.linalg.inv(self.cd_deg_per_px)
        x0, y0 = self.centre_px
        return (
            inverse[0, 0] * xi + inverse[0, 1] * eta + x0,
            inverse[1, 0] * xi + inverse[1, 1] * eta + y0,
        )

    def pixel_to_sky(self, x_px: ArrayLike, y_px: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Sky positions (ICRS degrees) of pixel positions."""
        x0, y0 = self.centre_px
        dx, dy = np.asarray(x_px, dtype=float) - x0, np.asarray(y_px, dtype=float) - y0
        cd = self.cd_deg_per_px
        return deproject(
            cd[0, 0] * dx + cd[0, 1] * dy, cd[1, 0] * dx + cd[1, 1] * dy, self.ra_deg, self.dec_deg
        )

    def homography_to(self, ra0_deg: float, dec0_deg: float) -> FloatArray:
        """Matrix (3, 3) from pixels ``(x, y, 1)`` to the tangent plane (degrees) at another point.

        Two gnomonic projections of one sphere are related by a homography, so this is exact.
        """
        x0, y0 = self.centre_px
        to_plane = np.eye(3)
        to_plane[:2, :2] = np.radians(self.cd_deg_per_px)
        to_plane[:2, 2] = -to_plane[:2, :2] @ (x0, y0)
        here = _tangent_frame(self.ra_deg, self.dec_deg)
        there = _tangent_frame(ra0_deg, dec0_deg)
        homography = there.T @ here @ to_plane
        homography[:2] *= 180.0 / np.pi
        return homography

    def as_dict(self) -> dict[str, object]:
        """The WCS as ``truth.json`` holds it; ``crpix`` counts pixels from one, as FITS does."""
        return {
            "center_ra": self.ra_deg,
            "center_dec": self.dec_deg,
            "scale_arcsec": self.scale_arcsec_per_px,
            "rotation_deg_E_of_N_of_plusY": self.rotation_deg,
            "parity": 1,
            "crval": [self.ra_deg, self.dec_deg],
            "crpix": [self.centre_px[0] + 1, self.centre_px[1] + 1],
            "cd": self.cd_deg_per_px.tolist(),
            "nx": self.nx,
            "ny": self.ny,
        }


def _tangent_frame(ra_deg: float, dec_deg: float) -> FloatArray:
    """Columns: unit vectors to the East, to the North and to the point itself."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    cos_ra, sin_ra, cos_dec, sin_dec = np.cos(ra), np.sin(ra), np.cos(dec), np.sin(dec)
    return np.array(
        [
            [-sin_ra, -sin_dec * cos_ra, cos_dec * cos_ra],
            [cos_ra, -sin_dec * sin_ra, cos_dec * sin_ra],
            [0.0, cos_dec, sin_dec],
        ]
    )
